"""The section `aws`: which account and region it is, and as whom the broker speaks to it."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from hoopx_broker.terms.secret import Secret

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_PARTITION = r"aws(-[a-z]+)*"
ROLE_ARN = re.compile(rf"arn:{_PARTITION}:iam::[0-9]{{12}}:role/[\w+=,.@/-]{{1,576}}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class AwsAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """Without `profile` or keys the broker uses what it finds around it, as AWS's own tools do.

    `role` is assumed first, for accounts other than the broker's own; `external_id` is what its trust policy asks for.
    `endpoint` stands for all of AWS (a VPC endpoint, a test); `ca` is a PEM file of authorities to believe instead of
    the usual ones.
    """

    region: str
    endpoint: str | None = None
    profile: Annotated[str, Meta(min_length=1)] | None = None
    access_key_id: str | None = None
    secret_access_key: Secret | None = None
    role: str | None = None
    external_id: str | None = None
    ca: Path | None = None

    def __post_init__(self) -> None:
        if find_spec("boto3") is None:
            raise ValueError("needs boto3, which is not installed: run `pip install 'hoopx[aws]'`")
        if not _REGION.fullmatch(self.region):
            raise ValueError("`region` is not the name of a region, for example `eu-central-1`")
        _check_endpoint(self.endpoint)
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("`access_key_id` and `secret_access_key` come together, or not at all")
        if self.profile and self.access_key_id:
            raise ValueError("`profile` and `access_key_id` are two ways to say who the broker is: keep one")
        if self.role is not None:
            check_role(self.role)
        check_external_id(self.external_id, self.role)


def check_role(arn: str) -> None:
    """Raises `ValueError`."""
    if not ROLE_ARN.fullmatch(arn):
        raise ValueError("`role` is not the ARN of a role, for example `arn:aws:iam::123456789012:role/hoopx-read`")


def check_external_id(external_id: str | None, role: str | None) -> None:
    """Raises `ValueError`; the id itself is nobody's business."""
    if external_id is None:
        return
    if role is None:
        raise ValueError("`external_id` belongs to a `role`, and there is none")
    if not _EXTERNAL_ID.fullmatch(external_id):
        raise ValueError("`external_id` must be 2 to 1224 letters, digits and `+=,.@:/-`")


def account_of(aws: AwsAccount | None) -> AwsAccount:
    """Raises `ValueError`, where an issuer has neither a section of its own nor a shared one."""
    if aws is None:
        raise ValueError("needs a section `aws` with at least a `region`, here or at the top of the file")
    return aws


def _check_endpoint(endpoint: str | None) -> None:
    """Requests are signed, not encrypted: over plain http keys would be read by whoever listens."""
    if endpoint is None:
        return
    try:
        url = urlsplit(endpoint)
        host, _ = url.hostname, url.port
    except ValueError:
        raise ValueError("`endpoint` is not a URL") from None
    if url.scheme not in ("https", "http") or not host or url.username or url.query or url.fragment:
        raise ValueError(
            "`endpoint` must be a URL, for example `https://vpce-0a1b.sts.eu-central-1.vpce.amazonaws.com`"
        )
    if url.scheme == "http" and host not in _LOOPBACK:
        raise ValueError("`endpoint` must be https; plain http is for this machine alone")
