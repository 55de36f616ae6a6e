"""Read what somebody sent: whatever cannot be read, for whatever reason, is bad input and nothing worse."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from hoopx_broker.terms.errors import BadInput

_Shape = TypeVar("_Shape")


def received(data: bytes, decoder: msgspec.json.Decoder[_Shape], what: str) -> _Shape:
    """Raises `BadInput`, also for what is no UTF-8, or nested deeper than any message."""
    try:
        return decoder.decode(data)
    except RecursionError as error:
        raise BadInput(f"{what} is malformed: it is nested too deep", "upgrade hoopx") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{what} is malformed: it is no UTF-8", "upgrade hoopx") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInput(f"{what} is malformed: {error}", "upgrade hoopx") from error
