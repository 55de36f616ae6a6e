"""Cases for policies, as YAML: who, on what, does what, and what policy should say of it."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import UNSET, Meta, Struct, UnsetType, field

from hoopx_broker.policy.demanded import Demanded
from hoopx_broker.policy.problems import Problem
from hoopx_broker.policy.scenery import catalog
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.entries import Detail
from hoopx_broker.terms.facts import Volatility
from hoopx_broker.terms.people import Owner, Principal, PrincipalKind
from hoopx_broker.terms.targets import ColumnName, Target, TargetKind, UpstreamTls

# A Monday at noon UTC, so that a case that says nothing of time means office hours.
NOON = 1_767_614_400


class _Loader(yaml.CSafeLoader):  # type: ignore[misc]  # PyYAML brings no types
    """YAML 1.2's booleans: with those of 1.1 the key `on` would read as true."""


_BOOLEAN = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile("true|false"), list("tf"))


class As(Struct, frozen=True, forbid_unknown_fields=True):
    """`their_groups` and `their_issuer` are those of the human that an agent acts for."""

    user: str
    kind: PrincipalKind = "human"
    groups: tuple[str, ...] = ()
    issuer: str = ""
    on_behalf_of: str | None = None
    their_groups: tuple[str, ...] | UnsetType = UNSET
    their_issuer: str | UnsetType = UNSET

    def principal(self) -> Principal:
        theirs = self.on_behalf_of, self.their_groups, self.their_issuer
        return Principal(self.user, self.kind, self.groups, self.issuer, self.user, *theirs)


class On(Struct, frozen=True, forbid_unknown_fields=True):
    """`tables` with their columns, `views` with what they read, and `functions` are what is known of the catalog."""

    target: str
    kind: TargetKind = "postgres"
    database: str = "app"
    labels: dict[str, str] = field(default_factory=dict)
    classify: dict[str, str] = field(default_factory=dict)
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    views: dict[str, tuple[str, ...]] = field(default_factory=dict)
    functions: dict[str, Volatility] = field(default_factory=dict)

    def as_target(self) -> Target:
        """A target of this name that nobody could connect to. Raises `ValueError` for a column not in three parts."""
        classify = {column(name): kind for name, kind in self.classify.items()}
        tls, database = UpstreamTls(), self.database if self.kind == "postgres" else ""
        return Target(self.target, self.kind, "", 0, database, tls, "static", self.labels, classify)

    def as_catalog(self) -> Catalog:
        """Raises `ValueError` for a name without a schema."""
        return catalog(self.tables, self.views, self.functions)


class With(Struct, frozen=True, forbid_unknown_fields=True):
    reason: str = ""
    ticket: str = ""
    duration: int = 0
    approvals: frozenset[str] = frozenset()
    now: int | Annotated[datetime, Meta(tz=True)] = NOON
    parameters: tuple[str | None, ...] = ()
    pending: bool = False

    def circumstances(self) -> Circumstances:
        now = self.now if isinstance(self.now, int) else int(self.now.timestamp()) // 60 * 60
        return Circumstances(
            now, self.reason, self.ticket, self.duration, self.approvals, self.parameters, self.pending
        )


class Expect(Struct, frozen=True, forbid_unknown_fields=True):
    """`by` are rules that must be among those that decided, `masks` exactly the columns that stay hidden.

    `conditions` is exactly what a request must fulfil beside having its `approvers` agree, `shadow` exactly what rules
    in shadow would have done: ``deny by `x` ``, or empty. `obligations` is exactly what a session's credential is bound
    to, files by their names, `record` how much of rows its recording keeps.
    """

    decision: Literal["allow", "deny", "ask"]
    by: tuple[str, ...] = ()
    approvers: dict[str, int] | None = None
    conditions: Demanded | None = None
    masks: tuple[str, ...] | None = None
    shadow: str | None = None
    obligations: dict[str, tuple[str, ...]] | None = None
    record: Detail | None = None


# Whose session or lease: a user's name, or `{user: bot, on_behalf_of: ann}`.
Whose = str | Owner


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    who: As = field(name="as")
    expect: Expect
    on: On = On("")
    connect: bool = False
    extend: bool = False
    sql: str | None = None
    view: Whose | None = None
    kill: Whose | None = None
    view_lease: Whose | None = None
    revoke_lease: Whose | None = None
    hold: Whose | None = None
    gc: bool = False
    revoke: str | None = None
    restore: str | None = None
    view_log: bool = False
    reveal: tuple[str, ...] = ()
    circumstances: With = field(name="with", default_factory=With)


class Placed(Struct, frozen=True):
    """A case and where it is written."""

    case: Case
    file: str
    line: int


def owner(whose: Whose) -> Owner:
    return Owner(whose) if isinstance(whose, str) else whose


def column(name: str) -> ColumnName:
    parts = name.split(".")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"`{name}` is not `schema.table.column`")
    return ColumnName(*parts)


def read_cases(path: Path) -> tuple[list[Placed], list[Problem]]:
    """The cases of a file, and what is wrong with the others."""
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if not isinstance(node, yaml.SequenceNode):
            return [], [Problem(str(path), 1, "not a list of cases")]
        items = loader.construct_document(node)
    except (OSError, ValueError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        return [], [Problem(str(path), mark.line + 1 if mark else 1, f"not YAML: {error!s:.200}".split("\n")[0])]
    cases, problems = [], []
    for item, at in zip(items, node.value, strict=True):
        line = at.start_mark.line + 1
        try:
            cases.append(Placed(_case(item), str(path), line))
        except msgspec.ValidationError as error:
            problems.append(Problem(str(path), _line_of(at, str(error)), str(error)))
        except ValueError as error:
            problems.append(Problem(str(path), line, str(error)))
    return cases, problems


def _case(item: Any) -> Case:
    case = msgspec.convert(item, Case)
    case.on.as_target()
    case.on.as_catalog()
    if case.who.on_behalf_of is None and (case.who.their_groups, case.who.their_issuer) != (UNSET, UNSET):
        raise ValueError("`their_groups` and `their_issuer` are those of `on_behalf_of`, which is not said")
    for name in case.expect.masks or ():
        column(name)
    if case.expect.conditions is not None:
        case.expect.conditions.conditions()
        if case.expect.decision != "ask":
            raise ValueError("`conditions` are of what people are asked: `expect: {decision: ask, …}`")
    if not case.on.target and case.revoke is None and case.restore is None and not case.view_log:
        raise ValueError("say on what: `on: {target: prod-db}`")
    named = (case.sql, case.view, case.kill, case.view_lease, case.revoke_lease, case.hold, case.revoke, case.restore)
    flags = (case.connect, case.extend, case.gc, case.view_log, bool(case.reveal))
    said = [*flags, *(name is not None for name in named)]
    if said.count(True) != 1:
        raise ValueError(
            "say exactly one of `connect: true`, `extend: true`, `sql: …`, `view: OWNER`, `kill: OWNER`, "
            "`view_lease: OWNER`, `revoke_lease: OWNER`, `hold: OWNER`, `gc: true`, `revoke: USER`, `restore: USER`, "
            "`view_log: true`, "
            "`reveal: [CLASS]`"
        )
    return case


def _line_of(node: Any, message: str) -> int:
    """The line of the part that a message names at its end, as in ``… - at `$.expect.decision` ``."""
    _, _, path = message.rpartition("`$.")
    for name in path.rstrip("`").split("."):
        if not isinstance(node, yaml.MappingNode):
            break
        node = next((value for key, value in node.value if key.value == name), node)
    line: int = node.start_mark.line + 1
    return line
