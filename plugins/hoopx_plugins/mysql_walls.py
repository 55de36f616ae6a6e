"""The second wall of MySQL and MariaDB: what an account may do, read from SHOW GRANTS, where all of it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator

from msgspec import Struct

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.targets import Target
from hoopx_plugins.mysql_admin import Administrator, identifier

# All that may stand in the grants of an account that only reads. What is not here writes, or nobody has looked at it.
HARMLESS = frozenset({"USAGE", "SELECT", "SHOW VIEW", "SHOW DATABASES", "PROCESS"})
MAX_ROLES = 100

_QUOTED = re.compile(r"`((?:[^`]|``)*)`|'(?:[^']|'')*'")
_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<where>.+?) TO (?P<rest>.+)")
_ROLES = re.compile(r"GRANT (?P<roles>\S.*?) TO (?P<rest>.+)")
_WORD = re.compile(r"([A-Z][A-Z _]*[A-Z])( ?\([^)]*\))?(?:, ?|$)")


class Grant(Struct, frozen=True):
    """One privilege: `columns` where it is for these alone, `database` and `name` `*` for all of them."""

    privilege: str
    kind: str
    database: str
    name: str
    columns: tuple[str, ...]
    can_hand_on: bool


def grants_of(admin: Administrator, account: str) -> Iterator[Grant]:
    """All of an account, by its roles and PUBLIC too. Raises `BackendFailed` for a line that is not understood."""
    waiting, seen = [account], {account}
    if admin.is_mariadb and admin.version >= (10, 11, 0):
        waiting.append("PUBLIC")
    while waiting:
        for (line,) in admin.rows(f"SHOW GRANTS FOR {waiting.pop()}"):
            roles = yield from _read(str(line))
            waiting.extend(role for role in roles if role not in seen)
            seen.update(roles)
        if len(seen) > MAX_ROLES:
            raise BackendFailed(f"{account} has more than {MAX_ROLES} roles", "give it fewer")


def check_read_only(admin: Administrator, account: str, target: str) -> None:
    for grant in grants_of(admin, account):
        if grant.privilege not in HARMLESS or grant.can_hand_on:
            what = f"{grant.privilege} on `{grant.database}`.`{grant.name}`"
            raise BackendFailed(
                f"the user for target `{target}` would not be read-only: it has {what}"
                + (" and may hand it on" if grant.can_hand_on else ""),
                "take that privilege from `credentials.roles`, or write `read_only: false`",
            )


def grant_unclassified(admin: Administrator, account: str, names: tuple[str, ...], target: Target) -> None:
    """SELECT on the tables and views that hold nothing classified; then make sure that there is no other way to it.

    A grant on some columns of a table is no wall here: HANDLER reads the others too, and a NATURAL JOIN compares them.
    """
    classified = {(each.schema, each.table) for each in target.classify}
    named = {tuple(name.split(".")) for name in names}
    for database, name in sorted(named):
        readable = [each for each in _meant(admin, database, name) if each not in classified]
        if not readable:
            raise BackendFailed(
                f"the source `mysql-role` of target `{target.name}` finds nothing without classified columns as "
                f"`{database}.{name}`",
                "correct `unclassified`; for a table with classified columns, make a view without them and name that",
            )
        for schema, table in readable:
            admin.run(f"GRANT SELECT ON {identifier(schema)}.{identifier(table)} TO {account}")
    for grant in grants_of(admin, account):
        if _reaches(admin, grant, classified, named):
            raise BackendFailed(
                f"the user for target `{target.name}` could read classified columns: it has {grant.privilege} on "
                f"`{grant.database}`.`{grant.name}`",
                "take that from `roles` and `grants`; a view that shows nothing of them can stand in `unclassified`",
            )


def _meant(admin: Administrator, database: str, name: str) -> list[tuple[str, str]]:
    """`*` means tables only: what a view shows cannot be known from its name, so a view is given where it is named."""
    found = admin.rows(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = %s"
        " AND (table_name = %s OR %s = '*' AND table_type = 'BASE TABLE') ORDER BY table_name",
        *(database, name, name),
    )
    return [(str(schema), str(table)) for schema, table in found]


def _reaches(admin: Administrator, grant: Grant, classified: set[tuple[str, str]], named: set[tuple[str, ...]]) -> bool:
    """Could this privilege show a classified column? Routines run with their owner's rights, so they count."""
    place = (grant.database, grant.name)
    if grant.privilege in HARMLESS - {"SELECT"}:
        return False
    if grant.kind != "TABLE" or grant.privilege == "PROXY" or grant.database in ("*", "mysql"):
        return True
    if grant.name == "*":
        return any(_matches(grant.database, schema) for schema, _ in classified)
    view = "SELECT 1 FROM information_schema.views WHERE table_schema = %s AND table_name = %s"
    return place in classified or (place not in named and bool(admin.rows(view, *place)))


def _matches(pattern: str, schema: str) -> bool:
    """A database in a grant is a pattern: `_` stands for one character, `%` for any number, behind `\\` for itself."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    shapes = {"_": ".", "%": ".*"}
    shape = "".join(shapes.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(shape, schema, re.DOTALL) is not None


def _read(line: str) -> Generator[Grant, None, list[str]]:
    """The privileges of one line; returns the roles that it grants. What stands in quotes is put aside first."""
    names: list[str] = []

    def aside(quoted: re.Match[str]) -> str:
        names.append((quoted[1] or "").replace("``", "`"))
        return f"\0{len(names) - 1}\0"

    plain = _QUOTED.sub(aside, line)

    def name(part: str) -> str:
        number = re.fullmatch(r"\0(\d+)\0", part.strip())
        return names[int(number[1])] if number else part.strip()

    if plain.startswith(("SET DEFAULT ROLE", "REVOKE ")):
        return []
    if found := _GRANT.fullmatch(plain):
        yield from _privileges(found, name, "GRANT OPTION" in found["rest"])
        return []
    if found := _ROLES.fullmatch(plain):
        if "ADMIN OPTION" in found["rest"]:
            yield Grant("ROLE ADMIN", "ROLE", "*", "*", (), can_hand_on=True)
        return [_as_role(each, name) for each in found["roles"].split(",")]
    raise BackendFailed("a line of SHOW GRANTS is not understood", "report it to the authors of hoopx")


def _privileges(found: re.Match[str], name: Callable[[str], str], can_hand_on: bool) -> Iterator[Grant]:
    where = found["where"].strip()
    kind, _, place = where.rpartition(" ")
    database, _, of = place.partition(".")
    words = list(_WORD.finditer(found["what"]))
    if "".join(word[0] for word in words) != found["what"]:
        raise BackendFailed("a line of SHOW GRANTS is not understood", "report it to the authors of hoopx")
    for word in words:
        columns = tuple(name(each) for each in (word[2] or "").strip(" ()").split(",") if each)
        yield Grant(word[1], kind or "TABLE", name(database), name(of), columns, can_hand_on)


def _as_role(part: str, name: Callable[[str], str]) -> str:
    """As SHOW GRANTS takes it: MySQL's roles have a host."""
    return "@".join(identifier(name(each)) for each in part.strip().split("@"))
