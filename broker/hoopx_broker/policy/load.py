"""Load a directory of Cedar policies: all of it holds, or every problem is told with its file and line."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cedarpy import PolicySet, Schema, policies_to_json_str, validate_policies
from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.conditions.windows import zone_of
from hoopx_broker.policy import speech
from hoopx_broker.policy.obligations import obligations_of, record_of
from hoopx_broker.policy.problems import BadPolicies, Problem
from hoopx_broker.policy.rules import Rule, rule_of
from hoopx_broker.policy.shipped import directory as shipped_directory
from hoopx_broker.policy.sources import Source, cut
from hoopx_broker.policy.vocabulary import lacking, may_be_of_columns

# Rules are read by people: a file beyond this was not written by one.
MAX_FILE = 1_000_000
_QUOTED = re.compile(r"`([^`]+)`")


class Rules(Struct, frozen=True):
    """The rules that are weighed together for one kind of question, ready for the engine; None where there are none.

    `forbids` are all that refuse, `columns` those of them that tell the columns of a table apart.
    """

    whole: PolicySet | None
    forbids: PolicySet | None
    columns: PolicySet | None


class Policies(Struct, frozen=True):
    """Checked policies, ready to judge with. `version` names the exact texts of rules and schema.

    `columns_named` are ids of columns that rules name outright; of columns that are neither named nor classified they
    are to be asked only where `asks_unclassified`. `clocks` are the zones that rules read the time of,
    `documents` the policies of AWS that rules name by their files.
    """

    directory: Path
    rules: dict[str, Rule]
    version: str
    enforced: Rules
    shadow: Rules
    schema: Schema
    columns_named: frozenset[str]
    asks_unclassified: bool
    clocks: dict[str, ZoneInfo]
    asks_parameters: bool
    documents: dict[str, str]

    @property
    def asks_columns(self) -> bool:
        """Does any rule tell the columns of a table apart?"""
        return self.enforced.columns is not None or self.shadow.columns is not None

    @property
    def has_shadow(self) -> bool:
        return self.shadow.whole is not None


def load(directory: Path) -> Policies:
    """Read `*.cedar` below `directory`, checked against its `*.cedarschema` or else the shipped one.

    Raises `BadPolicies` with every problem found.
    """
    if not directory.is_dir():
        raise BadPolicies(directory, [Problem(str(directory), 0, "there is no such directory of policies")])
    problems: list[Problem] = []
    texts = {path: _text(path, problems) for path in sorted(directory.rglob("*.cedar"))}
    schema_path = _schema_path(directory, problems)
    schema_text = _text(schema_path, problems)
    schema = _schema(schema_path, schema_text, problems)
    if not texts:
        problems.append(Problem(str(directory), 0, "no `*.cedar` file: everything would be denied"))
    sources = [source for path, text in texts.items() for source in cut(str(path), text)]
    rules, parsed = _rules(sources, schema, problems)
    clocks = _clocks(rules, parsed, problems)
    documents = _bind(rules, parsed, directory, problems)
    if problems or schema is None:
        raise BadPolicies(directory, problems)
    named = {str(path.relative_to(directory)): text for path, text in texts.items()} | documents
    shadows = {name: policy for name, policy in parsed.items() if rules[name].is_shadow}
    enforced = {name: policy for name, policy in parsed.items() if name not in shadows}
    return Policies(
        directory,
        rules,
        _version(schema_text, named),
        _sorted(enforced),
        _sorted(shadows),
        schema,
        frozenset().union(*(speech.columns_named(policy) for policy in parsed.values())),
        any(speech.speaks_of_any_column(policy) for policy in _of_columns(parsed).values()),
        clocks,
        any("parameters" in speech.attributes(policy.get("conditions")) for policy in parsed.values()),
        documents,
    )


def _text(path: Path, problems: list[Problem]) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE:
            raise ValueError(f"larger than {MAX_FILE} bytes")
        return data.decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problems.append(Problem(str(path), 1, f"cannot be read: {reason}"))
        return ""


def _schema_path(directory: Path, problems: list[Problem]) -> Path:
    own = sorted(directory.rglob("*.cedarschema"))
    problems.extend(Problem(str(path), 1, f"a second schema beside `{own[0]}`") for path in own[1:])
    return own[0] if own else shipped_directory() / "hoopx.cedarschema"


def _schema(path: Path, text: str, problems: list[Problem]) -> Schema | None:
    try:
        schema, lacks = _schema_of(text)
        problems.extend(Problem(str(path), 1, message) for message in lacks)
        return schema
    except ValueError as error:
        line = Source(str(path), 1, text).line_of(str(error).rpartition(" ")[2])
        problems.append(Problem(str(path), line, f"not a schema: {error}"))
        return None


@lru_cache(maxsize=8)
def _schema_of(text: str) -> tuple[Schema, tuple[str, ...]]:
    """A schema and what it has no words for; a text is looked at once. Raises `ValueError`."""
    schema = Schema.from_str(text)
    return schema, tuple(lacking(schema))


def _rules(
    sources: list[Source], schema: Schema | None, problems: list[Problem]
) -> tuple[dict[str, Rule], dict[str, Any]]:
    rules: dict[str, Rule] = {}
    parsed: dict[str, Any] = {}
    for source in sources:
        policy = _parse(source, problems)
        if policy is None:
            continue
        if schema is not None:
            problems.extend(_against_schema(source, schema))
        rule, wrong = rule_of(source, policy)
        problems.extend(Problem(source.file, source.line_of(phrase), message) for phrase, message in wrong)
        if rule is None:
            continue
        if first := rules.get(rule.id):
            place = f"{first.source.file}:{first.source.line}"
            problems.append(Problem(source.file, source.line, f'`@id("{rule.id}")` is taken already at {place}'))
        rules.setdefault(rule.id, rule)
        parsed[rule.id] = policy
    return rules, parsed


def _parse(source: Source, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        document = json.loads(policies_to_json_str(source.text))
    except ValueError as error:
        problems.append(Problem(source.file, _line(source, str(error)), f"not Cedar: {error}"))
        return None
    policies: dict[str, Any] = document["staticPolicies"]
    if len(policies) != 1:
        problems.append(Problem(source.file, source.line, "templates (`?principal`) are not used; name the group"))
        return None
    return next(iter(policies.values()))  # type: ignore[no-any-return]


def _against_schema(source: Source, schema: Schema) -> list[Problem]:
    """Misspelt attributes, actions and types. Each error begins with a name that only the engine knows."""
    result = validate_policies(source.text, schema)
    messages = [re.sub(r"^for policy `[^`]*`, ", "", error.error) for error in result.errors]
    return [Problem(source.file, _line(source, message), message) for message in messages]


def _line(source: Source, message: str) -> int:
    quoted = _QUOTED.search(message)
    return source.line_of(quoted.group(1)) if quoted else source.line


def _clocks(rules: dict[str, Rule], parsed: dict[str, Any], problems: list[Problem]) -> dict[str, ZoneInfo]:
    """The zones whose clocks rules read; one that nobody knows is a problem."""
    found: dict[str, ZoneInfo] = {}
    for id_, policy in parsed.items():
        for name in sorted(speech.clocks(policy)):
            zone = zone_of(name)
            if zone is None:
                source = rules[id_].source
                message = f'`{speech.CLOCK}::"{name}"` is no time zone; they are named as `Europe/Berlin`'
                problems.append(Problem(source.file, source.line_of(f'"{name}"'), message))
            else:
                found[name] = zone
    return found


def _bind(rules: dict[str, Rule], parsed: dict[str, Any], directory: Path, problems: list[Problem]) -> dict[str, str]:
    """Give the rules their obligations; the files that they name, with what those hold."""
    documents: dict[str, str] = {}
    for id_, policy in parsed.items():
        bound, wrong = obligations_of(rules[id_], policy, directory, documents)
        record, unclear = record_of(rules[id_], policy)
        rules[id_] = replace(rules[id_], obligations=bound, record=record)
        problems.extend([*wrong, *unclear])
    return documents


def _sorted(parsed: dict[str, Any]) -> Rules:
    forbids = {name: policy for name, policy in parsed.items() if policy["effect"] == "forbid"}
    return Rules(_handle(parsed), _handle(forbids), _handle(_of_columns(parsed)))


def _of_columns(parsed: dict[str, Any]) -> dict[str, Any]:
    """The forbids that are asked about the columns of a statement."""
    return {
        name: policy
        for name, policy in parsed.items()
        if policy["effect"] == "forbid"
        and speech.speaks_of_columns(policy)
        and may_be_of_columns(speech.actions(policy))
    }


def _handle(parsed: dict[str, Any]) -> PolicySet | None:
    """The set under the rules' own names, so that the engine's answers name them."""
    if not parsed:
        return None
    return PolicySet.from_json_str(json.dumps({"staticPolicies": parsed, "templates": {}, "templateLinks": []}))


def _version(schema: str, texts: dict[str, str]) -> str:
    digest = sha256()
    for part in (schema, *(part for name in sorted(texts) for part in (name, texts[name]))):
        digest.update(b"%d:" % len(part.encode()) + part.encode())
    return f"sha256:{digest.hexdigest()[:12]}"
