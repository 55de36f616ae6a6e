"""What every command prints with `-o json`, by its type; and the page that is made of it, docs/cli-json.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, inspect

from hoopx_broker.api.messages import (
    Collected,
    HoldView,
    LeaseRevoked,
    LeaseView,
    PassGiven,
    RequestView,
    RevokedView,
    SessionView,
    TargetView,
    WhoAmI,
)
from hoopx_broker.evidence.auditing import Audited
from hoopx_broker.recording.outcomes import Ran
from hoopx_broker.recording.summary import Summary
from hoopx_broker.recording.verify import Proof
from hoopx_broker.terms.audit import Event
from hoopx_cli.accounts import Listed
from hoopx_cli.backgrounds import Report
from hoopx_cli.diary import Approved, Ended, Ready, SessionOpened, Waiting
from hoopx_cli.doctor.findings import Checked
from hoopx_cli.policy_replay import Judged


class Shape(Enum):
    ONE = "One object."
    LIST = "A list, in one line."
    LINES = "An object a line, as they come."


class Printed(Struct, frozen=True):
    """`is_open`: further fields depend on what is told, and `note` says where they are described."""

    shape: Shape
    type: type
    note: str = ""
    is_open: bool = False


# Of commands that make their objects by hand.


class SessionShown(SessionView, frozen=True, kw_only=True):
    """A session, and what its recording sums up; of a file only `summary`. `unread` says why there is no summary."""

    summary: Summary | None = None
    unread: str | UnsetType = UNSET


class StatementShown(Ran, kw_only=True):
    """With --statements: each as it was sent or run, and how long it took."""

    seconds: float


class Way(Struct):
    """Where to connect, and with what. It holds the password of the local socket."""

    target: str
    session: str
    database: str
    host: str
    port: int
    user: str
    password: str | None
    url: str
    expires_at: float


class Over(Struct):
    """A session that was ended. `confirmed`: the broker says that its credential is revoked."""

    target: str
    session: str
    confirmed: bool


class Saved(Struct):
    """A file of another program's, whether it was changed, and the lines that are hoopx's."""

    file: str
    changed: bool
    lines: list[str]


class Keys(Struct):
    """As AWS's `credential_process` takes it, whatever `-o` says. All but `AccessKeyId` and `Expiration` is secret."""

    Version: int
    AccessKeyId: str
    SecretAccessKey: str
    Expiration: str
    SessionToken: str | UnsetType = UNSET


class Proposed(Struct):
    """Column to class, and why; columns that are classified already; tables that could not be read, and why."""

    target: str
    classify: dict[str, str]
    reasons: dict[str, str]
    known: Any
    skipped: dict[str, str]


class Examined(Struct):
    """Whether commands work, with what they would leave if not, and each thing that was looked at."""

    ok: bool
    code: int
    checks: list[Checked]


class Cosigned(Struct):
    witness: str
    at: int


class InLog(Struct):
    """Where in which log the recording stands, and who signed that."""

    origin: str
    index: int
    size: int
    signed_by: str
    sealed_by: str
    cosigned: list[Cosigned]


class Verified(Proof, frozen=True, kw_only=True):
    """What is proved. `log` is null for a bare recording."""

    log: InLog | None


class Replayed(Struct):
    """An entry: `seconds` since the session began, and the fields of its type."""

    seq: int
    seconds: float
    type: str


class Happened(Event, frozen=True, kw_only=True):
    """Something that happened; what is empty is left out. `leaf` is its index in the log, null while it waits."""

    leaf: int | None


class Checkpoint(Struct):
    """The signed note as the log has it."""

    checkpoint: str


class PoliciesChecked(Struct):
    directory: str
    rules: list[str]
    version: str


class PoliciesTried(Struct):
    """How many cases there were, which came out otherwise, and which rules none of them reached."""

    cases: int
    failures: list[str]
    unreached: list[str]


class Explained(Struct):
    """The ruling with its own fields, and each statement with its kind, facts and questions."""

    ruling: Literal["allow", "deny", "ask"]
    statements: list[Any]


class Differing(Judged, frozen=True, kw_only=True):
    """What policies would rule otherwise, and in what."""

    type: Literal["difference"]
    changes: list[str]


class ReplayedAll(Struct):
    """The last line."""

    type: Literal["summary"]
    sessions: int
    statements: int
    unsure: int
    changes: dict[str, int]
    in_doubt: dict[str, int]


class ConfigurationChecked(Struct):
    config: str
    targets: list[str]
    issuers: int
    rules: list[str]


class Migrated(Struct):
    state: str
    steps: list[str]


class Older(Struct):
    evidence_key: str
    rotated_at: int


class KeyShown(Struct):
    """The key that evidence is verified with, and those before it, the newest first."""

    evidence_key: str
    older: list[Older]


class KeyReplaced(Struct):
    evidence_key: str
    replaced: str


