"""Evidence in a bucket of S3, or of what speaks like it: every byte confirmed, and kept by Object Lock where asked."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from hoopx_broker.seams.store import NotStored, StillKept, Stored, StoreFailed, Unfit
from hoopx_plugins.s3_calls import Calls
from hoopx_plugins.s3_failures import code_of, is_missing, is_refused, still_kept
from hoopx_plugins.s3_place import Place, S3Options
from hoopx_plugins.s3_upload import Digests, Upload, digests

_CHUNK = 1 << 18
# Uploads that nobody has gone on with for so long are of brokers that are gone: their parts cost money.
STALE = timedelta(days=7)
_RECORDING = re.compile(r"[A-Za-z0-9_-]{1,64}\.hoopx")
_SHA256 = "hoopx-sha256"


class S3Store:
    """`place` is what follows `s3:` in `recordings`."""

    Options = S3Options
    is_remote = True

    def __init__(self, place: str, options: S3Options) -> None:
        self._place = Place.parse(place)
        self._options = options
        self._calls = Calls(options.account(), str(self._place))
        self.where = str(self._place)

    @staticmethod
    def check_place(place: str) -> None:
        Place.parse(place)

    async def check(self) -> None:
        await self._calls.ask(self._check)

    async def now(self) -> float:
        answer = await self._calls.ask(self._look)
        said = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(said).timestamp()
        except ValueError:
            raise StoreFailed(f"the store `{self.where}` does not say what time it is", "is it an S3?") from None

    async def put_file(self, name: str, path: Path, *, kept_until: float = 0) -> Stored:
        return await self._calls.ask(
            lambda client: self._put_file(client, name, path, kept_until), name=name, patience=None
        )

    async def put(self, name: str, content: bytes, *, replace: bool = False) -> Stored:
        digest = sha256(content)
        checksum = b64encode(digest.digest()).decode()
        extra = {**self._extra(digest.hexdigest()), **({} if replace else {"IfNoneMatch": "*"})}

        def put(client: Any) -> str | None:
            try:
                answer = client.put_object(
                    **self._object(name),
                    **extra,
                    Body=content,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                )
            except Exception as error:
                if code_of(error) in ("PreconditionFailed", "412"):
                    return None
                raise
            return str(answer.get("VersionId", ""))

        version = await self._calls.ask(put, name=name)
        if version is None:
            return await self._same(name, content)
        return Stored(name, len(content), digest.hexdigest(), version=version)

    async def get(
        self, name: str, start: int = 0, length: int | None = None, *, version: str = ""
    ) -> AsyncIterator[bytes]:
        if length == 0:
            return
        last = "" if length is None else str(start + length - 1)
        body = await self._calls.ask(
            lambda client: self._body(client, name, f"bytes={start}-{last}", version), name=name
        )
        if body is None:
            return
        try:
            while chunk := await self._calls.ask(lambda _: body.read(_CHUNK), name=name):
                yield chunk
        finally:
            body.close()

    async def stat(self, name: str, *, version: str = "") -> Stored:
        return await self._calls.ask(lambda client: self._stat(client, name, version), name=name)

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        token: dict[str, str] = {}
        while True:
            asked = {"Bucket": self._place.bucket, "Prefix": self._place.prefix + prefix, **token}
            page = await self._calls.ask(partial(_listed, asked))
            for each in page.get("Contents", ()):
                yield Stored(each["Key"].removeprefix(self._place.prefix), each["Size"])
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    async def keep(self, name: str, *, until: float | None = None, held: bool | None = None, version: str = "") -> None:
        if self._options.object_lock != "off":
            await self._calls.ask(lambda client: self._keep(client, name, until, held, version), name=name)

    async def delete(self, name: str) -> None:
        await self._calls.ask(lambda client: self._delete(client, name), name=name)

    async def close(self) -> None:
        self._calls.close()

    # In a thread.

    def _check(self, client: Any) -> None:
        self._look(client)
        if self._options.object_lock != "off":
            self._check_lock(client)
        self._tidy(client)

    def _look(self, client: Any) -> Any:
        """The least that can be asked for, which says why it is refused."""
        return client.list_objects_v2(Bucket=self._place.bucket, Prefix=self._place.prefix, MaxKeys=1)

    def _check_lock(self, client: Any) -> None:
        asked = f"`object_lock: {self._options.object_lock}` is asked for"
        if client.get_bucket_versioning(Bucket=self._place.bucket).get("Status") != "Enabled":
            raise Unfit(
                f"the bucket of `{self.where}` keeps no versions, and {asked}",
                "make a bucket with Object Lock, or write `object_lock: off`",
            )
        try:
            answer = client.get_object_lock_configuration(Bucket=self._place.bucket)
        except Exception as error:
            if code_of(error) != "ObjectLockConfigurationNotFoundError":
                raise
            answer = {}
        if answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
            raise Unfit(
                f"the bucket of `{self.where}` has no Object Lock, and {asked}",
                "switch it on for this bucket, or write `object_lock: off`",
            )

    def _tidy(self, client: Any) -> None:
        """Give back the parts of recordings whose upload nobody goes on with."""
        pages = client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._place.bucket, Prefix=self._place.prefix
        )
        for each in (each for page in pages for each in page.get("Uploads", ())):
            is_ours = _RECORDING.fullmatch(each["Key"].removeprefix(self._place.prefix))
            if is_ours and each["Initiated"] < datetime.now(UTC) - STALE:
                client.abort_multipart_upload(Bucket=self._place.bucket, Key=each["Key"], UploadId=each["UploadId"])

    def _put_file(self, client: Any, name: str, path: Path, kept_until: float) -> Stored:
        with path.open("rb") as file:
            found = digests(file, os.fstat(file.fileno()).st_size, self._options.part_bytes())
        if (version := self._has(client, name, found)) is None:
            extra = {
                **self._extra(found.whole),
                **self._locked(kept_until),
                "StorageClass": self._options.storage_class,
            }
            version = Upload(client, self._place, name, path, found, extra, self._calls.stopped).run()
        return self._receipt(client, name, version, found, kept_until)

    def _has(self, client: Any, name: str, wanted: Digests) -> str | None:
        """The version that holds these very bytes: a broker may have stopped after it was confirmed."""
        try:
            head = self._head(client, name, "")
        except Exception as error:
            if is_missing(error) or isinstance(error, NotStored):
                return None
            raise
        is_same = head["ContentLength"] == wanted.size and wanted.agrees(head.get("ChecksumSHA256"))
        return str(head.get("VersionId", "")) if is_same else None

    def _receipt(self, client: Any, name: str, version: str, wanted: Digests, kept_until: float) -> Stored:
        """What S3 says of exactly this version. Raises `StoreFailed` unless it is all that was sent."""
        head = self._head(client, name, version)
        if head["ContentLength"] != wanted.size or not wanted.agrees(head.get("ChecksumSHA256")):
            said = head.get("ChecksumSHA256") or "no SHA-256"
            raise StoreFailed(
                f"the store `{self.where}` says {said} of `{name}`, which is {wanted.checksum}",
                "the recording stays in the spool and is sent again; the store must keep SHA-256 checksums",
            )
        if kept_until and self._options.object_lock != "off" and _kept_until(head) < int(kept_until):
            # Some servers leave out what was said when the upload began.
            self._keep(client, name, kept_until, None, version)
            head = self._head(client, name, version)
            if _kept_until(head) < int(kept_until):
                raise StoreFailed(
                    f"the store `{self.where}` does not lock `{name}` as it was told",
                    "see whether the broker may do `s3:PutObjectRetention`, and whether the store has Object Lock",
                )
        return Stored(name, wanted.size, wanted.whole, _kept_until(head), _is_held(head), version)

    def _stat(self, client: Any, name: str, version: str) -> Stored:
        head = self._head(client, name, version)
        return Stored(
            name,
            head["ContentLength"],
            head.get("Metadata", {}).get(_SHA256, ""),
            _kept_until(head),
            _is_held(head),
            str(head.get("VersionId", "")),
        )

    def _head(self, client: Any, name: str, version: str) -> dict[str, Any]:
        asked = self._object(name, version)
        try:
            return dict(client.head_object(**asked, ChecksumMode="ENABLED"))
        except Exception as error:
            if version or not is_missing(error):
                raise
        return dict(client.head_object(**self._object(name, self._hidden(client, name)), ChecksumMode="ENABLED"))

    def _body(self, client: Any, name: str, span: str, version: str) -> Any:
        try:
            return client.get_object(**self._object(name, version), Range=span)["Body"]
        except Exception as error:
            if code_of(error) in ("InvalidRange", "416"):
                return None  # there is nothing from there on
            if version or not is_missing(error):
                raise
        return self._body(client, name, span, self._hidden(client, name))

    def _hidden(self, client: Any, name: str) -> str:
        """The newest version under a mark of deletion: such a mark hides what is there. Raises `NotStored`."""
        for each in self._versions(client, name):
            if not each.get("IsMark"):
                return str(each["VersionId"])
        raise NotStored(f"`{name}` is not in `{self.where}`", "was it deleted there? The log tells what hoopx deleted")

    def _versions(self, client: Any, name: str) -> Iterator[dict[str, Any]]:
        """Of this name alone, the newest first, marks of deletion too."""
        key = self._place.prefix + name
        pages = client.get_paginator("list_object_versions").paginate(Bucket=self._place.bucket, Prefix=key)
        found: list[dict[str, Any]] = []
        for page in pages:
            found += [each for each in page.get("Versions", ()) if each["Key"] == key]
            found += [{**each, "IsMark": True} for each in page.get("DeleteMarkers", ()) if each["Key"] == key]
        yield from sorted(found, key=lambda each: each["LastModified"], reverse=True)

    def _keep(self, client: Any, name: str, until: float | None, held: bool | None, version: str) -> None:
        head = self._head(client, name, version)
        there = self._object(name, version or str(head.get("VersionId", "")))
        if until is not None and _kept_until(head) < int(until):
            retention = {"Mode": self._options.object_lock.upper(), "RetainUntilDate": _moment(until)}
            client.put_object_retention(**there, Retention=retention, ChecksumAlgorithm="SHA256")
        if held is not None and held != _is_held(head):
            status = {"Status": "ON" if held else "OFF"}
            client.put_object_legal_hold(**there, LegalHold=status, ChecksumAlgorithm="SHA256")

    def _delete(self, client: Any, name: str) -> None:
        """The oldest first: where one is kept, what people see under this name stays as it is."""
        for each in reversed(list(self._versions(client, name))):
            version = str(each["VersionId"])
            try:
                client.delete_object(**self._object(name, version))
            except Exception as error:
                if is_refused(error) and (kept := self._kept(client, name, version)):
                    raise kept from None
                raise

    def _kept(self, client: Any, name: str, version: str) -> StillKept | None:
        head = self._head(client, name, version)
        if _is_held(head):
            return still_kept(self.where, name, "it is under a legal hold")
        if (until := _kept_until(head)) > datetime.now(UTC).timestamp():
            return still_kept(self.where, name, f"Object Lock keeps it until {_moment(until):%Y-%m-%d %H:%M} UTC")
        return None

    def _object(self, name: str, version: str = "") -> dict[str, str]:
        there = {"Bucket": self._place.bucket, "Key": self._place.prefix + name}
        return there | ({"VersionId": version} if version else {})

    def _extra(self, digest: str) -> dict[str, Any]:
        """What goes with everything that is put there."""
        key = self._options.kms_key
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        return {"Metadata": {_SHA256: digest}, "ContentType": "application/octet-stream", **encryption}

    def _locked(self, kept_until: float) -> dict[str, Any]:
        if not kept_until or self._options.object_lock == "off":
            return {}
        return {
            "ObjectLockMode": self._options.object_lock.upper(),
            "ObjectLockRetainUntilDate": _moment(kept_until),
        }

    async def _same(self, name: str, content: bytes) -> Stored:
        """It was there before: it must be the very same."""
        there = b"".join([chunk async for chunk in self.get(name, length=len(content) + 1)])
        if there != content:
            raise StoreFailed(
                f"`{name}` is in `{self.where}` already, with other content",
                "two brokers with logs of their own must not share a prefix",
            )
        return Stored(name, len(content), sha256(content).hexdigest())


def _listed(asked: dict[str, str], client: Any) -> dict[str, Any]:
    return dict(client.list_objects_v2(**asked))


def _kept_until(head: dict[str, Any]) -> float:
    until = head.get("ObjectLockRetainUntilDate")
    return until.timestamp() if isinstance(until, datetime) else 0


def _is_held(head: dict[str, Any]) -> bool:
    return head.get("ObjectLockLegalHoldStatus") == "ON"


def _moment(at: float) -> datetime:
    """S3 counts whole seconds; never earlier than was said."""
    return datetime.fromtimestamp(-int(-at // 1), UTC)
