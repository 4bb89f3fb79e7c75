"""boto3, as anybody would use it, against the lab's RDS, CloudWatch and STS. Endpoints come in LAB_<NAME> variables."""

import datetime
import os

from peers import client, eventually, refused

WRITER, REPLICA = "gennet-db", "gennet-db-replica"
EAST, WEST = "us-east-1", "us-west-2"


def identity():
    told = client("sts", os.environ["LAB_STS_EAST"], EAST).get_caller_identity()
    assert told["Account"] == "123456789012" and told["Arn"].startswith("arn:aws:sts::"), told


def described(east, west):
    writer = east.describe_db_instances(DBInstanceIdentifier=WRITER)["DBInstances"][0]
    assert writer["MultiAZ"] and writer["AvailabilityZone"] == "us-east-1a", writer
    assert writer["SecondaryAvailabilityZone"] == "us-east-1b" and writer["DBInstanceStatus"] == "available"
    assert isinstance(writer["LatestRestorableTime"], datetime.datetime) and writer["BackupRetentionPeriod"] == 7
    replica = west.describe_db_instances()["DBInstances"][0]
    assert replica["ReadReplicaSourceDBInstanceIdentifier"] == writer["DBInstanceArn"], replica
    assert writer["ReadReplicaDBInstanceIdentifiers"] == [replica["DBInstanceArn"]], writer
    assert replica["StatusInfos"][0]["Normal"] and replica["StatusInfos"][0]["Status"] == "replicating"
    refused("DBInstanceNotFound", west.describe_db_instances, DBInstanceIdentifier=WRITER)
    # A week of them has two ends.
    assert len(east.describe_db_snapshots(DBInstanceIdentifier=WRITER)["DBSnapshots"]) == 8
    backup = west.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"][0]
    assert backup["Region"] == EAST and backup["RestoreWindow"]["LatestTime"] > backup["RestoreWindow"]["EarliestTime"]


def lag():
    cloudwatch = client("cloudwatch", os.environ["LAB_CLOUDWATCH_WEST"], WEST)
    now = datetime.datetime.now(datetime.timezone.utc)
    metric = {
        "Namespace": "AWS/RDS",
        "MetricName": "ReplicaLag",
        "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": REPLICA}],
    }
    query = {"Id": "lag", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}
    hour = datetime.timedelta(hours=1)

    def told():
        answer = cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=now - hour, EndTime=now + hour)
        return answer["MetricDataResults"][0]

    eventually("a datapoint", lambda: told()["Values"])
    result = told()
    assert len(result["Timestamps"]) == len(result["Values"]) and 0 <= result["Values"][0] < 60, result
    assert abs((result["Timestamps"][0] - now).total_seconds()) < 600, result


def failover(east):
    east.reboot_db_instance(DBInstanceIdentifier=WRITER, ForceFailover=True)
    refused("InvalidDBInstanceState", east.reboot_db_instance, DBInstanceIdentifier=WRITER, ForceFailover=True)
    east.get_waiter("db_instance_available").wait(
        DBInstanceIdentifier=WRITER, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    events = east.describe_events(SourceType="db-instance", SourceIdentifier=WRITER, Duration=10)["Events"]
    assert any(event["Message"] == "Multi-AZ instance failover completed" for event in events), events


def promotion(east, west):
    refused("InvalidParameterCombination", west.reboot_db_instance, DBInstanceIdentifier=REPLICA, ForceFailover=True)
    refused("InvalidDBInstanceState", east.promote_read_replica, DBInstanceIdentifier=WRITER)
    answer = west.promote_read_replica(DBInstanceIdentifier=REPLICA)
    assert answer["DBInstance"]["DBInstanceStatus"] == "modifying", answer
    refused("InvalidDBInstanceState", west.promote_read_replica, DBInstanceIdentifier=REPLICA)

    def alone():
        replica = west.describe_db_instances(DBInstanceIdentifier=REPLICA)["DBInstances"][0]
        return replica["DBInstanceStatus"] == "available" and not replica.get("ReadReplicaSourceDBInstanceIdentifier")

    eventually("promoted", alone)
    assert not east.describe_db_instances()["DBInstances"][0]["ReadReplicaDBInstanceIdentifiers"]


east, west = (client("rds", os.environ[f"LAB_RDS_{side}"], region) for side, region in (("EAST", EAST), ("WEST", WEST)))
identity()
described(east, west)
lag()
failover(east)
promotion(east, west)
