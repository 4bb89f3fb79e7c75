"""boto3 and dnspython, as anybody would use them, against the lab. Endpoints come in LAB_<NAME> variables."""

import os

import dns.flags
import dns.message
import dns.query
import dns.rcode

from peers import client, eventually, refused

ZONE = "Z0GENNET"
APP = "app.gennet.example."
EAST, WEST = "127.0.0.11", "127.0.0.12"


def ask(name, kind="A", over=dns.query.udp):
    host, port = os.environ["LAB_DNS"].rsplit(":", 1)
    return over(dns.message.make_query(name, kind), host, port=int(port), timeout=5)


def answer(name):
    return sorted(item.to_text() for rrset in ask(name).answer for item in rrset)


def route53():
    aws = client("route53", os.environ["LAB_ROUTE53"], "us-east-1")
    zone = aws.list_hosted_zones()["HostedZones"][0]
    assert zone["Id"].endswith(ZONE) and zone["Name"] == "gennet.example."
    assert len(aws.get_hosted_zone(Id=ZONE)["DelegationSet"]["NameServers"]) == 4

    paged = aws.get_paginator("list_resource_record_sets").paginate(HostedZoneId=ZONE, PaginationConfig={"PageSize": 1})
    records = [record for page in paged for record in page["ResourceRecordSets"]]
    app = [record for record in records if record["Name"] == APP]
    assert len(records) == 6 and [record["Weight"] for record in app] == [100, 0], records
    assert answer(APP) == [EAST]

    def change(*changes):
        changes = [{"Action": action, "ResourceRecordSet": record} for action, record in changes]
        return dict(HostedZoneId=ZONE, ChangeBatch={"Comment": "boto3", "Changes": changes})

    target = [dict(app[0], Weight=0), dict(app[1], Weight=100)]
    swap = change(*[("DELETE", record) for record in app], *[("CREATE", record) for record in target])
    info = aws.change_resource_record_sets(**swap)["ChangeInfo"]
    assert info["Status"] == "PENDING" and info["Comment"] == "boto3", info
    listed = aws.list_resource_record_sets(HostedZoneId=ZONE, StartRecordName=APP, StartRecordType="A", MaxItems="2")
    assert listed["ResourceRecordSets"] == target and listed["IsTruncated"], listed
    waiter = aws.get_waiter("resource_record_sets_changed")
    waiter.wait(Id=info["Id"], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    assert answer(APP) == [WEST]

    # The same again: the pre-image is gone, nothing is changed, and every mismatch is told.
    message = refused("InvalidChangeBatch", aws.change_resource_record_sets, **swap)
    assert message.count("do not match the current values") == 2, message
    mismatch = change(("UPSERT", app[0]), ("DELETE", dict(app[1], TTL=61, Weight=100)))
    refused("InvalidChangeBatch", aws.change_resource_record_sets, **mismatch)
    assert answer(APP) == [WEST]
    refused("NoSuchHostedZone", aws.get_hosted_zone, Id="ZNONE")
    refused("NoSuchChange", aws.get_change, Id="CNONE")

    # The record's check counts others: whether the server answers, and whether nobody sends clients away.
    counted = aws.get_health_check(HealthCheckId=app[0]["HealthCheckId"])["HealthCheck"]["HealthCheckConfig"]
    assert counted["Type"] == "CALCULATED", counted
    children = [aws.get_health_check(HealthCheckId=it)["HealthCheck"] for it in counted["ChildHealthChecks"]]
    [check] = [it for it in children if it["HealthCheckConfig"].get("IPAddress") == EAST]
    observed = aws.get_health_check_status(HealthCheckId=check["Id"])["HealthCheckObservations"]
    assert len(observed) == 16 and all(it["StatusReport"]["Status"].startswith("Success") for it in observed)
    forced = dict(HealthCheckId=check["Id"], HealthCheckVersion=check["HealthCheckVersion"], Disabled=True, Inverted=True)
    assert aws.update_health_check(**forced)["HealthCheck"]["HealthCheckVersion"] == 2
    refused("HealthCheckVersionMismatch", aws.update_health_check, **forced)
    config = {"IPAddress": WEST, "Port": 80, "Type": "HTTP", "ResourcePath": "/healthz"}
    made = aws.create_health_check(CallerReference="peer", HealthCheckConfig=config)["HealthCheck"]
    again = aws.create_health_check(CallerReference="peer", HealthCheckConfig=config)["HealthCheck"]
    assert made["Id"] == again["Id"] in [it["Id"] for it in aws.list_health_checks()["HealthChecks"]]


def name_server():
    assert ask(APP).flags & dns.flags.AA
    assert ask(APP, over=dns.query.tcp).answer
    assert ask("none.gennet.example.").rcode() == dns.rcode.NXDOMAIN
    empty = ask(APP, "TXT")
    assert empty.rcode() == dns.rcode.NOERROR and not empty.answer and empty.authority
    assert ask("example.org.").rcode() == dns.rcode.REFUSED
    assert ask("gennet.example.", "SOA").answer and len(ask("gennet.example.", "NS").answer[0]) == 4
    assert answer("status.gennet.example.") == [EAST]


def s3():
    east = client("s3", os.environ["LAB_S3_EAST"], "us-east-1")
    west = client("s3", os.environ["LAB_S3_WEST"], "us-west-2")
    data, copy = "gennet-data", "gennet-data-dr"
    assert {data, copy, "gennet-backups"} <= {it["Name"] for it in east.list_buckets()["Buckets"]}
    assert east.get_bucket_versioning(Bucket=data)["Status"] == "Enabled"
    rule = east.get_bucket_replication(Bucket=data)["ReplicationConfiguration"]["Rules"][0]
    assert rule["Status"] == "Enabled" and rule["Destination"]["Bucket"].endswith(copy)
    assert east.get_bucket_lifecycle_configuration(Bucket=data)["Rules"]
    refused("ReplicationConfigurationNotFoundError", west.get_bucket_replication, Bucket=copy)
    refused("NoSuchBucket", east.list_objects_v2, Bucket="nowhere")
    refused("NoSuchKey", east.get_object, Bucket=data, Key="nothing")

    key = "canary/a b+ü.txt"
    put = east.put_object(Bucket=data, Key=key, Body=b"one", Metadata={"by": "boto3"}, ContentType="text/plain")
    first = east.head_object(Bucket=data, Key=key)
    assert first["VersionId"] == put["VersionId"] and first["ReplicationStatus"] in ("PENDING", "COMPLETED"), first
    eventually("replicated", lambda: east.head_object(Bucket=data, Key=key)["ReplicationStatus"] == "COMPLETED")
    there = west.get_object(Bucket=copy, Key=key)
    assert there["Body"].read() == b"one" and there["ReplicationStatus"] == "REPLICA"
    assert there["VersionId"] == put["VersionId"] and there["LastModified"] == first["LastModified"]
    assert there["Metadata"] == {"by": "boto3"} and there["ETag"] == first["ETag"]

    east.put_object(Bucket=data, Key=key, Body=b"two")
    east.delete_object(Bucket=data, Key=key)
    refused("NoSuchKey", east.get_object, Bucket=data, Key=key)
    versions = east.list_object_versions(Bucket=data, Prefix="canary/")
    assert len(versions["Versions"]) == 2 and len(versions["DeleteMarkers"]) == 1, versions
    assert versions["Versions"][0]["Key"] == key
    old = east.get_object(Bucket=data, Key=key, VersionId=put["VersionId"])
    assert old["Body"].read() == b"one"

    for nth in range(7):
        east.put_object(Bucket=data, Key=f"many/{nth // 5}/{nth}", Body=b"x")
    pages = east.get_paginator("list_objects_v2").paginate(Bucket=data, Prefix="many/", PaginationConfig={"PageSize": 3})
    listed = [item["Key"] for page in pages for item in page["Contents"]]
    assert listed == [f"many/{nth // 5}/{nth}" for nth in range(7)], listed
    folders = east.list_objects_v2(Bucket=data, Prefix="many/", Delimiter="/")
    assert [it["Prefix"] for it in folders["CommonPrefixes"]] == ["many/0/", "many/1/"], folders
    pages = east.get_paginator("list_object_versions").paginate(Bucket=data, PaginationConfig={"PageSize": 2})
    assert sum(len(page.get("Versions", [])) for page in pages) >= 9


name_server()
route53()
s3()
print("all as it should be")
