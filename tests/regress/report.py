"""What a run is told as: one line for each file, its unexplained differences, and the sums at the end."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

from tests.regress.compare import Hunk, hunks
from tests.regress.explained import explain
from tests.regress.recorded import Judged

SHOWN = 8  # unexplained differences of one file; `--keep` has them all


class Compared(Struct, frozen=True):
    """One file: where its two outputs differ, each place with the name of the reason that is known for it."""

    name: str
    hunks: tuple[tuple[Hunk, str | None], ...]

    @classmethod
    def of(cls, name: str, direct: bytes, through: bytes) -> Compared:
        return cls(name, tuple((hunk, explain(name, hunk)) for hunk in hunks(direct, through)))

    @property
    def unexplained(self) -> list[Hunk]:
        return [hunk for hunk, reason in self.hunks if reason is None]

    def told(self, seconds: float) -> str:
        open_ = self.unexplained
        what = f"{len(self.hunks)} differences, {len(open_)} unexplained" if self.hunks else "equal"
        return "".join([f"{self.name:28} {seconds:6.1f} s  {what}\n", *(f"{hunk}\n" for hunk in open_[:SHOWN])])


class Total(Struct):
    """The sums over all files of a suite."""

    suite: str
    files: int = 0
    equal: int = 0
    as_expected: int = 0
    unexplained: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    judged: Judged | None = None

    def add(self, compared: Compared, *, as_expected: bool) -> None:
        self.files += 1
        self.equal += not compared.hunks
        self.as_expected += as_expected
        self.unexplained += [compared.name] * bool(compared.unexplained)
        self.reasons.update(reason for _, reason in compared.hunks if reason is not None)

    def told(self) -> str:
        explained = self.files - self.equal - len(self.unexplained)
        lines = [
            self.suite,
            f"{self.files} files: {self.equal} equal to the byte, {explained} different for known reasons",
            *([f"{self.as_expected} direct as PostgreSQL's developers expect"] if self.as_expected else []),
            *(f"  {count:5} {reason}" for reason, count in self.reasons.most_common()),
        ]
        if self.judged is not None:
            refused = self.judged.refused
            lines.append(f"{self.judged.statements} texts judged, {refused.total()} not let through")
            lines += [f"  {count:5} {reason}" for reason, count in refused.most_common()]
        if self.unexplained:
            lines.append(f"without explanation: {', '.join(self.unexplained)}")
        return "\n" + "\n".join(lines) + "\n"
