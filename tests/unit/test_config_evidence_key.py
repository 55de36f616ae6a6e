"""`evidence.key` in the configuration: brokers that share one key sign one log, and a slip stops the start."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.keyring import keyring_of, replace_key
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.storage import log
from hoopx_broker.storage.brokers import Place
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import BrokerConfig, StateUrl
from tests.unit.log_stage import LogStage, played
from tests.unit.test_config_state import REST


def configured(home: Path, key: str = "") -> BrokerConfig:
    (home / "rules").mkdir(parents=True, exist_ok=True)
    named = f"evidence: {{key: '{key}'}}" if key else ""
    (home / "hoopx.yaml").write_text(f"state: sqlite:state.db\n{named}{REST}")
    return load(home / "hoopx.yaml", {"EVIDENCE": key})


def private(folder: Path, name: str = "brokers.test") -> tuple[str, Path]:
    """A key that brokers share: its public half, and the file with the private one."""
    return EvidenceKey.load_or_create(folder / "shared.key", name).verifier, folder / "shared.key"


def test_brokers_that_are_given_one_key_have_the_same(tmp_path: Path) -> None:
    public, file = private(tmp_path / "vault")
    for name in ("a", "b"):
        ring = keyring_of(configured(tmp_path / name, f"file:{file}"))
        assert (ring.key.verifier, ring.is_shared) == (public, True)
        assert not (tmp_path / name / "keys" / "evidence.key").exists()


@pytest.mark.parametrize("content", ["not a key", "PRIVATE+KEY+a+00000000+AAAA"])
def test_what_is_no_key_is_found_at_start_and_not_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "shared.key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(BadConfig, match="is not an evidence key") as refused:
        configured(tmp_path, f"file:{file}")
    assert content not in str(refused.value)


def logged(home: Path, key: EvidenceKey) -> str:
    """A log as a broker with `key` has begun it; gives its origin."""

    async def scene(stage: LogStage) -> str:
        return (await stage.signs()).origin

    return played(scene, home, key)


def test_a_key_is_replaced_while_no_broker_runs_and_only_where_there_is_a_log(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    with pytest.raises(BadInput, match="no log yet") as refused:
        replace_key(settings, None, 100)
    assert "start the broker once" in refused.value.hint
    assert not (tmp_path / "state.db").exists()
    key = keyring_of(settings).key
    logged(tmp_path, key)
    old, new = replace_key(settings, None, 100)
    assert (old.verifier, keyring_of(settings).key.verifier) == (key.verifier, new.verifier)
    replace_key(settings, None, 200)  # once more before the next start
    assert len(keyring_of(settings).notes) == 2


def test_a_key_is_not_replaced_under_a_broker_that_runs(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    key = keyring_of(settings).key
    logged(tmp_path, key)
    replace_key(settings, None, 100)
    for held in (settings.state, settings.keys / "home"):
        with _held_elsewhere(held), pytest.raises(BadInput) as refused:
            replace_key(settings, None, 200)
        assert "stop it first" in refused.value.hint
        assert len(keyring_of(settings).notes) == 1


@contextmanager
def _held_elsewhere(path: object) -> Iterator[None]:
    """As a broker holds it: the kernel gives such a lock to a process."""
    work = "import sys, pathlib\nfrom hoopx_broker.storage.hold import Hold\nhold = Hold(pathlib.Path(sys.argv[1]))\n"
    command = [sys.executable, "-c", f"{work}print(flush=True)\ninput()", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        yield
        process.communicate("\n")
    assert process.returncode == 0


def test_on_postgresql_a_key_is_not_replaced_while_any_broker_runs_with_it(tmp_path: Path, state_url: StateUrl) -> None:
    settings = replace(configured(tmp_path), state=state_url)
    key = keyring_of(settings).key

    async def scene() -> None:
        state = await Store.open(state_url)
        try:
            place = Place("another home", "https://b.broker.test", key.verifier)
            await state.join(place, _nothing_to_end)
            await LogStage(state, LocalStore(tmp_path / "recordings"), tmp_path / "recordings", key).signs()
            with pytest.raises(BadInput, match=r"https://b\.broker\.test"):
                await asyncio.to_thread(replace_key, settings, None, int(time.time()))
        finally:
            await state.close()

    asyncio.run(scene())
    assert replace_key(settings, None, int(time.time()))[0].verifier == key.verifier


async def _nothing_to_end(_: str) -> None:
    """What a broker without sessions does when it is cut off."""


def test_a_key_that_signs_no_log_is_not_replaced(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    logged(tmp_path, EvidenceKey.load_or_create(tmp_path / "elsewhere.key", "broker.test"))
    with pytest.raises(BadInput, match="signed with another key"):
        replace_key(settings, None, 100)


def test_a_shared_key_is_replaced_into_a_file(tmp_path: Path) -> None:
    _, file = private(tmp_path / "vault")
    settings = configured(tmp_path, f"file:{file}")
    shared = EvidenceKey.parse(Secret(file.read_text()), "vault")
    logged(tmp_path, shared)
    with pytest.raises(BadInput, match="nothing is written") as refused:
        replace_key(settings, None, 100)
    assert "--to FILE" in refused.value.hint
    _, new = replace_key(settings, tmp_path / "new.key", 100)
    assert keyring_of(settings).key.verifier == shared.verifier  # until the new one is put where the old one was
    (tmp_path / "new.key").replace(file)
    ring = keyring_of(configured(tmp_path, f"file:{file}"))
    assert ring.key.verifier == new.verifier
    assert [str(key) for key in ring.older] == [shared.verifier]


def test_brokers_that_share_a_key_take_turns_with_one_log(tmp_path: Path) -> None:
    """Whichever is there signs: each has a disk of its own, and the state in common."""
    _, file = private(tmp_path / "vault")
    key = keyring_of(configured(tmp_path / "a", f"file:{file}")).key

    async def scene(stage: LogStage) -> None:
        before = await stage.signs()
        other = LogStage(stage.state, stage.store, stage.directory, keyring_of(settings).key)
        await other.notes(3)
        after = await other.signs()
        assert (after.key, after.size) == (before.key, before.size + 3)
        assert await stage.state.run(log.waiting) == 0

    settings = configured(tmp_path / "b", f"file:{file}")
    played(scene, tmp_path / "state", key)
