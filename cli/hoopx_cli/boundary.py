"""Know whether a stream stands between two messages, without looking at more than its end where much goes through."""

from __future__ import annotations

# Up to here each message is walked over, so that it is known for sure. Large answers go through unread: walking over
# their rows would cost more than carrying them.
MAX_WALKED = 2048
# ReadyForQuery, without its last byte: what ends every answer.
_READY = b"Z\0\0\0\5"


class Boundary:
    """Fed with what the server says, it tells whether a message of our own may follow.

    Behind a large piece it goes by its end. A binary value could end like that by chance; whoever is told the error
    then has a connection that ends in either case.
    """

    __slots__ = ("is_between",)

    def __init__(self) -> None:
        self.is_between = True

    def feed(self, data: bytes) -> None:
        if self.is_between and len(data) <= MAX_WALKED:
            self.is_between = _is_whole(data)
        else:
            self.is_between = data[-6:-1] == _READY


def _is_whole(data: bytes) -> bool:
    at, end = 0, len(data)
    while at + 5 <= end:
        at += 1 + max(4, int.from_bytes(data[at + 1 : at + 5], "big"))
    return at == end
