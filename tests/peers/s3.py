"""Buckets of S3 as moto plays it, with Object Lock, for a broker that may do what docs/stores.md asks for.

Learnt from its source (5.2): it enforces COMPLIANCE, GOVERNANCE and legal holds, computes SHA-256 of parts and wholes,
and checks IAM policies (HeadBucket under a name of its own). It takes no notice of a lock that is said when a multipart
upload begins, does not compare the checksums that it is told with the bytes, lists parts without SHA-256, and says of
every upload that it began in 2010.
"""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Struct

from hoopx_broker.terms.leases import AwsKeys
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.s3_place import S3Options
from hoopx_plugins.s3_store import S3Store
from tests.peers.aws import REGION, Aws, policy

PAGE = Path(__file__).parents[2] / "docs/stores.md"
PREFIX = "hoopx/prod"
_numbers = count(1)


class Bucket(Struct, frozen=True):
    """One bucket of its own, and the keys of a broker that may use it."""

    aws: Aws
    name: str
    keys: AwsKeys

    @property
    def place(self) -> str:
        return f"//{self.name}/{PREFIX}"

    @property
    def admin(self) -> Any:
        return self.aws.client("s3")

    def options(self, **changes: Any) -> S3Options:
        login = {"access_key_id": self.keys.access_key_id, "secret_access_key": self.keys.secret_access_key}
        usual = {"region": REGION, "endpoint": self.aws.endpoint, "object_lock": "compliance", "part_size": "5MiB"}
        return S3Options(**(usual | login | changes))

    def store(self, **changes: Any) -> S3Store:
        return S3Store(self.place, self.options(**changes))

    def keys_of(self) -> list[str]:
        page = self.admin.list_object_versions(Bucket=self.name)
        return [each["Key"] for each in page.get("Versions", ())]

    def uploads(self) -> int:
        return len(self.admin.list_multipart_uploads(Bucket=self.name).get("Uploads", ()))


def bucket(aws: Aws, *, lock: bool = True, versions: bool = False) -> Bucket:
    """Named as no other one of this server."""
    name = f"evidence-{next(_numbers)}"
    s3, iam = aws.client("s3"), aws.client("iam")
    where = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=lock)
    if versions:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=policy(*documented(name)))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Bucket(aws, name, AwsKeys(key["AccessKeyId"], Secret(key["SecretAccessKey"])))


def documented(name: str) -> list[dict[str, Any]]:
    """What `docs/stores.md` asks for a broker, on this bucket: no more than that."""
    text = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    statements: list[dict[str, Any]] = json.loads(text.replace("acme-evidence", name).replace("/prod/", f"/{PREFIX}/"))[
        "Statement"
    ]
    return statements
