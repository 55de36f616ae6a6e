"""Upload one file to S3, in parts that are counted for nothing until S3 has said the SHA-256 of all of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5, sha256
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from msgspec import Struct

from hoopx_broker.seams.store import StoreFailed
from hoopx_plugins.s3_failures import code_of
from hoopx_plugins.s3_place import MAX_PARTS, Place

_MIB = 1 << 20


class Digests(Struct, frozen=True):
    """Of a file in parts of `part` bytes: what S3 must say of it, and the SHA-256 of the whole, hexadecimal."""

    size: int
    part: int
    whole: str
    parts: tuple[bytes, ...]

    @property
    def checksum(self) -> str:
        """As S3 has it: of one part its SHA-256, of several that of theirs and how many they are."""
        if len(self.parts) == 1:
            return b64encode(self.parts[0]).decode()
        return f"{b64encode(sha256(b''.join(self.parts)).digest()).decode()}-{len(self.parts)}"

    def agrees(self, said: object) -> bool:
        """Is that the checksum? Some servers leave out how many parts there were."""
        return isinstance(said, str) and said.partition("-")[0] == self.checksum.partition("-")[0]


def digests(file: BinaryIO, size: int, part: int) -> Digests:
    """One part is in memory at a time. Parts are larger where there would be too many."""
    part = max(part, -(-size // MAX_PARTS // _MIB) * _MIB)
    whole, parts = sha256(), []
    for chunk in _parts(file, part):
        whole.update(chunk)
        parts.append(sha256(chunk).digest())
    return Digests(size, part, whole.hexdigest(), tuple(parts))


class Upload(Struct, frozen=True):
    """One object on its way: `extra` are the parameters of S3 that go with it from the beginning."""

    client: Any
    place: Place
    name: str
    path: Path
    digests: Digests
    extra: dict[str, Any]
    stopped: Event

    def run(self) -> str:
        """The version that S3 gave it; it must still be asked what it has."""
        with self.path.open("rb") as file:
            if len(self.digests.parts) == 1:
                return self._whole(file)
            return self._in_parts(file)

    @property
    def _object(self) -> dict[str, str]:
        return {"Bucket": self.place.bucket, "Key": self.place.prefix + self.name}

    def _whole(self, file: BinaryIO) -> str:
        body = file.read(self.digests.part + 1)
        self._check_unchanged(1, body)
        answer = self.client.put_object(
            **self._object, **self.extra, Body=body, ChecksumAlgorithm="SHA256", ChecksumSHA256=self.digests.checksum
        )
        return str(answer.get("VersionId", ""))

    def _in_parts(self, file: BinaryIO) -> str:
        upload = self._begun() or self._begin()
        try:
            return self._complete(upload, self._sent(file, upload))
        except Exception as error:
            # Parts that S3 has are not sent again at the next attempt, unless they make something else together.
            if code_of(error) in ("InvalidPart", "InvalidPartOrder", "BadDigest", "EntityTooSmall", "InvalidRequest"):
                self.client.abort_multipart_upload(**self._object, UploadId=upload)
            raise

    def _begun(self) -> str | None:
        """The newest upload of this object that did not come to its end; older ones are given back."""
        answer = self.client.list_multipart_uploads(Bucket=self.place.bucket, Prefix=self._object["Key"])
        own = [each for each in answer.get("Uploads", ()) if each["Key"] == self._object["Key"]]
        own.sort(key=lambda each: each["Initiated"])
        for each in own[:-1]:
            self.client.abort_multipart_upload(**self._object, UploadId=each["UploadId"])
        return str(own[-1]["UploadId"]) if own else None

    def _begin(self) -> str:
        answer = self.client.create_multipart_upload(**self._object, **self.extra, ChecksumAlgorithm="SHA256")
        return str(answer["UploadId"])

    def _sent(self, file: BinaryIO, upload: str) -> list[dict[str, Any]]:
        there = self._there(upload)
        sent: list[dict[str, Any]] = []
        for number, body in enumerate(_parts(file, self.digests.part), 1):
            if self.stopped.is_set():
                raise StoreFailed(f"the upload of `{self.name}` was put off", "it goes on when the broker runs again")
            self._check_unchanged(number, body)
            checksum = b64encode(self.digests.parts[number - 1]).decode()
            part = there.get(number)
            if part is None or not _is_same(part, body, checksum):
                part = self.client.upload_part(
                    **self._object,
                    UploadId=upload,
                    PartNumber=number,
                    Body=body,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                )
                if part.get("ChecksumSHA256", checksum) != checksum:
                    raise self._lies(f"of part {number}")
            sent.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": checksum})
        return sent

    def _there(self, upload: str) -> dict[int, dict[str, Any]]:
        pages = self.client.get_paginator("list_parts").paginate(**self._object, UploadId=upload)
        return {part["PartNumber"]: part for page in pages for part in page.get("Parts", ())}

    def _complete(self, upload: str, parts: list[dict[str, Any]]) -> str:
        answer = self.client.complete_multipart_upload(
            **self._object, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        if not self.digests.agrees(answer.get("ChecksumSHA256", self.digests.checksum)):
            raise self._lies("of the whole")
        return str(answer.get("VersionId", ""))

    def _check_unchanged(self, number: int, body: bytes) -> None:
        if number > len(self.digests.parts) or sha256(body).digest() != self.digests.parts[number - 1]:
            raise StoreFailed(
                f"`{self.path.name}` was changed while it was uploaded", "nobody may write to the spool but the broker"
            )

    def _lies(self, what: str) -> StoreFailed:
        return StoreFailed(
            f"the store `{self.place}` confirms other bytes than were sent {what} of `{self.name}`",
            "the recording stays in the spool and is sent again; if this goes on, something on the way changes bytes",
        )


def _is_same(part: dict[str, Any], body: bytes, checksum: str) -> bool:
    """A store that does not list SHA-256 lists the MD5 of a part; what the whole is, it must say anyway."""
    if "ChecksumSHA256" in part:
        return bool(part["ChecksumSHA256"] == checksum)
    return bool(part["ETag"].strip('"') == md5(body, usedforsecurity=False).hexdigest())


def _parts(file: BinaryIO, size: int) -> Iterator[bytes]:
    file.seek(0)
    first = file.read(size)
    yield first  # an empty file has one part too
    while chunk := file.read(size) if first else b"":
        yield chunk
