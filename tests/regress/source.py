"""Where the SQL of PostgreSQL's own suite is, and in which order its files build on each other."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from tests.peers.postgres import Installation, installations

SOURCES = Path(__file__).with_name("source")
FETCH = ".ci/regress-source"


class Suite(Struct, frozen=True):
    """The suite of one major version, and the server of that version; `home` is `src/test/regress` of its source."""

    installation: Installation
    home: Path

    @property
    def has_functions(self) -> bool:
        """Could the suite's own functions in C be built?"""
        return (self.home / "regress.so").exists()

    def schedule(self) -> list[str]:
        """Each file's name, in an order that honours what the parallel schedule says must come before."""
        lines = (self.home / "parallel_schedule").read_text().splitlines()
        groups = [line.removeprefix("test:").split() for line in lines if line.startswith("test:")]
        return [name for group in groups for name in group if (self.home / "sql" / f"{name}.sql").exists()]

    def expects(self, name: str, said: bytes) -> bool:
        """Is this the output that PostgreSQL's own developers keep, or one of its known variants?"""
        variants = [self.home / "expected" / f"{name}{number}.out" for number in ("", *(f"_{n}" for n in range(1, 10)))]
        return any(variant.read_bytes() == said for variant in variants if variant.exists())


def suite() -> Suite | None:
    """The suite that was fetched for a server that is here, if there is one."""
    for installation in installations():
        home = SOURCES / str(installation.major)
        if (home / "parallel_schedule").exists():
            return Suite(installation, home)
    return None