_REQUEST = Printed(Shape.ONE, RequestView)
_NOTHING = "Prints no data, in any form."
_AWS = "For an account of AWS: `target`, `session`, `region`, `endpoint`, `token` and `expires_at` ([AWS](aws.md))."
# The path of each command with `-o` -> what it prints, or why it is nothing.
PRINTED: dict[str, list[Printed] | str] = {
    "demo": "Tells a story, and prints no JSON.",
    "login": _NOTHING,
    "logout": _NOTHING,
    "whoami": [Printed(Shape.ONE, WhoAmI)],
    "accounts ls": [Printed(Shape.LIST, Listed)],
    "accounts use": _NOTHING,
    "token": [Printed(Shape.ONE, PassGiven)],
    "ls": [Printed(Shape.LIST, TargetView)],
    "show": [Printed(Shape.ONE, TargetView)],
    "connect": [Printed(Shape.LINES, Way, _AWS, is_open=True)],
    "status": [Printed(Shape.LIST, Report, "Without `forms`, which hold passwords.", is_open=True)],
    "disconnect": [Printed(Shape.LIST, Over)],
    "doctor": [Printed(Shape.ONE, Examined)],
    "config psql": [Printed(Shape.ONE, Saved)],
    "config ssh": _NOTHING,
    "config kube": _NOTHING,
    "exec": "Standard output is the command's own. `--events FILE` is [below](#exec---events).",
    "sql": "The rows: a list of objects, or with `-o jsonl` an object a line; fields are the columns ([sql](sql.md)).",
    "credentials": [Printed(Shape.ONE, Keys)],
    "agent": "Standard output is the command's own.",
    "classify": [Printed(Shape.ONE, Proposed)],
    "request": [_REQUEST],
    "requests ls": [Printed(Shape.LIST, RequestView)],
    "requests show": [_REQUEST],
    "requests wait": [_REQUEST],
    "requests cancel": [_REQUEST],
    "requests review": [_REQUEST],
    "approve": [Printed(Shape.ONE, RequestView, "With --watch: an object a line, as they come.")],
    "deny": [_REQUEST],
    "sessions ls": [Printed(Shape.LIST, SessionView)],
    "sessions show": [Printed(Shape.ONE, SessionShown, is_open=True), Printed(Shape.LINES, StatementShown)],
    "sessions replay": [Printed(Shape.LINES, Replayed, "Fields by type: [format](recording-format.md).", is_open=True)],
    "sessions tail": [Printed(Shape.LINES, Replayed, "As `sessions replay`.", is_open=True)],
    "sessions verify": [Printed(Shape.ONE, Verified)],
    "sessions export": "The file itself, in the form that --format says: [replay and export](replay.md).",
    "sessions kill": _NOTHING,
    "leases ls": [Printed(Shape.LIST, LeaseView)],
    "leases revoke": [Printed(Shape.LIST, LeaseRevoked)],
    "audit events": [Printed(Shape.LINES, Happened)],
    "audit hold": [Printed(Shape.ONE, HoldView)],
    "audit release": [Printed(Shape.ONE, HoldView)],
    "audit holds": [Printed(Shape.LIST, HoldView)],
    "audit gc": [Printed(Shape.LIST, Collected)],
    "audit verify": [Printed(Shape.ONE, Audited)],
    "audit checkpoint": [Printed(Shape.ONE, Checkpoint)],
    "policy check": [Printed(Shape.ONE, PoliciesChecked)],
    "policy test": [Printed(Shape.ONE, PoliciesTried)],
    "policy explain": [Printed(Shape.ONE, Explained, "More in [its section](cli.md#policy-explain).", is_open=True)],
    "policy replay": [Printed(Shape.LINES, Differing), Printed(Shape.LINES, ReplayedAll)],
    "admin revoke": [Printed(Shape.ONE, RevokedView)],
    "admin restore": [Printed(Shape.ONE, RevokedView)],
    "admin revoked": [Printed(Shape.LIST, RevokedView)],
    "broker run": "Its log goes to standard error; prints no data.",
    "broker check": [Printed(Shape.ONE, ConfigurationChecked)],
    "broker migrate": [Printed(Shape.ONE, Migrated)],
    "broker keys": [Printed(Shape.ONE, KeyShown)],
    "broker keys rotate": [Printed(Shape.ONE, KeyReplaced)],
    "completion": "The script itself.",
}
EVENTS = (Waiting, Approved, SessionOpened, Ready, Ended)

_HEAD = """# What commands print as JSON

With `-o json` a command prints on standard output the JSON below and nothing else. Fields may be added, also to
objects inside, so ignore those that you do not know; none changes its name, type or meaning. Times are seconds since
the Unix epoch. Characters that could act on a terminal are escaped. A command that leaves with an error prints none,
unless [its section](cli.md) says so: the line on standard error and the exit code are what tells. This page is made
of the types in the code, and a test holds commands to it.
"""


