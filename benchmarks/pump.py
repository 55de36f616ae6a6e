"""The pump alone: engine, court, masking plan and recorder, between two peers that cost nothing. CPU time only."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.session.court import Bench, Court, Hearing
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.pump import Pump
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.session.surroundings import Surroundings
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.engine import Engine
from hoopx_broker.wire.postgres.frames import message
from hoopx_broker.wire.postgres.login import Upstream

POLICIES = Path(__file__).parents[1] / "policies"
ANN = Principal("ann", "human", ("developers",))
_EMAIL = ColumnName("public", "people", "email")
_RELATIONS = {n: Relation(n, "public", name, "r") for n, name in enumerate(("accounts", "people"), 1)}
_CATALOG = Catalog(_RELATIONS, {each.name: (each,) for each in _RELATIONS.values()}, {_EMAIL: ((2, 3),)})

_COLUMN = b"abalance\0" + (1).to_bytes(4, "big") + b"\0\3" + (23).to_bytes(4, "big") + b"\0\4\xff\xff\xff\xff\0\0"
_ROW = (
    message(frames.ROW_DESCRIPTION, b"\0\1" + _COLUMN)
    + message(frames.DATA_ROW, b"\0\1\0\0\0\0010")
    + message(frames.COMMAND_COMPLETE, b"SELECT 1\0")
    + message(frames.READY, b"I")
)
_BIND = message(frames.BIND, b"\0one\0\0\0\0\1\0\0\0\00512345\0\1\0\0")
_RUN = _BIND + messages.describe_portal(b"") + message(frames.EXECUTE, b"\0\0\0\0\0") + messages.SYNC
_PARSED = message(frames.PARSE_COMPLETE, b"") + message(frames.READY, b"I")
_WELCOME = message(frames.AUTHENTICATION, b"\0\0\0\0") + message(frames.READY, b"I")
_PREPARE = messages.parse(b"one", b"SELECT abalance FROM accounts WHERE aid = $1") + messages.SYNC
_QUERY = messages.query(b"SELECT abalance FROM accounts")


_TARGET = Target(
    "bench", "postgres", "127.0.0.1", 1, "app", UpstreamTls("disable", None), "static", {"env": "prod"},
    {_EMAIL: "email"},
)  # fmt: skip


class _Nowhere:
    """Both ends: takes everything and says nothing."""

    def send(self, data: bytes) -> None: ...
    def write(self, data: bytes) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


def measure_pump(times: int) -> dict[str, float]:
    """Microseconds of CPU for one statement: the least of five runs of `times`."""
    with tempfile.TemporaryDirectory(prefix="hoopx-bench-") as place:
        return asyncio.run(_measure(Path(place), times))


async def _measure(place: Path, times: int) -> dict[str, float]:
    reader = StatementReader()
    try:
        pump = _pump(place, reader)
        pump.client_says(messages.startup({"user": "ann"}))
        pump.backend_says(_WELCOME)
        await _first(pump, _PREPARE, _PARSED)
        await _first(pump, _QUERY, _ROW)
        bound = message(frames.BIND_COMPLETE, b"") + _ROW
        return {
            "Bind, Describe, Execute, Sync": _least(lambda: _exchange(pump, _RUN, bound), times),
            "Query": _least(lambda: _exchange(pump, _QUERY, _ROW), times),
            "Query with new constants": await _least_new(pump, max(times // 10, 1)),
        }
    finally:
        await reader.close()


def hearing(reader: StatementReader) -> Hearing:
    """A stream before the court, by the policies that come with hoopx."""
    judge = CedarJudge(load(POLICIES))
    bench = Bench(lambda: judge, reader, _read_catalog, _ask_nobody, Ground(), _clock)
    return Court(bench, ANN, _TARGET, _CATALOG).hear()


def _pump(place: Path, reader: StatementReader) -> Pump:
    opened = Opened("s_bench", ANN, "bench", "postgres", "app", "", "", "", 0.0, 1.0)
    recorder = Recorder.create(place, opened, EvidenceKey.load_or_create(place / "key", "bench"), time.monotonic)
    upstream = Upstream(DatabaseLogin("ann", Secret("none")), "app", tls=False)
    engine = Engine(StreamId("t_bench"), "bench", upstream, b"12345678", b"n" * 18)
    around = Surroundings(
        _TARGET, hearing(reader), Crew(_fail), recorder.write, lambda *_: None, _cancel, lambda _: None
    )
    pump = Pump(engine, _Nowhere(), around, tls=False)
    _stand(pump)
    return pump


def _stand(pump: Pump) -> None:
    """In the place of a connection to a server."""
    pump._reaching.is_begun = True
    pump._backend._transport = cast(asyncio.Transport, _Nowhere())


async def _first(pump: Pump, said: bytes, answer: bytes) -> None:
    """A statement that is new to the court: its ruling takes its time."""
    pump.client_says(said)
    if pump._wait.task is not None:
        await pump._wait.task
    pump.backend_says(answer)


def _exchange(pump: Pump, said: bytes, answer: bytes) -> None:
    pump.client_says(said)
    pump.backend_says(answer)


def _least(work: Callable[[], None], times: int) -> float:
    return min(_once(work, times) for _ in range(5))


async def _least_new(pump: Pump, times: int) -> float:
    """Of statements that the reader has to be asked about; its own time, in another process, is not counted."""
    return min([await _once_new(pump, range(start, start + times)) for start in range(0, 5 * times, times)])


async def _once_new(pump: Pump, constants: range) -> float:
    begun = time.process_time()
    for constant in constants:
        await _first(pump, messages.query(b"SELECT abalance FROM accounts WHERE aid = %d" % constant), _ROW)
    return (time.process_time() - begun) / len(constants) * 1e6


def _once(work: Callable[[], None], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times * 1e6


def _clock() -> float:
    """Always the same minute, so that what was ruled on stays so."""
    return 0.0


async def _read_catalog(before: Catalog | None) -> Catalog:
    return _CATALOG


async def _ask_nobody(*_: Any) -> tuple[frozenset[str], str] | Deny:
    return Deny("nobody is here", "bench")


def _cancel(_: bytes) -> Coroutine[Any, Any, None]:
    return asyncio.sleep(0)


def _fail(name: str, error: BaseException) -> None:
    raise SystemExit(f"{name}: {error!r}")
