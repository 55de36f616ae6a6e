"""The log over HTTP, as a stranger reads it with nothing but the C2SP specifications; and the audit of all evidence."""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.golden.cli_json import as_told
from tests.journeys.stage import Stage, running
from tests.journeys.test_revocation import tls_of
from tests.peers import clients
from tests.peers.processes import eventually

TARGET = "shop-prod"
PAGE = (Path(__file__).parents[2] / "docs/evidence.md").read_text(encoding="utf-8")


class Reader:
    """Reads a log by c2sp.org/tlog-tiles and checks its checkpoints by c2sp.org/signed-note; knows nothing of hoopx."""

    def __init__(self, http: httpx2.Client, key: str) -> None:
        self._http = http
        self._name, self._id, encoded = key.split("+", 2)
        self._key = base64.b64decode(encoded)
        assert self._id == sha256(self._name.encode() + b"\n" + self._key).digest()[:4].hex()

    def checkpoint(self) -> tuple[int, bytes]:
        """Size and root, as the key signed them."""
        text, signatures = self._get("checkpoint").decode().split("\n\n")
        text += "\n"
        [line] = [line for line in signatures.splitlines() if line.startswith(f"\N{EM DASH} {self._name} ")]
        signature = base64.b64decode(line.rpartition(" ")[2])
        assert signature[:4].hex() == self._id
        Ed25519PublicKey.from_public_bytes(self._key[1:]).verify(signature[4:], text.encode())
        _, size, root, *_ = text.splitlines()
        return int(size), base64.b64decode(root)

    def hashes(self, level: int, count: int) -> list[bytes]:
        """So many of the hashes at a level of tiles, from all its tiles."""
        found: list[bytes] = []
        for n in range(0, count, 256):
            width = min(256, count - n)
            tile = self._get(f"tile/{level}/{path(n // 256)}" + (f".p/{width}" if width < 256 else ""))
            assert len(tile) == 32 * width
            found += [tile[at : at + 32] for at in range(0, len(tile), 32)]
        return found

    def entries(self, count: int, token: str) -> list[bytes]:
        """All leaves."""
        found: list[bytes] = []
        for n in range(0, count, 256):
            width = min(256, count - n)
            name = f"tile/entries/{path(n // 256)}" + (f".p/{width}" if width < 256 else "")
            bundle, at = self._get(name, token), 0
            while at < len(bundle):
                end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
                found.append(bundle[at + 2 : end])
                at = end
        return found

    def status(self, name: str, token: str = "") -> int:
        return self._answer(name, token).status_code

    def _get(self, name: str, token: str = "") -> bytes:
        answer = self._answer(name, token)
        assert answer.status_code == 200, (name, answer.text)
        return answer.content

    def _answer(self, name: str, token: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._http.get(f"/log/{name}", headers=headers)


def path(n: int) -> str:
    """1234067 is x001/x234/067."""
    parts = [f"{n % 1000:03}"]
    while n := n // 1000:
        parts.append(f"x{n % 1000:03}")
    return "/".join(reversed(parts))


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, over hashes of leaves."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


@contextmanager
def read(stage: Stage) -> Iterator[Reader]:
    key = stage.hoopx("broker", "keys", "--config", str(stage.config)).fine().out.strip().splitlines()[-1]
    with httpx2.Client(base_url=stage.url, verify=tls_of(stage), trust_env=False, timeout=60) as http:
        yield Reader(http, key)


def token(stage: Stage, who: str) -> str:
    return stage.environment(who)["HOOPX_TOKEN"]


def test_a_stranger_reads_the_log_and_finds_that_it_only_grows(stage: Stage, tmp_path: Path) -> None:
    stage.psql(TARGET, "SELECT 'before'").fine()
    with read(stage) as reader:
        size, root = reader.checkpoint()
        kept = reader.hashes(0, size)
        assert root_of(kept) == root
        for word in ("one", "another"):
            stage.psql(TARGET, f"SELECT '{word}'").fine()
        [session, *_] = [each["id"] for each in stage.listed("sessions", "ls")]
        leaf, index = exported(stage, session, tmp_path / "copy.hoopx")
        later, newest = reader.checkpoint()
        hashes = reader.hashes(0, later)
        assert later > index >= size
        assert root_of(hashes) == newest
        assert hashes[:size] == kept, "the one goes on from the other"
        assert hashes[index] == sha256(b"\x00" + leaf).digest(), "the seal is where its proof says"
        above = reader.hashes(1, later // 256)
        assert above == [root_of(hashes[n * 256 : (n + 1) * 256]) for n in range(later // 256)]
        assert [sha256(b"\x00" + each).digest() for each in reader.entries(later, token(stage, "olga"))] == hashes
        assert reader.status(f"tile/0/{path(later // 256 + 1)}") == 404, "beyond its end there is nothing"


def exported(stage: Stage, session: str, copy: Path) -> tuple[bytes, int]:
    """The leaf of its seal, and where the exported proof says that it is."""
    stage.hoopx("sessions", "export", session, "--to", str(copy)).fine()
    content = copy.read_bytes()
    part = json.loads(content[21 : 21 + int.from_bytes(content[17:21], "big")])
    [index] = [line.split()[1] for line in part["proof"].splitlines() if line.startswith("index ")]
    return part["leaf"].encode(), int(index)


def test_hashes_are_for_everybody_and_entries_for_whom_policy_lets(stage: Stage) -> None:
    with read(stage) as reader:
        size, _ = reader.checkpoint()
        name = "tile/entries/000" + (f".p/{size}" if size < 256 else "")
        assert reader.status(name) == 401
        assert reader.status(name, token(stage, "ann")) == 403
        assert reader.status(name, token(stage, "olga")) == 200
        for odd in ("tile/0/000.p/0", "tile/0/..%2f..%2fkeys", "tile/9/000", "tile/entries/x000/000", "keys/0001"):
            assert reader.status(odd, token(stage, "olga")) == 404, odd


@pytest.mark.parametrize("body", [b'{"target":"\xff\xfe"}', b'{"target":' + b"[" * 30_000, b"[]", b'{"target":'])
def test_a_body_that_is_no_message_is_bad_input(stage: Stage, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {token(stage, 'ann')}"}
    url = f"{stage.url}/v1/requests"
    answer = httpx2.post(url, content=body, headers=headers, verify=tls_of(stage), trust_env=False, timeout=60)
    assert (answer.status_code, "malformed" in answer.json()["error"]["message"]) == (400, True)


def test_the_audit_tells_what_is_there_while_sessions_run_and_names_what_was_changed(
    stage: Stage, tmp_path: Path
) -> None:
    stage.psql(TARGET, "SELECT 'over'").fine()
    whole, quickly, _ = written("Check all of it", stage)
    print_newest, since = written("Read the log", stage)
    kept = tmp_path / "checkpoint.kept"
    kept.write_text(stage.hoopx(*print_newest[:4]).fine().out)
    with running(stage, "exec", TARGET, "--", *clients.psql("SELECT 1"), "-c", "\\! sleep 60") as command:
        command.says(r"1\n")
        told = stage.hoopx(*whole, "-v").fine()
        quiet = stage.hoopx(*quickly, "-q").fine()
        counts = as_told("audit verify", stage.hoopx(*since[:-1], str(kept), "-o", "json").fine().out)[0]["counts"]
    assert told.out == quiet.out == quiet.err == ""
    first, *lines = told.err.splitlines()
    assert first.endswith("recordings: all in order")
    assert all(" MB" not in line for line in lines), "progress is for terminals"
    assert any("without a seal yet, the oldest since" in line for line in lines), lines
    assert counts["proved"] >= 1
    assert counts["running"] >= 1
    _names_what_was_changed(stage, tmp_path / "copy")


def written(heading: str, stage: Stage, **places: str) -> list[list[str]]:
    """The commands below a heading of docs/evidence.md, for this stage."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    known = {"hoopx.yaml": str(stage.config)} | places
    lines = [shlex.split(line, comments=True) for line in commands.splitlines()]
    assert all(line[0] == "hoopx" for line in lines)
    return [[known.get(word, word) for word in line[1:]] for line in lines]


def test_healthz_says_of_evidence_what_the_page_says_that_it_does(stage: Stage) -> None:
    told = re.findall(
        r"^\| `(\w+)` \|", PAGE.partition("## What `/healthz` says")[2].partition("\n## ")[0], re.MULTILINE
    )
    said = httpx2.get(f"{stage.url}/healthz", verify=tls_of(stage), trust_env=False, timeout=60).json()
    assert len(told) >= 5
    assert set(told) <= set(said)
    assert said["log_size"] > 0


def _names_what_was_changed(stage: Stage, copy: Path) -> None:
    """In a copy, with the key and nothing else, on a machine that has no broker."""
    eventually(lambda: not stage.listed("sessions", "ls", "--state", "open"), "what ran is over")
    shutil.copytree(stage.home / "recordings", copy)
    [session, *_] = [each.stem for each in copy.glob("s_*.hoopx") if b"SELECT 'over'" in each.read_bytes()]
    key = stage.hoopx("broker", "keys", "--config", str(stage.config)).fine().out.strip().splitlines()[-1]
    *_, audit = written("Check all of it", stage, **{"copied-recordings": str(copy), "$KEY": key})
    nowhere = {"HOOPX_BROKER": "https://127.0.0.1:9", "HOOPX_TOKEN": ""}
    stage.hoopx(*audit, **nowhere).fine()
    place = copy / f"{session}.hoopx"
    whole = bytearray(place.read_bytes())
    whole[whole.index(b"SELECT 'over'")] ^= 1
    place.write_bytes(whole)
    quick = stage.hoopx(*audit, "--quick", **nowhere)
    assert "quick: of sealed recordings only size, head and seal were looked at" in quick.err
    found = stage.hoopx(*audit, **nowhere)
    assert found.code == 2
    assert "recording changed" in found.out
    assert f"`{session}.hoopx`: entry" in found.out
