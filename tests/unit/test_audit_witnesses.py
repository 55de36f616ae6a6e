"""`hoopx audit verify --witness`: what a witness cosigned is of this very log, and it was not left out of late."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from hoopx_broker.evidence import log as evidence_log
from hoopx_broker.evidence import witnesses as rounds
from hoopx_broker.evidence.audit_witnesses import Witnesses
from hoopx_broker.evidence.auditing import Audited, Wanted, audit
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.seen import seen_by
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.looking import look
from hoopx_broker.tlog.checkpoints import Checkpoint, parse
from hoopx_broker.tlog.cosignatures import cosign, parse_witness
from hoopx_broker.tlog.notes import Verifier, sign_by, split_note
from tests.peers.witness_double import WitnessDouble, double
from tests.unit.bundle_scene import WITNESS, WITNESS_KEY
from tests.unit.log_stage import NOW, LogStage, staged
from tests.unit.recording_scene import KEY
from tests.unit.witness_stage import Asking, asking, client

KEYS = [Verifier.parse(KEY.verifier)]


@pytest.fixture(scope="module")
def cosigned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, WitnessDouble]]:
    """A broker's directory with a log of 300 leaves, of which the witness has seen all."""
    folder = tmp_path_factory.mktemp("cosigned")
    with double() as witness, pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "PACE_SECONDS", 0.01)
        patch.setattr(evidence_log, "GATHER_SECONDS", 0.01)
        asyncio.run(_signs(folder, witness, 299))
        yield folder, witness


async def _signs(folder: Path, witness: WitnessDouble, count: int) -> None:
    async with staged(folder) as stage:
        await stage.notes(count)
        row = await stage.signs()
        witness.trust(row.origin, row.key)
        async with asking(stage, [client(witness)]) as asks:
            await asks.until_cosigned()
            await asks.until(lambda: _is_in_store(asks))


async def _is_in_store(asks: Asking) -> bool:
    file = asks.stage.file("cosigned")
    return file.exists() and file.read_text() == await asks.log.checkpoint()


def audited(folder: Path, *witnesses: str, with_state: bool = True) -> Audited:
    state = partial(look, folder / "state.db", seen_by("")) if with_state else None
    parsed = tuple(map(parse_witness, witnesses))
    store = LocalStore(folder / "recordings")
    return asyncio.run(audit(store, KEYS, lambda _: None, Wanted(Witnesses(parsed), state)))


def faults(folder: Path, *witnesses: str, with_state: bool = True) -> list[str]:
    return [f"{each.kind}: {each.what}" for each in audited(folder, *witnesses, with_state=with_state).findings]


def copy_of(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to / "copy")
    return to / "copy"


def test_what_a_witness_cosigned_is_told(cosigned: tuple[Path, WitnessDouble]) -> None:
    folder, witness = cosigned
    for with_state in (True, False):
        found = audited(folder, witness.key, with_state=with_state)
        assert found.findings == ()
        assert [(each.witness, each.size) for each in found.cosigned] == [(witness.name, 300)]
        assert audited(folder, with_state=with_state).cosigned == ()


def test_a_witness_that_cosigned_nothing_is_a_fault(cosigned: tuple[Path, WitnessDouble], tmp_path: Path) -> None:
    folder, witness = cosigned
    nothing = f"cosignature: `{WITNESS.name}` has cosigned no checkpoint of this log"
    assert faults(folder, str(WITNESS)) == faults(folder, witness.key, str(WITNESS)) == [nothing]
    copy = copy_of(folder, tmp_path)
    text = (copy / "recordings/log/checkpoint").read_text()
    plain = f"{text.rpartition(chr(10) * 2)[0]}\n\n{split_note(text)[1][0].line()}"
    for name in ("checkpoint", "cosigned"):
        (copy / "recordings/log" / name).write_text(plain)
    assert faults(copy, witness.key, with_state=False) == [nothing.replace(WITNESS.name, witness.name)]
    assert faults(copy, witness.key) == []  # the state has it


def test_a_cosignature_that_does_not_hold_is_a_fault(cosigned: tuple[Path, WitnessDouble], tmp_path: Path) -> None:
    folder, witness = cosigned
    copy = copy_of(folder, tmp_path)
    file = copy / "recordings/log/cosigned"
    note = file.read_text()
    file.write_text(note[:-6] + ("A" if note[-6] != "A" else "B") + note[-5:])
    assert faults(copy, witness.key) == [f"cosignature: the cosignature of `{witness.name}` does not hold"]
    file.write_bytes(b"\xff")
    assert faults(copy) == ["cosignature: `log/cosigned` does not hold: `log/cosigned` in the store is no text"]


def test_a_changed_cosigned_checkpoint_is_found_without_any_witness(
    cosigned: tuple[Path, WitnessDouble], tmp_path: Path
) -> None:
    copy = copy_of(cosigned[0], tmp_path)
    file = copy / "recordings/log/cosigned"
    whole = file.read_bytes()
    for at in (3, whole.index(b"\n300\n") + 1, whole.index(b"\n\n") + 30):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        [fault] = faults(copy, with_state=False)
        assert fault.startswith("cosignature: `log/cosigned` does not hold: ")


def test_a_log_that_does_not_go_on_from_what_was_cosigned_is_a_fault(
    cosigned: tuple[Path, WitnessDouble], tmp_path: Path
) -> None:
    """The key signed two logs, and the witness has seen the other one."""
    folder, _ = cosigned
    copy = copy_of(folder, tmp_path)
    origin = parse(split_note((copy / "recordings/log/checkpoint").read_text())[0]).origin

    def shows(head: Checkpoint) -> list[str]:
        """As the state has it: that its witness saw the other log is what somebody wants to hide."""
        other = sign_by(head.text(), [KEY.signer])
        note = other + cosign(other, WITNESS.name, WITNESS_KEY, int(NOW))
        seen = replace(look(copy / "state.db", seen_by("")), cosigned=(note,))
        store, wanted = LocalStore(copy / "recordings"), Wanted(Witnesses((WITNESS,)), lambda: seen)
        found = asyncio.run(audit(store, KEYS, lambda _: None, wanted)).findings
        return [each.what for each in found]

    assert shows(Checkpoint(origin, 200, bytes(32))) == [
        f"the log does not go on from the 200 leaves that `{WITNESS.name}` has seen"
    ]
    assert shows(Checkpoint(origin, 900, bytes(32))) == [
        f"`{WITNESS.name}` has seen 900 leaves, and there are 300: the end was cut off"
    ]
    assert shows(Checkpoint("other.test/log", 200, bytes(32))) == [
        f"`{WITNESS.name}` cosigned the log `other.test/log`, not this one"
    ]


def test_a_witness_that_was_left_out_of_the_last_hour_is_a_fault(
    cosigned: tuple[Path, WitnessDouble], tmp_path: Path
) -> None:
    folder, witness = cosigned
    copy = copy_of(folder, tmp_path)
    seen_at = audited(folder, witness.key).cosigned[0].at

    async def later(seconds: float) -> None:
        async with staged(copy) as stage:
            await _noted(stage, seen_at + seconds)
            await stage.signs()

    asyncio.run(later(3500))
    assert faults(copy, witness.key) == []
    asyncio.run(later(3700))
    assert faults(copy, witness.key) == [
        f"cosignature: `{witness.name}` has seen 300 of 302 leaves, and none of the last hour"
    ]


async def _noted(stage: LogStage, at: float) -> None:
    event = replace(happened(at, "login.accepted", by="ann@example.com"), at=at)
    await stage.state.run(lambda connection: note(connection, event))
