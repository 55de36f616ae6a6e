"""Run PostgreSQL's own regression suite twice, directly and through hoopx, and tell where the outputs differ.

`python -m tests.regress` runs every suite that is here; with names, those files of it, after what all build on. Ends
with 1 where a difference has no explanation in `explained.py`.
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
from tests.regress.sides import Course, Manner, direct, through
from tests.regress.source import Suite, suites


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.regress", description=__doc__)
    parser.add_argument("names", nargs="*", help="files of the suite; all of them without one")
    parser.add_argument("--suite", help="only the suite of this version, such as 15")
    parser.add_argument("--server", type=int, help="on the server of this version, not on that of the suite's own")
    parser.add_argument("--verbose", action="store_true", help="compare the SQLSTATE of each error too")
    parser.add_argument("--extended", action="store_true", help="send queries by the extended protocol")
    parser.add_argument("--keep", type=Path, help="a directory for the outputs that differ")
    asked = parser.parse_args()
    found = [suite for suite in suites(asked.server) if asked.suite in (None, suite.home.name)]
    if not found:
        print("no suite with such a server is here; `make regress` gets them", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place:
        foundry = Foundry(Path(place))
        return max(_run(foundry, suite, asked) for suite in found)


def _run(foundry: Foundry, suite: Suite, asked: argparse.Namespace) -> int:
    names = [name for name in suite.schedule() if not asked.names or name in {"test_setup", *asked.names}]
    total, manner = Total(suite.name), Manner(asked.verbose, asked.extended)
    with (
        direct(foundry, suite, manner) as one,
        through(foundry, suite, manner) as (other, recordings),
        ThreadPoolExecutor(2) as both,
    ):
        for name in names:
            started = time.monotonic()
            said, heard = both.map(Course.run, (one, other), (name, name))
            compared = Compared.of(name, said, heard)
            total.add(compared, as_expected=suite.expects(name, said))
            print(compared.told(time.monotonic() - started), end="", flush=True)
            if asked.keep is not None and compared.hunks:
                _keep(asked.keep / suite.home.name, name, said, heard)
        total.judged = judged(recordings)
    print(total.told(), end="")
    return 1 if total.unexplained else 0


def _keep(place: Path, name: str, said: bytes, heard: bytes) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.direct").write_bytes(said)
    (place / f"{name}.through").write_bytes(heard)


if __name__ == "__main__":
    sys.exit(main())
