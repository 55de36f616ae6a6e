"""The parameters of a prepared statement as text, for rules that look at them."""

from __future__ import annotations

from hoopx_broker.recording.cells import BINARY, form_of, shown
from hoopx_broker.wire.effects import Judge


def as_text(asked: Judge) -> tuple[str | None, ...]:
    """Each value as PostgreSQL would write it, None for NULL.

    A binary value of a type that is not known here, or was never told, is `\\x` and hexadecimal digits.
    """
    return tuple(
        _text(value, asked.types[at] if at < len(asked.types) else 0, form_of(asked.formats, at))
        for at, value in enumerate(asked.parameters)
    )


def _text(value: bytes | None, oid: int, form: int) -> str | None:
    if value is None or form == BINARY:
        return shown(value, oid, form)
    return value.decode(errors="backslashreplace")
