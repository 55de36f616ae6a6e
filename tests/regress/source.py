"""Where the SQL of PostgreSQL's own suites is, and in which order its files build on each other."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from tests.peers.postgres import Installation, installations

SOURCES = Path(__file__).with_name("source")
FETCH = ".ci/regress-source"
# Written for psql of version 18: an older one takes its pipelines for something else and waits for input without end.
_LEFT_OUT = frozenset({"psql_pipeline"})


class Suite(Struct, frozen=True):
    """The suite of one version, `home` as `src/test/regress` of its source, and the server that it is to run on."""

    installation: Installation
    home: Path

    @property
    def name(self) -> str:
        return f"suite of PostgreSQL {self.home.name} on {self.installation.version} ({self.installation.origin})"

    def schedule(self) -> list[str]:
        """The names of the files, as the parallel schedule says what must come before; then what it does not name."""
        lines = (self.home / "parallel_schedule").read_text().splitlines()
        planned = [name for line in lines if line.startswith("test:") for name in line.removeprefix("test:").split()]
        there = {path.stem for path in (self.home / "sql").glob("*.sql")} - _LEFT_OUT
        return [name for name in planned if name in there] + sorted(there - set(planned))

    def expects(self, name: str, said: bytes) -> bool:
        """Is this the output that PostgreSQL's own developers keep, or one of its known variants?"""
        variant = re.compile(re.escape(name) + r"(_\d)?\.out")
        kept = [path for path in (self.home / "expected").glob(f"{name}*.out") if variant.fullmatch(path.name)]
        return any(path.read_bytes() == said for path in kept)


def suites(server: int | None = None) -> list[Suite]:
    """Each suite that was fetched, with the server of its version or of `server`, if that is here."""
    homes = sorted(path.parent for path in SOURCES.glob("*/parallel_schedule"))
    by_major = {each.major: each for each in installations()}
    wanted = [(home, server or int(home.name)) for home in homes]
    return [Suite(by_major[major], home) for home, major in wanted if major in by_major]
