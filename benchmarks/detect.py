"""The detectors alone, over whole rows in reads of 256 KiB: `python -m benchmarks.detect`. CPU time only."""

from __future__ import annotations

import base64
import random
import struct
import time
from collections.abc import Callable

from hoopx_broker.masking.detect import Detection
from hoopx_broker.masking.detectors import BUILT_IN
from hoopx_broker.terms.masks import Detector
from hoopx_broker.wire.postgres import detecting

_READ = 256 * 1024
_READS = 32
_TEXT = (25, 0)
_WORDS = [
    "the",
    "order",
    "of",
    "a",
    "blue",
    "widget",
    "was",
    "shipped",
    "to",
    "Berlin",
    "yesterday",
    "and",
    "paid",
    "by",
    "transfer",
    "note",
    "about",
    "quantity",
]

Cells = Callable[[random.Random], list[bytes]]


def _prose(dice: random.Random) -> list[bytes]:
    return [" ".join(dice.choices(_WORDS, k=6)).encode() for _ in range(6)]


def _business(dice: random.Random) -> list[bytes]:
    number, price = str(dice.randrange(10**7)).encode(), f"{dice.random() * 100:.2f}".encode()
    return [number, b"shipped", b"2024-01-02 03:04:05.123456+02", price, *_prose(dice)[:2]]


def _uuids(dice: random.Random) -> list[bytes]:
    digits = dice.randbytes(16).hex()
    return [f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode(), *_prose(dice)[:3]]


def _base64(dice: random.Random) -> list[bytes]:
    return [base64.b64encode(dice.randbytes(60)) for _ in range(4)]


def _some(share: float, cells: Cells) -> Cells:
    """With an e-mail address in that share of the rows."""
    return lambda dice: [*cells(dice)[:-1], b"mail to ann@example.com" if dice.random() < share else b"mail to nobody"]


def _reads(cells: Cells) -> list[bytes]:
    dice = random.Random(7)
    reads = []
    for _ in range(_READS):
        rows: list[bytes] = []
        size = 0
        while size < _READ:
            body = b"".join(struct.pack("!i", len(cell)) + cell for cell in cells(dice))
            rows.append(b"D" + struct.pack("!IH", len(body) + 6, len(cells(dice))) + body)
            size += len(rows[-1])
        reads.append(b"".join(rows))
    return reads


def _rate(work: Callable[[bytes], object], reads: list[bytes]) -> float:
    """Megabytes a second, the best of five rounds."""
    took = []
    for _ in range(5):
        start = time.process_time()
        for read in reads:
            work(read)
        took.append(time.process_time() - start)
    return sum(map(len, reads)) / min(took) / 1e6


def main() -> None:
    detection = Detection([Detector(name) for name in BUILT_IN])
    cases = {
        "prose, nothing found": _prose,
        "numbers, days and prose, nothing found": _business,
        "UUIDs as text, nothing found": _uuids,
        "base64, nothing found": _base64,
        "1 % of rows with a hit": _some(0.01, _business),
        "10 % of rows with a hit": _some(0.1, _business),
        "every row with a hit": _some(1, _business),
    }
    for name, cells in cases.items():
        reads = _reads(cells)
        width = len(cells(random.Random(7)))
        seen = _rate(detection.sees, reads)
        hidden = _rate(lambda read, width=width: detecting.hide(read, detection, [_TEXT] * width), reads)  # type: ignore[misc]
        print(f"{name:40} scan {seen:6.0f} MB/s   hide {hidden:6.0f} MB/s")


if __name__ == "__main__":
    main()
