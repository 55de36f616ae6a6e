"""The evidence keys of a configured broker: which they are, and how the one that signs is replaced while it stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hoopx_broker.daemon.evidence import host_of
from hoopx_broker.daemon.neighbours import Home
from hoopx_broker.recording.keyring import Keyring, open_keyring, rotate_key
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.storage import brokers, log
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.hold import StateHeld, take
from hoopx_broker.storage.log import LogRow
from hoopx_broker.storage.looking import look
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.settings import BrokerConfig


def keyring_of(settings: BrokerConfig) -> Keyring:
    """Raises `BadInput`."""
    given = settings.evidence.key
    shared = EvidenceKey.parse(given, "evidence.key") if given is not None else None
    return open_keyring(settings.keys, host_of(settings.public_url), shared)


def replace_key(settings: BrokerConfig, to: Path | None, now: int) -> tuple[EvidenceKey, EvidenceKey]:
    """The key that signed and the one that does from the next start on. Raises `BadInput`, also while a broker runs."""
    shared = settings.evidence.key is not None
    if shared and to is None:
        raise BadInput(
            "the key comes from `evidence.key` in the configuration, where nothing is written",
            "say where the new one goes: --to FILE",
        )
    if to is not None and not shared:
        raise BadInput("`--to` is for a key that comes from `evidence.key`", "leave it out")
    with _nobody_runs(settings):
        ring = keyring_of(settings)
        origin = _origin(settings, ring, now)
        return ring.key, rotate_key(settings.keys, ring, origin, now, to=to)


@contextmanager
def _nobody_runs(settings: BrokerConfig) -> Iterator[None]:
    """As long as this lasts, no broker starts with these keys, or on this file."""
    home = Home.take(settings.keys)
    if home.hold is None or not home.is_alone:
        if home.hold is not None:
            home.hold.let_go()
        raise BadInput(f"a broker runs with the keys in `{settings.keys}`", _STOP)
    try:
        # A state that is not there is not made: it has no log either.
        state = take(settings.state) if isinstance(settings.state, Path) and settings.state.exists() else None
    except StateHeld as error:
        home.hold.let_go()
        raise BadInput(error.message, _STOP) from error
    try:
        yield
    finally:
        home.hold.let_go()
        if state is not None:
            state.let_go()


def _origin(settings: BrokerConfig, ring: Keyring, now: float) -> str:
    """Of the log that the new key goes on with."""
    is_file = isinstance(settings.state, Path)
    if is_file and not settings.state.exists():  # type: ignore[union-attr]
        raise BadInput("there is no log yet that a new key could go on with", _START)

    def work(connection: Connection) -> tuple[LogRow | None, tuple[brokers.Broker, ...]]:
        return log.read(connection), brokers.listed(connection)

    row, there = look(settings.state, work)
    if row is None:
        raise BadInput("there is no log yet that a new key could go on with", _START)
    if row.key not in {ring.key.verifier, *map(str, ring.older)}:
        raise BadInput(
            f"the log of this state is signed with another key, `{row.key}`",
            "rotate the key where that one is; brokers on one state share it (`evidence.key`)",
        )
    since = now - brokers.GONE_SECONDS
    living = [each.url for each in there if each.verifier == ring.key.verifier and each.seen_at > since]
    if living and not is_file:  # a file is held by now: what its registry has left is gone
        raise BadInput(f"brokers run with this key: {', '.join(sorted(living))}", _STOP)
    return row.origin


_STOP = "stop it first, run this again, and start it: it signs with the new key then"
_START = "start the broker once; until then there is nothing that the old key signed"
