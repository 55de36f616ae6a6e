"""Passes are given by the first worker and used at any: the one that a pass is shown to takes it over."""

from __future__ import annotations

from typing import Any

import msgspec

from hoopx_broker.identity.passes import Pass, Passes
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.post import Others

PASS = b"p"  # asked of the first worker, with the word


async def fetch(others: Others, passes: Passes, word: Secret) -> Pass | None:
    """None where the first worker has no such pass: it is no pass, or another worker's by now."""
    if others.number == 0:
        return None
    answer = await others.ask(0, PASS, word.reveal().encode())
    if not answer:
        return None
    found = msgspec.msgpack.decode(answer, type=Pass, dec_hook=_read)
    passes.take(found)
    return found


def handed_over(passes: Passes, word: bytes) -> bytes:
    """The answer to `fetch`; empty where there is none."""
    found = passes.hand_over(Secret(word.decode(errors="replace")))
    return b"" if found is None else msgspec.msgpack.encode(found, enc_hook=_write)


def _write(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


def _read(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret(value)
    raise NotImplementedError
