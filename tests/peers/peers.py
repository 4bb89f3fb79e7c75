"""What the scripts for the vendors' Python clients share."""

import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(service, endpoint, region):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    keys = {"aws_access_key_id": "LABKEY", "aws_secret_access_key": "labsecret"}
    return boto3.client(service, endpoint_url=endpoint, region_name=region, config=config, **keys)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected")


def eventually(what, holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
