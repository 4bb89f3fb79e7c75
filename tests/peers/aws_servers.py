"""Fills a server that speaks as AWS does with a small estate, by boto3. Where it is comes in PEER_ENDPOINT, the region of the
read replica in PEER_REPLICA_REGION. Prints the ids of the two hosted zones."""

import datetime
import os

from peers import client

EAST, WEST = "us-east-1", "us-west-2"
ENDPOINT, REPLICA_REGION = os.environ["PEER_ENDPOINT"], os.environ["PEER_REPLICA_REGION"]


def of(service, region):
    return client(service, ENDPOINT, region)


def s3():
    east, west = of("s3", EAST), of("s3", WEST)
    there = {"LocationConstraint": WEST}
    east.create_bucket(Bucket="gennet-plain")
    east.create_bucket(Bucket="gennet-data")
    west.create_bucket(Bucket="gennet-data-dr", CreateBucketConfiguration=there)
    west.create_bucket(Bucket="gennet-backups", CreateBucketConfiguration=there)
    for side, bucket in ((east, "gennet-data"), (west, "gennet-data-dr"), (west, "gennet-backups")):
        side.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "neo4j/"}, "Expiration": {"Days": 30}}
        off = {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
        side.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule, off]})
    rule = {
        "ID": "all",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::gennet-data-dr"},
    }
    replication = {"Role": "arn:aws:iam::123456789012:role/replication", "Rules": [rule]}
    east.put_bucket_replication(Bucket="gennet-data", ReplicationConfiguration=replication)
    # The bucket that was written to last is the one in use.
    west.put_object(Bucket="gennet-data-dr", Key="heartbeat/by-itself", Body=b"now")
    east.put_object(Bucket="gennet-data", Key="heartbeat/us-east-1", Body=b"now")
    for key, body in (
        ("neo4j/gennet-2026-11-21T04-00-00.backup", b"whole" * 200),
        ("neo4j/gennet-2026-11-22T04-00-00.backup", b"whole" * 200),
        ("neo4j/gennet-2026-11-23T04-00-00.backup", b""),
        ("neo4j/increment-2026-11-22T10-00-00.backup", b"part" * 200),
        ("neo4j/increment-2026-11-22T16-00-00.backup", b"part" * 200),
        ("neo4j/gennet-2026-11-23T04-00-00.log", b"another suffix"),
        ("other/gennet-2026-11-23T05-00-00.backup", b"another prefix"),
    ):
        west.put_object(Bucket="gennet-backups", Key=key, Body=body)


def rds():
    east, there = of("rds", EAST), of("rds", REPLICA_REGION)
    made = east.create_db_instance(
        DBInstanceIdentifier="gennet-db",
        DBInstanceClass="db.r6g.large",
        Engine="postgres",
        EngineVersion="16.4",
        AllocatedStorage=20,
        MasterUsername="gennet",
        MasterUserPassword="labpassword",
        AvailabilityZone="us-east-1a",
        MultiAZ=True,
        BackupRetentionPeriod=7,
    )["DBInstance"]
    source = "gennet-db" if REPLICA_REGION == EAST else made["DBInstanceArn"]
    there.create_db_instance_read_replica(DBInstanceIdentifier="gennet-db-replica", SourceDBInstanceIdentifier=source)
    # By hand: no automated one.
    east.create_db_snapshot(DBInstanceIdentifier="gennet-db", DBSnapshotIdentifier="before-the-upgrade")
    now = datetime.datetime.now(datetime.timezone.utc)
    aurora(east)
    lag = {"MetricName": "ReplicaLag", "Timestamp": now, "Value": 2.5, "Unit": "Seconds"}
    lag["Dimensions"] = [{"Name": "DBInstanceIdentifier", "Value": "gennet-db-replica"}]
    of("cloudwatch", REPLICA_REGION).put_metric_data(Namespace="AWS/RDS", MetricData=[lag])


def aurora(east):
    """A member of an Aurora cluster, which looks like any instance but for its cluster."""
    login = {"MasterUsername": "gennet", "MasterUserPassword": "labpassword"}
    east.create_db_cluster(DBClusterIdentifier="ledger", Engine="aurora-postgresql", **login)
    east.create_db_instance(
        DBInstanceIdentifier="ledger-1",
        DBInstanceClass="db.r6g.large",
        Engine="aurora-postgresql",
        DBClusterIdentifier="ledger",
    )


def route53():
    route53 = of("route53", EAST)
    zone = route53.create_hosted_zone(Name="gennet.example", CallerReference="peers")["HostedZone"]["Id"]
    check = route53.create_health_check(
        CallerReference="east",
        HealthCheckConfig={"Type": "HTTP", "IPAddress": "192.0.2.1", "Port": 80, "ResourcePath": "/"},
    )["HealthCheck"]["Id"]

    def record(name, value, **more):
        values = [{"Value": value}]
        return {"Name": name, "Type": "A", "TTL": 60, "ResourceRecords": values, **more}

    def weighted(name, identifier, weight, value, **more):
        return record(name, value, SetIdentifier=identifier, Weight=weight, **more)

    sets = [
        record("plain.gennet.example", "127.0.0.11"),
        weighted("app.gennet.example", EAST, 100, "127.0.0.11"),
        weighted("app.gennet.example", WEST, 0, "127.0.0.12"),
        weighted("checked.gennet.example", EAST, 100, "127.0.0.11", HealthCheckId=check),
        record("near.gennet.example", "127.0.0.11", SetIdentifier=EAST, Region=EAST),
    ]
    # More than come in one page of the driver, and traffic goes to the last one.
    sets += [weighted("many.gennet.example", f"{nth:03}", int(nth == 119), "127.0.0.11") for nth in range(120)]
    changes = [{"Action": "CREATE", "ResourceRecordSet": one} for one in sets]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    # A second zone, whose name moves in the same step; its wildcard is stored as Route 53 writes it.
    other = route53.create_hosted_zone(Name="gennet.net", CallerReference="other")["HostedZone"]["Id"]
    sets = [weighted("*.gennet.net", EAST, 100, "127.0.0.11"), weighted("*.gennet.net", WEST, 0, "127.0.0.12")]
    changes = [{"Action": "CREATE", "ResourceRecordSet": one} for one in sets]
    route53.change_resource_record_sets(HostedZoneId=other, ChangeBatch={"Changes": changes})
    return f"{zone} {other}"


s3()
rds()
print(route53())
