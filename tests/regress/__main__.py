"""Run PostgreSQL's own regression suite twice, directly and through hoopx, and tell where the outputs differ.

`python -m tests.regress` runs the whole schedule; with names, those files and what they build on. Ends with 1 where a
difference has no explanation in `explained.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.peers.postgres import Foundry
from tests.regress.compare import Hunk, hunks
from tests.regress.explained import explain
from tests.regress.sides import direct, through
from tests.regress.source import FETCH, Suite, suite


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.regress", description=__doc__)
    parser.add_argument("names", nargs="*", help="files of the suite; all of its schedule without one")
    parser.add_argument("--keep", type=Path, help="a directory for the outputs that differ")
    asked = parser.parse_args()
    found = suite()
    if found is None:
        sys.stderr.write(f"the suite is not here; run {FETCH}\n")
        return 2
    names = [name for name in found.schedule() if not asked.names or name in {"test_setup", *asked.names}]
    with tempfile.TemporaryDirectory() as place:
        foundry = Foundry(Path(place))
        return _run(foundry, found, names, asked.keep)


def _run(foundry: Foundry, found: Suite, names: list[str], keep: Path | None) -> int:
    classes: Counter[str] = Counter()
    equal, explained, open_ = 0, 0, []
    with direct(foundry, found) as one, through(foundry, found) as other:
        for name in names:
            started = time.monotonic()
            said, heard = one.run(name), other.run(name)
            found_hunks = hunks(said, heard)
            reasons = {hunk: explain(name, hunk) for hunk in found_hunks}
            classes.update(reason.name for reason in reasons.values() if reason is not None)
            unexplained = [hunk for hunk, reason in reasons.items() if reason is None]
            equal += not found_hunks
            explained += bool(found_hunks) and not unexplained
            open_ += [name] * bool(unexplained)
            _tell(name, time.monotonic() - started, found_hunks, unexplained)
            if keep is not None and found_hunks:
                _keep(keep, name, said, heard)
    sys.stdout.write(f"\n{len(names)} files: {equal} equal to the byte, {explained} different for known reasons\n")
    for reason, count in classes.most_common():
        sys.stdout.write(f"  {count:5} {reason}\n")
    if open_:
        sys.stdout.write(f"without explanation: {', '.join(open_)}\n")
    return 1 if open_ else 0


def _tell(name: str, seconds: float, found: list[Hunk], unexplained: list[Hunk]) -> None:
    what = f"{len(found)} differences, {len(unexplained)} unexplained" if found else "equal"
    sys.stdout.write(f"{name:28} {seconds:6.1f} s  {what}\n")
    for hunk in unexplained[:20]:
        sys.stdout.write(f"{hunk}\n")
    sys.stdout.flush()


def _keep(place: Path, name: str, said: bytes, heard: bytes) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.direct").write_bytes(said)
    (place / f"{name}.through").write_bytes(heard)


if __name__ == "__main__":
    sys.exit(main())
