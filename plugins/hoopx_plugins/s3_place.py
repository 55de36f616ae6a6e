"""Where recordings go in S3, and how: `recordings: s3://BUCKET/PREFIX` with the section `evidence.store`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from hoopx_broker.terms.secret import Secret
from hoopx_plugins.aws_account import AwsAccount

ObjectLock = Literal["off", "governance", "compliance"]
# What can be read at once. A recording in Glacier would have to be restored before anybody could look at it.
StorageClass = Literal["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"]

MIN_PART = 5 << 20  # S3's own limits for parts, and for how many there may be
MAX_PART = 1 << 30
MAX_PARTS = 10_000

_PLACE = re.compile(r"//([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([\w!.*'()/-]{0,700}))?", re.ASCII)
_SIZE = re.compile(r"([1-9][0-9]{0,3}) ?MiB")
_OWN = ("region", "endpoint", "profile", "access_key_id", "secret_access_key", "role", "external_id", "ca")


class S3Options(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of `evidence.store`. What says who the broker is, and where AWS is, may stand in `aws` instead."""

    aws: AwsAccount | None = None
    region: str | None = None
    endpoint: str | None = None
    profile: Annotated[str, Meta(min_length=1)] | None = None
    access_key_id: str | None = None
    secret_access_key: Secret | None = None
    role: str | None = None
    external_id: str | None = None
    ca: Path | None = None
    object_lock: ObjectLock = "off"
    kms_key: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    storage_class: StorageClass = "STANDARD"
    part_size: str = "16MiB"

    def __post_init__(self) -> None:
        self.account()
        self.part_bytes()

    def account(self) -> AwsAccount:
        """Raises `ValueError`."""
        own: dict[str, Any] = {name: getattr(self, name) for name in _OWN if getattr(self, name) is not None}
        if self.aws is not None:
            return replace(self.aws, **own)
        if "region" not in own:
            raise ValueError("needs a `region`, here or in a section `aws` at the top of the file")
        return AwsAccount(**own)

    def part_bytes(self) -> int:
        """Raises `ValueError`."""
        found = _SIZE.fullmatch(self.part_size)
        size = int(found[1]) << 20 if found else 0
        if not MIN_PART <= size <= MAX_PART:
            raise ValueError("`part_size` must be from `5MiB` to `1024MiB`, for example `16MiB`")
        return size


class Place(Struct, frozen=True):
    """A bucket and what all keys in it begin with: empty, or ending in `/`."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> Place:
        """`text` is what follows `s3:`. Raises `ValueError`."""
        found = _PLACE.fullmatch(text)
        prefix = (found[2] or "").strip("/") if found else ""
        if found is None or any(part in ("", ".", "..") for part in prefix.split("/") if prefix):
            raise ValueError("write `s3://BUCKET/PREFIX`")
        return cls(found[1], f"{prefix}/" if prefix else "")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")
