"""Which checkpoint of the log to show: the newest with its cosignatures, or the one that most witnesses have seen."""

from __future__ import annotations

from collections.abc import Sequence

from hoopx_broker.storage.cosigned import CosignedRow
from hoopx_broker.storage.log import LogRow


def newest_note(row: LogRow, cosigned: Sequence[CosignedRow]) -> str:
    """The newest checkpoint, with whatever cosignatures it has by now."""
    return next((each.note for each in cosigned if (each.size, each.key) == (row.size, row.key)), row.checkpoint)


def best_note(row: LogRow, cosigned: Sequence[CosignedRow], index: int = 0) -> str:
    """Of those that hold the leaf `index` the one with the most cosignatures, then the newest.

    It is signed by the key that signs now: whoever pinned that one takes no older.
    """
    there = [each for each in cosigned if each.key == row.key and each.size > index]
    return max(there, key=lambda each: (len(each.signatures), each.size)).note if there else row.checkpoint
