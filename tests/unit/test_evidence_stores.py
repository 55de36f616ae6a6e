"""Stores of evidence: one contract, held by the directory and by S3; and what S3 may do to an upload."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.seams.store import EvidenceStore, NotStored, StillKept, StoreFailed, Unfit
from hoopx_plugins.s3_place import Place
from tests.peers.aws import Aws
from tests.peers.s3 import PREFIX, Bucket, bucket

NAME = "s_0123456789abcdef.hoopx"
TWO_PARTS = (5 << 20) + 17


@pytest.fixture(scope="module")
def locked(aws: Aws) -> Bucket:
    return bucket(aws)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scene())  # type: ignore[arg-type]


async def read(store: EvidenceStore, name: str, start: int = 0, length: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.get(name, start, length)])


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_a_store_gives_back_what_it_took_and_replaces_nothing_unasked(kind: str, aws: Aws, tmp_path: Path) -> None:
    async def scene() -> None:
        store: EvidenceStore = LocalStore(tmp_path / "there") if kind == "local" else bucket(aws).store()
        file = tmp_path / "file"
        file.write_bytes(b"a recording")
        await store.check()
        assert abs(await store.now() - time.time()) < 5
        receipt = await store.put_file(NAME, file)
        assert (receipt.size, len(receipt.sha256)) == (11, 64)
        assert (await store.put_file(NAME, file)).version == receipt.version  # not there twice
        assert await read(store, NAME) == b"a recording"
        assert await read(store, NAME, 2, 3) == b"rec"
        assert await read(store, NAME, 50) == b""
        await store.put("log/tile/0/000", b"tile")
        await store.put("log/tile/0/000", b"tile")
        with pytest.raises(StoreFailed):
            await store.put("log/tile/0/000", b"other")
        await store.put("log/checkpoint", b"1")
        await store.put("log/checkpoint", b"2", replace=True)
        assert await read(store, "log/checkpoint") == b"2"
        assert [each.name async for each in store.list("log/")] == ["log/checkpoint", "log/tile/0/000"]
        for missing in (store.stat("nothing"), read(store, "nothing")):
            with pytest.raises(NotStored):
                await missing
        await store.delete(NAME)
        await store.delete(NAME)
        with pytest.raises(NotStored):
            await store.stat(NAME)
        await store.close()

    play(scene)


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../x", ".hidden", "a//b", "log/.x", ""])
def test_no_name_leaves_the_directory(name: str, tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(StoreFailed):
            await LocalStore(tmp_path / "in").put(name, b"x", replace=True)

    play(scene)
    assert list(tmp_path.rglob("*")) == []


def test_no_link_leads_out_of_the_directory(tmp_path: Path) -> None:
    async def scene() -> None:
        store, out = LocalStore(tmp_path / "in"), tmp_path / "out"
        out.mkdir()
        (tmp_path / "in").mkdir(mode=0o700)
        (tmp_path / "in/log").symlink_to(out)
        (out / "secret").write_bytes(b"s")
        (tmp_path / "in/one").symlink_to(out / "secret")
        for tried in (store.put("log/x", b"x"), read(store, "log/secret"), read(store, "one"), store.stat("one")):
            with pytest.raises(StoreFailed):
                await tried
        assert [each.name async for each in store.list()] == []

    play(scene)


class Cut:
    """A double before a real client: it breaks off at one call, or says something else of what was sent."""

    def __init__(self, client: Any, cut_at: str, number: int = 1, lies: bool = False) -> None:
        self._client, self._cut_at, self._left, self._lies = client, cut_at, number, lies
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)

        def call(*args: Any, **values: Any) -> Any:
            self.calls.append(name)
            if name == self._cut_at:
                self._left -= 1
                if self._left == 0 and not self._lies:
                    raise ConnectionError("cut")
            answer = real(*args, **values)
            return answer | {"ChecksumSHA256": "AAAA"} if self._lies and name == self._cut_at else answer

        return call


def cut(store: Any, *args: Any, **how: Any) -> Cut:
    store._calls._client = cut = Cut(getattr(store._calls._made(), "_client", store._calls._made()), *args, **how)
    return cut


def test_an_upload_that_is_cut_anywhere_goes_on_and_is_whole_in_the_end(aws: Aws, tmp_path: Path) -> None:
    async def scene() -> None:
        there = bucket(aws)
        store, file = there.store(), tmp_path / "file"
        file.write_bytes(os.urandom(TWO_PARTS))
        for place in (
            ("create_multipart_upload", 1),
            ("upload_part", 1),
            ("upload_part", 2),
            ("complete_multipart_upload", 1),
            ("head_object", 2),
        ):
            double = cut(store, *place)
            with pytest.raises(StoreFailed):
                await store.put_file(NAME, file, kept_until=time.time() + 3600)
        double = cut(store, "nothing")
        receipt = await store.put_file(NAME, file, kept_until=time.time() + 3600)
        assert "upload_part" not in double.calls  # all of it was there: only asked for once more
        assert await read(store, NAME) == file.read_bytes()
        assert (there.keys_of(), there.uploads()) == ([f"{PREFIX}/{NAME}"], 0)
        assert receipt.kept_until > time.time() + 3500
        with pytest.raises(StillKept, match="Object Lock keeps it until"):
            await store.delete(NAME)
        await store.close()

    play(scene)


@pytest.mark.parametrize(
    ("call", "size"), [("upload_part", TWO_PARTS), ("complete_multipart_upload", TWO_PARTS), ("head_object", 9)]
)
def test_a_store_that_says_another_checksum_is_not_believed(
    call: str, size: int, locked: Bucket, tmp_path: Path
) -> None:
    async def scene() -> None:
        store, file = locked.store(object_lock="off"), tmp_path / "file"
        file.write_bytes(bytes(size))
        cut(store, call, lies=True)
        with pytest.raises(StoreFailed, match=r"other bytes|says AAAA"):
            await store.put_file(f"{call.replace('_', '')}.hoopx", file)
        await store.close()

    play(scene)


def test_what_is_held_or_hidden_is_still_there(aws: Aws, tmp_path: Path) -> None:
    async def scene() -> None:
        there = bucket(aws)
        store, file = there.store(), tmp_path / "file"
        file.write_bytes(b"kept")
        await store.put_file(NAME, file)
        await store.keep(NAME, held=True)
        assert (await store.stat(NAME)).held
        with pytest.raises(StillKept, match="legal hold"):
            await store.delete(NAME)
        there.admin.delete_object(Bucket=there.name, Key=f"{PREFIX}/{NAME}")  # a mark of deletion, by somebody else
        assert await read(store, NAME) == b"kept"
        assert (await store.stat(NAME)).held
        await store.keep(NAME, held=False, version=(await store.stat(NAME)).version)
        await store.delete(NAME)
        assert there.keys_of() == []
        await store.close()

    play(scene)


def test_the_objects_of_others_are_left_alone(aws: Aws, tmp_path: Path) -> None:
    async def scene() -> None:
        there = bucket(aws)
        theirs = (f"{PREFIX}-other/{NAME}", f"{PREFIX}/{NAME}.copy", f"{PREFIX}/notes")
        for key in theirs:
            there.admin.put_object(Bucket=there.name, Key=key, Body=b"theirs")
        there.admin.create_multipart_upload(Bucket=there.name, Key=f"{PREFIX}/big/theirs")
        there.admin.create_multipart_upload(Bucket=there.name, Key=f"{PREFIX}/{NAME}")  # long ago, says this server
        store, file = there.store(), tmp_path / "file"
        await store.check()
        assert there.uploads() == 1  # ours was given back
        file.write_bytes(b"ours")
        await store.put_file(NAME, file)
        assert [each.name async for each in store.list("s_")] == [NAME, f"{NAME}.copy"]
        await store.delete(NAME)
        assert sorted(there.keys_of()) == sorted(theirs)
        await store.close()

    play(scene)


def test_what_is_wrong_with_a_bucket_is_said_with_its_remedy(aws: Aws) -> None:
    async def refused(store: Any) -> tuple[type[Exception], str]:
        try:
            await store.check()
        except (Unfit, StoreFailed) as error:
            return type(error), f"{error.message}; {error.hint}"
        finally:
            await store.close()
        return type(None), ""

    async def scene() -> None:
        there = bucket(aws)
        cases = [
            (bucket(aws, lock=False), {}, Unfit, "keeps no versions"),
            (bucket(aws, lock=False, versions=True), {}, Unfit, "has no Object Lock"),
            (there, {"endpoint": "http://127.0.0.1:9"}, StoreFailed, "cannot be reached"),
            (there, {"access_key_id": "AKIANOBODY"}, StoreFailed, "does not know the broker's access key"),
            (Bucket(aws, bucket(aws).name, there.keys), {}, StoreFailed, "refuses access; let the broker's identity"),
        ]
        for where, changes, kind, said in cases:
            found, text = await refused(where.store(**changes))
            assert (found, said in text) == (kind, True), text
        admin = {"access_key_id": aws.admin.access_key_id, "secret_access_key": aws.admin.secret_access_key}
        found, text = await refused(Bucket(aws, "evidence-none", there.keys).store(**admin))
        assert (found, "there is no bucket" in text) == (Unfit, True), text

    play(scene)


@pytest.mark.parametrize("text", ["", "//", "bucket", "//B/x", "//bucket/../x", "//bucket//a//b", "//bucket/a?b"])
def test_what_is_no_place_in_s3_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="BUCKET/PREFIX"):
        Place.parse(text)
    assert str(Place.parse("//bucket/a/b/")) == "s3://bucket/a/b"
