"""What holds for every configuration: it loads or is refused in one known way; names and times read back as written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from hoopx_broker.daemon import values
from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig, Wrong
from hoopx_broker.terms.settings import BrokerConfig
from hoopx_broker.terms.targets import ColumnName

WHOLE = """\
listen: 127.0.0.1:8443
policies: .
tls: {cert: a, key: b}
identity:
  - {issuer: https://a.example, client_id: c, audience: d, claims: {user: e}, scopes: [f], jwks_file: g}
  - issuer: spiffe://example.org
    kind: workload
    audience: d
    jwks_url: https://a.example/keys
    rules: [{when: {a: b, c: [d, 'e*'], f: {g: /**}}, groups: [h], pull_requests: true, kind: agent}]
  - {kind: embedded, users: {ann: {password: env:P, groups: [a], email: b}}}
targets:
  db:
    kind: postgres
    address: localhost
    database: app
    tls: {mode: verify-full}
    labels: {a: b}
    credentials: {from: postgres-role, user: u, password: file:p, roles: [r], ttl: 15m}
    classify: {a.b: email}
    masks: {email: hash, card: {keep: last, characters: 4}, name: {fixed: x}}
    mask_key: env:P
"""
IDENTIFIER = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15).filter(
    lambda text: len(text.encode()) <= values.MAX_IDENTIFIER
)


def loads_or_is_refused(content: bytes) -> None:
    told = _problems(content)
    assert all(line.isprintable() for line in told)
    assert not any("secret-in-the-environment" in line for line in told)


def _problems(content: bytes) -> list[str]:
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "hoopx.yaml"
        file.write_bytes(content)
        try:
            config = load(file, {"P": "secret-in-the-environment"})
        except BadConfig as bad:
            return [str(each) for each in bad.problems] or ["a refusal must say why", "\n"]
    assert isinstance(config, BrokerConfig)
    return []


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"[" * 3_000)
@example(b"a: !!float x")
@example(b"a: 0x1F\nb: 1:30\nc: .inf\nd: =\n")
def test_garbage_is_refused_in_one_known_way(content: bytes) -> None:
    loads_or_is_refused(content)


@given(at=st.integers(0, len(WHOLE) - 1), length=st.integers(0, 30), instead=st.text(max_size=8))
@example(at=0, length=0, instead="\x85")
def test_a_damaged_configuration_is_refused_or_still_sound(at: int, length: int, instead: str) -> None:
    damaged = WHOLE[:at] + instead + WHOLE[at + length :]
    loads_or_is_refused(damaged.encode(errors="replace"))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["env:P", "file:/dev/null", "x", "", "1m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["from", "users", "kind", "a"]), inner),
    max_leaves=5,
)


@given(line=st.integers(0, 14), value=JSON)
def test_a_value_of_any_other_kind_is_refused_in_one_known_way(line: int, value: object) -> None:
    lines = WHOLE.splitlines()
    key = lines[line].split(":")[0] if ":" in lines[line] else lines[line]
    lines[line] = f"{key}: {value!r}".replace("None", "null")
    loads_or_is_refused("\n".join(lines).encode())


@given(IDENTIFIER, IDENTIFIER, IDENTIFIER)
def test_a_column_quoted_as_sql_quotes_reads_back(schema: str, table: str, column: str) -> None:
    parts = [part.replace('"', '""') for part in (schema, table, column)]
    assert values.column(".".join(f'"{part}"' for part in parts)) == ColumnName(schema, table, column)
    assert values.column(f'"{parts[1]}"."{parts[2]}"') == ColumnName("public", table, column)


@given(st.text(max_size=30))
@example('a."b')
@example('""."a"')
@example("a.b\n")
def test_what_is_read_as_a_column_has_whole_names(text: str) -> None:
    try:
        found = values.column(text)
    except Wrong:
        return
    assert all((found.schema, found.table, found.column))
    assert '"' in text or text == text.lower() or not text.isascii()


@given(st.lists(st.tuples(st.integers(1, 999), st.sampled_from("smhd")), min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    assert values.duration("".join(f"{n}{unit}" for n, unit in parts)) == sum(n * seconds[unit] for n, unit in parts)


@given(st.text(max_size=20))
@example("127.0.0.1:8443\n")
@example("٣:٣")
@example("[::1%lo]:1")
def test_what_is_read_as_an_address_is_one(text: str) -> None:
    try:
        host, port = values.host_port(text)
    except Wrong:
        return
    assert 0 <= port <= 65535
    assert host
    assert host.isascii()
    assert not set(host) & set(" /@,\n\0[]")