def conforms(printed: Printed, value: Any) -> None:
    """Raises where an object is not of the type, lacks a field, or has one that is not documented."""
    read: object = msgspec.convert(value, printed.type, strict=True)
    if not printed.is_open:
        again = msgspec.json.decode(msgspec.json.encode(read))
        assert again == value, (again, value)


def as_told(path: str, printed: str, *, lines: bool = False) -> list[Any]:
    """The objects that a command printed, each of a form that is documented. `lines`: it was asked for one a line."""
    forms = PRINTED[path]
    assert not isinstance(forms, str)
    found = [json.loads(line) for line in printed.splitlines()]
    if forms[0].shape is not Shape.LINES and not lines:
        [one] = found
        assert isinstance(one, list) == (forms[0].shape is Shape.LIST)
        found = one if isinstance(one, list) else [one]
    for each in found:
        _of_one(forms, each)
    return found


def _of_one(forms: list[Printed], value: Any) -> None:
    errors: list[Exception] = []
    for form in forms:
        try:
            conforms(form, value)
            return
        except (AssertionError, msgspec.ValidationError) as error:
            errors.append(error)
    raise AssertionError(errors)


def page() -> str:
    """docs/cli-json.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    known: dict[str, inspect.StructType] = {}
    yield _HEAD
    for path, printed in PRINTED.items():
        yield f"## `{path}`"
        if isinstance(printed, str):
            yield f"{printed}\n"
            continue
        for each in printed:
            yield from _told(each, known)
    yield "## `exec --events`\nAn object a line, as things happen; `event` says which."
    for kind in EVENTS:
        yield from _table(_struct(kind), known)
    yield "## Types"
    done: set[str] = set()
    while left := sorted(set(known) - done):
        for name in left:
            done.add(name)
            yield f"### {name}"
            yield from _table(known[name], known)


def _told(printed: Printed, known: dict[str, inspect.StructType]) -> Iterator[str]:
    shared = printed.type in (RequestView, TargetView, SessionView, HoldView, RevokedView)
    note = f" {printed.note}" if printed.note else ""
    if shared:
        known[printed.type.__name__] = _struct(printed.type)
        yield f"{printed.shape.value} Type: {_link(printed.type.__name__)}.{note}\n"
        return
    yield f"{printed.shape.value}{note}"
    yield from _table(_struct(printed.type), known)


def _struct(kind: type) -> inspect.StructType:
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return found


def _table(struct: inspect.StructType, known: dict[str, inspect.StructType]) -> Iterator[str]:
    doc = struct.cls.__doc__ or ""
    if doc and not doc.startswith(f"{struct.cls.__name__}("):
        yield " ".join(doc.split())
    yield "\n| field | holds |\n|---|---|"
    if struct.tag_field:
        yield f'| `{struct.tag_field}` | "{struct.tag}" |'
    for each in struct.fields:
        missing = " (may be missing)" if _may_miss(struct, each) else ""
        yield f"| `{each.encode_name}` | {_spelled(each.type, known)}{missing} |"
    yield ""


def _may_miss(struct: inspect.StructType, each: inspect.Field) -> bool:
    is_unset = isinstance(each.type, inspect.UnionType) and any(
        isinstance(one, inspect.CustomType) and one.cls is UnsetType for one in each.type.types
    )
    return is_unset or (struct.cls.__struct_config__.omit_defaults and not each.required)


def _spelled(kind: inspect.Type, known: dict[str, inspect.StructType]) -> str:
    match kind:
        case inspect.StructType():
            before = known.setdefault(kind.cls.__name__, kind)
            assert before.cls is kind.cls, f"two types are called {kind.cls.__name__}: the page would tell of one"
            return _link(kind.cls.__name__)
        case inspect.UnionType():
            parts = dict.fromkeys(_spelled(one, known) for one in kind.types)
            return " or ".join(part for part in parts if part)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return f"list of {_spelled(kind.item_type, known)}"
        case inspect.TupleType():
            return f"list: {', '.join(_spelled(one, known) for one in kind.item_types)}"
        case inspect.DictType():
            return f"map to {_spelled(kind.value_type, known)}"
        case inspect.LiteralType():
            return " or ".join(f'"{value}"' for value in sorted(kind.values, key=str))
        case inspect.EnumType():
            return " or ".join(f'"{member.value}"' for member in kind.cls)
        case inspect.CustomType():
            return "" if kind.cls is UnsetType else "text"
        case _:
            return _PLAIN[type(kind)]


_PLAIN: dict[type, str] = {
    inspect.StrType: "text",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.AnyType: "anything",
    inspect.BytesType: "text, base64",
}


def _link(name: str) -> str:
    return f"[{name}](#{re.sub(r'[^a-z0-9]', '', name.lower())})"
