"""Run PostgreSQL's own regression suite twice, directly and through hoopx, and tell where the outputs differ.

`python -m tests.regress` runs the whole schedule; with names, those files and what they build on. Ends with 1 where a
difference has no explanation in `explained.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.peers.postgres import Foundry
from tests.regress.recorded import judged
from tests.regress.report import Compared, Total
from tests.regress.sides import Course, direct, through
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
    total = Total()
    with direct(foundry, found) as one, through(foundry, found) as (other, recordings), ThreadPoolExecutor(2) as both:
        for name in names:
            started = time.monotonic()
            said, heard = both.map(Course.run, (one, other), (name, name))
            compared = Compared.of(name, said, heard)
            total.add(compared, as_expected=found.expects(name, said))
            sys.stdout.write(compared.told(time.monotonic() - started))
            sys.stdout.flush()
            if keep is not None and compared.hunks:
                _keep(keep, name, said, heard)
        total.judged = judged(recordings)
    sys.stdout.write(total.told())
    return 1 if total.unexplained else 0


def _keep(place: Path, name: str, said: bytes, heard: bytes) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.direct").write_bytes(said)
    (place / f"{name}.through").write_bytes(heard)


if __name__ == "__main__":
    sys.exit(main())
