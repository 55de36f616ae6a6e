"""A block of ours in a person's own file: put there, replaced, and taken out again so that the rest is as it was."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.own_files import OwnFiles

# Behind the first mark: what taking the block out has to undo besides.
_NEW_FILE, _NEW_LINE = " (new file)", " (line ended)"


class Change(Struct, frozen=True):
    """What a file is to become: `after` None where it goes, `before` None where there is none yet."""

    path: Path
    before: str | None
    after: str | None

    @property
    def is_needed(self) -> bool:
        return self.before != self.after


class MarkedBlock:
    """`name` tells it from other blocks; both marks are comments of the file."""

    def __init__(self, name: str, hint: str) -> None:
        self._begin, self._end = f"# hoopx:begin {name}", f"# hoopx:end {name}"
        self._files = OwnFiles(hint)

    def put(self, path: Path, lines: list[str]) -> Change:
        """At the end of the file, or where it stands already. Raises `BadInput` where that is not clear."""
        before = self._read(path)
        if before is None:
            return Change(path, None, self._block(lines, _NEW_FILE))
        kept = before.splitlines(keepends=True)
        place = self._place(path, kept)
        if place is not None:
            begin, end = place
            block = self._block(lines, self._undone(kept[begin]))
            return Change(path, before, "".join([*kept[:begin], block, *kept[end + 1 :]]))
        is_ended = not before or before.endswith("\n")
        block = self._block(lines, "" if is_ended else _NEW_LINE)
        return Change(path, before, before + ("" if is_ended else "\n") + block)

    def take_out(self, path: Path) -> Change:
        """Exactly the block. A file that was made for it goes with it, unless something else is in it by now."""
        before = self._read(path)
        kept = (before or "").splitlines(keepends=True)
        place = self._place(path, kept)
        if place is None:
            return Change(path, before, before)
        begin, end = place
        undone, above, below = self._undone(kept[begin]), "".join(kept[:begin]), "".join(kept[end + 1 :])
        if undone == _NEW_FILE and not above and not below and not path.is_symlink():
            return Change(path, before, None)
        if undone == _NEW_LINE and not below:
            above = above.removesuffix("\n")
        return Change(path, before, above + below)

    def others(self, path: Path) -> str:
        """What the file holds beside the block."""
        change = self.take_out(path)
        return change.after or ""

    def write(self, change: Change) -> None:
        """Raises `BadInput`."""
        if change.before is None and change.after is not None:
            self._files.create(change.path, change.after)
        elif change.after is None:
            self._files.found(change.path).unlink(missing_ok=True)
        else:
            self._files.replace(self._files.found(change.path), change.after)

    def _read(self, path: Path) -> str | None:
        return self._files.read(self._files.found(path)) if os.path.lexists(path) else None

    def _place(self, path: Path, kept: list[str]) -> tuple[int, int] | None:
        begins = [at for at, line in enumerate(kept) if line.startswith(self._begin)]
        ends = [at for at, line in enumerate(kept) if line.strip() == self._end]
        if not begins and not ends:
            return None
        if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
            message = f"the marks of hoopx's block in `{path}` are not a pair any more"
            raise BadInput(message, f"mend the lines `{self._begin}` and `{self._end}`, or remove them")
        return begins[0], ends[0]

    def _undone(self, begin: str) -> str:
        return begin.rstrip("\r\n").removeprefix(self._begin)

    def _block(self, lines: list[str], undone: str) -> str:
        return "".join(f"{line}\n" for line in [self._begin + undone, *lines, self._end])
