"""People, targets and rules to play policy scenes with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.policy.shipped import directory
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.facts import StatementFacts, Unreadable
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Ruling
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls

NOON = 1_767_614_400
NOW = Circumstances(NOON)
ANN = Principal("ann", "human", ("developers",))
DAN = Principal("dan", "human", ("dba",))
BOT = Principal("bot", "agent", ("agents",), on_behalf_of="ann", their_groups=("developers",))
EMAIL = ColumnName("public", "customers", "email")
SSN = ColumnName("public", "customers", "ssn")


def target(name: str = "prod-db", labels: dict[str, str] | None = None, **classify: str) -> Target:
    """A target whose customers' columns are classified as given."""
    columns = {ColumnName("public", "customers", column): kind for column, kind in classify.items()}
    env = {"env": "prod"} if labels is None else labels
    return Target(name, "postgres", "db.internal", 5432, "app", UpstreamTls(), "static", env, columns)


def facts(sql: str) -> tuple[StatementFacts, ...]:
    found = read(sql.encode())
    assert not isinstance(found, Unreadable), found
    return found


@cache
def shipped() -> CedarJudge:
    return CedarJudge(load(directory()))


def judge_of(where: Path, *rules: str) -> CedarJudge:
    """A judge by these rules and the shipped schema."""
    where.mkdir(parents=True, exist_ok=True)
    (where / "rules.cedar").write_text("\n".join(rules), encoding="utf-8")
    return CedarJudge(load(where))


def ruled(judge: CedarJudge, sql: str, who: Principal = ANN, where: Target | None = None) -> Ruling:
    return judge.statements(who, where or target(), facts(sql), NOW)
