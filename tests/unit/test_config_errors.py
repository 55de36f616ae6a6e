"""Every way in which a configuration can be wrong, with the exact line that is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.terms.errors import ExitCode

HEAD = """\
listen: 127.0.0.1:8443
policies: rules
"""
IDENTITY = """\
identity:
  - {issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}
"""
TARGET = """\
targets:
  db:
    kind: postgres
    address: db.internal
    database: app
"""
STATIC = """\
    credentials: {from: static, user: app, password: plain}
"""
WHOLE = HEAD + IDENTITY + TARGET + STATIC
ENVIRON = {"PASSWORD": "from-the-environment", "EMPTY": "", "ADDRESS": "no host at all:x"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory as a careless operator leaves it."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "empty").write_text("")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text.pem").write_text("no certificate here\n")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "no-keys.json").write_text('{"keys": []}')
    (tmp_path / "not-keys.json").write_text("[1")
    (tmp_path / "list.json").write_text('{"kees": 1}')
    (tmp_path / "secret-key.json").write_text('{"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}')
    (tmp_path / "odd-keys.json").write_text(json.dumps({"keys": [7, {"kty": "RSA", "n": "AQ", "e": "AQAB"}, {}]}))
    private = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "nWGx"}
    (tmp_path / "private-key.json").write_text(json.dumps({"keys": [private]}))
    return tmp_path


def told(home: Path, text: str | bytes) -> list[str]:
    """The problems of a file with that text, without the file's name."""
    file = home / "hoopx.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadConfig) as bad:
        load(file, ENVIRON)
    assert bad.value.exit_code == ExitCode.USAGE
    assert bad.value.message.splitlines() == [str(each) for each in bad.value.problems]
    return [str(each).removeprefix(str(file)).lstrip(":") for each in bad.value.problems]


def with_identity(entry: str) -> str:
    return HEAD + "identity:\n" + entry + TARGET + STATIC


def with_target(lines: str) -> str:
    """The lines begin on line 10, after one target's address and database."""
    return HEAD + IDENTITY + TARGET + lines


TOP = [
    ("listne: 1\n" + WHOLE, "1: listne: is not a known key; did you mean `listen`?"),
    (WHOLE + "zebra: 1\n", "11: zebra: is not a known key; known here: `accounts`, `aws`, `evidence`, `identity`"),
    (WHOLE + "listen: 127.0.0.1:1\n", "11: listen: stands twice, first on line 1; keep one of the two"),
    (WHOLE.replace("127.0.0.1:8443", "8443"), "1: listen: must be text, not a number; put it in quotes"),
    (WHOLE.replace("127.0.0.1:8443", "'8443'"), "1: listen: `8443` has no port"),
    (WHOLE.replace("127.0.0.1:8443", "127.0.0.1"), "1: listen: `127.0.0.1` has no port"),
    (WHOLE.replace("127.0.0.1:8443", "':8443'"), "1: listen: `:8443` has no host"),
    (WHOLE.replace("127.0.0.1:8443", "127.0.0.1:99999"), "1: listen: `127.0.0.1:99999` has a port that is not"),
    (WHOLE.replace("127.0.0.1:8443", "127.0.0.1:-1"), "1: listen: `127.0.0.1:-1` has a port that is not"),
    (
        WHOLE.replace("127.0.0.1:8443", "'::1'"),
        "1: listen: `::1` is an IPv6 address without brackets; write `[::1]:PORT`",
    ),
    (WHOLE.replace("127.0.0.1:8443", "'[::1]'"), "1: listen: `[::1]` has no port"),
    (WHOLE.replace("127.0.0.1:8443", "'[::x]:1'"), "1: listen: `[::x]:1` is not [IPV6]:PORT"),
    (WHOLE.replace("127.0.0.1:8443", "a b:1"), "1: listen: `a b:1` is not HOST:PORT"),
    (WHOLE.replace("127.0.0.1:8443", "[127.0.0.1:1, 127.0.0.1:2]"), "1: listen: must be text, not a list"),
    (WHOLE.replace("127.0.0.1:8443", ""), "1: listen: is empty; give it a value or take the key out"),
    (WHOLE.replace("127.0.0.1:8443", "10.0.0.1:8443"), "1: tls: is missing although the broker listens on 10.0.0.1"),
    (WHOLE.replace("127.0.0.1:8443", "0.0.0.0:8443"), "1: public_url: is missing; nobody can go to 0.0.0.0"),
    (WHOLE + "public_url: http://broker\n", "11: public_url: `http://broker` is not an https URL"),
    (WHOLE + "public_url: https://broker/x\n", "11: public_url: `https://broker/x` has a path"),
    (WHOLE + "public_url: https://u:p@broker\n", "11: public_url: `https://u:p@broker` holds more than"),
    (WHOLE + "public_url: https://broker:x\n", "11: public_url: `https://broker:x` is not a URL"),
    (WHOLE + "public_url: 'https://bro ker'\n", "11: public_url: `https://bro ker` is not an https URL"),
    (WHOLE + "state: postgresql://db/x\n", "11: state: names no user; write `postgresql://USER@HOST/DATABASE`"),
    (WHOLE + "state: postgresql://hoopx@db\n", "11: state: names no database"),
    (WHOLE + "state: postgresql:///x?user=hoopx\n", "11: state: names no host"),
    (WHOLE + "state: postgresql://hoopx:p%ZZ@db/x\n", "11: state: is not a URL of a PostgreSQL database"),
    (WHOLE + "state: postgressql://hoopx:hunter2@db/x\n", "11: state: is not a state; write `sqlite:PATH`"),
    (WHOLE + "state: env:NO_SUCH\n", "11: state: refers to the environment variable `NO_SUCH`, which is not set"),
    (WHOLE + "state: postgresql://u@db/x?sslmode=prefer\n", "11: state: has `sslmode=prefer`, which goes on in the"),
    (WHOLE + "state: state.db\n", "11: state: `state.db` is not a state; write `sqlite:PATH`"),
    (WHOLE + "state: sqlite:rules\n", "11: state: `sqlite:rules` is a directory"),
    (
        WHOLE + "recordings: ftp://bucket/x\n",
        "11: recordings: `ftp://bucket/x` names no installed store of recordings",
    ),
    (WHOLE + "recordings: recordings\n", "11: recordings: `recordings` is not a place for recordings"),
    (WHOLE + "recordings: file:empty\n", "11: recordings: `file:empty` is not a directory"),
    (WHOLE.replace("rules", "rulez"), "2: policies: `rulez` is not a directory; name the directory that holds"),
    (WHOLE.replace("rules", "empty"), "2: policies: `empty` is not a directory"),
    (WHOLE + "tls: 1\n", "11: tls: must be a section of keys and values, not a number"),
    (WHOLE + "tls:\n", "11: tls: is empty"),
    (WHOLE + "tls: {cert: text.pem}\n", "11: tls.key: is missing; add `key:` here"),
    (WHOLE + "tls: {cert: gone.pem, key: text.pem}\n", "11: tls.cert: `gone.pem` cannot be read (no such file"),
    (WHOLE + "tls: {cert: text.pem, key: text.pem}\n", "11: tls: `cert` holds no PEM certificate"),
    (HEAD + IDENTITY, "1: targets: is missing; add `targets:` here"),
    (HEAD + TARGET + STATIC, "1: identity: is missing; add `identity:` here"),
    (HEAD + "identity: []\n" + TARGET + STATIC, "3: identity: is empty; add at least one entry"),
    (HEAD + "identity: {issuer: x}\n" + TARGET + STATIC, "3: identity: must be a list of sections, not a section"),
    (HEAD + IDENTITY + "targets: {}\n", "5: targets: is empty; add at least one entry"),
    (HEAD + IDENTITY + "targets: [a]\n", "5: targets: must be a section of named sections, not a list"),
    (WHOLE + "accounts: ann\n", "11: accounts: must be a list of lists, not text"),
    (WHOLE + "accounts: [[ann, anna], bob]\n", "11: accounts[1]: must be a list, not text"),
    (WHOLE + "accounts: [[ann]]\n", "11: accounts: has a list of fewer than two names"),
    (WHOLE + "accounts: [[ann, Ann]]\n", "11: accounts: has a list of fewer than two names"),
    (WHOLE + "accounts: [[]]\n", "11: accounts: has a list of fewer than two names"),
    (WHOLE + "accounts: [[ann, 7]]\n", "11: accounts[0][1]: must be text, not a number"),
    (WHOLE + "accounts: [[ann, adm], [bob, ADM]]\n", "11: accounts: has `adm` in two lists; put all accounts"),
]

ENTRY = "  - issuer: https://a.example\n    client_id: c\n    audience: hoopx\n"
ISSUERS = [
    ("  - 7\n", "4: identity[0]: must be a section of keys and values, not a number"),
    ("  -\n", "4: identity[0]: is empty"),
    ("  - {}\n", "4: identity[0].issuer: is missing"),
    ("  - {kind: people}\n", "4: identity[0].kind: `people` is not a kind of issuer; write `human`, `workload`"),
    (ENTRY.replace("https:", "http:"), "4: identity[0].issuer: `http://a.example` is not https; use https"),
    (ENTRY.replace("https:", "ftp:"), "4: identity[0].issuer: `ftp://a.example` is not an https URL"),
    (ENTRY.replace("a.example", "a.example?x=1"), "4: identity[0].issuer: `https://a.example?x=1` holds more than"),
    (ENTRY.replace("    client_id: c\n", ""), "4: identity[0].client_id: is missing"),
    (ENTRY.replace("    audience: hoopx\n", ""), "4: identity[0].audience: is missing"),
    (
        ENTRY + "    claims: {user: email, group: g}\n",
        "7: identity[0].claims.group: is not a known key; did you mean `groups`?",
    ),
    (ENTRY + "    claims: [email]\n", "7: identity[0].claims: must be a section"),
    (ENTRY + "    scopes: openid\n", "7: identity[0].scopes: must be a list, not text"),
    (ENTRY + "    scopes: [1]\n", "7: identity[0].scopes[0]: must be text, not a number"),
    (ENTRY + "    ca: text.pem\n", "7: identity[0].ca: `text.pem` holds no PEM certificate"),
    (ENTRY + "    ca: gone.pem\n", "7: identity[0].ca: `gone.pem` cannot be read"),
    (ENTRY + "    jwks_file: gone.json\n", "7: identity[0].jwks_file: `gone.json` cannot be read (no such file"),
    (
        ENTRY + "    jwks_file: no-keys.json\n",
        "7: identity[0].jwks_file: `no-keys.json` holds no key that can verify a token",
    ),
    (
        ENTRY + "    jwks_file: odd-keys.json\n",
        "7: identity[0].jwks_file: `odd-keys.json` holds no key that can verify a token",
    ),
    (
        ENTRY + "    jwks_file: secret-key.json\n",
        "7: identity[0].jwks_file: `secret-key.json` holds no key that can verify a token",
    ),
    (ENTRY + "    jwks_file: private-key.json\n", "7: identity[0].jwks_file: `private-key.json` holds a private key"),
    (ENTRY + "    jwks_file: not-keys.json\n", "7: identity[0].jwks_file: `not-keys.json` is not a JSON Web Key Set"),
    (
        ENTRY + "    jwks_file: list.json\n",
        "7: identity[0].jwks_file: `list.json` is not a JSON Web Key Set: it has no list `keys`",
    ),
    (ENTRY + "    jwks_file: binary\n", "7: identity[0].jwks_file: `binary` is not a JSON Web Key Set"),
    (ENTRY + ENTRY, "7: identity[1].issuer: `https://a.example` stands twice for the same audience"),
    (ENTRY + "    kind: workload\n", "5: identity[0].client_id: is not a known key"),
    ("  - {kind: embedded}\n", "4: identity[0].users: is missing"),
    ("  - {kind: embedded, users: {}}\n", "4: identity[0].users: is empty; add at least one entry"),
    ("  - kind: embedded\n    users:\n      ann:\n", "6: identity[0].users.ann: is empty"),
    ("  - kind: embedded\n    users:\n      ann: {}\n", "6: identity[0].users.ann.password: is missing"),
    ("  - kind: embedded\n    users:\n      ann: {password: x, group: [a]}\n", "did you mean `groups`?"),
    ("  - {kind: embedded, agents: {}}\n", "4: identity[0].users: is missing"),
    ("  - {kind: embedded, users: , agents: {a: {}}}\n", "4: identity[0].users: is empty"),
    ("  - {kind: embedded, agents: [a]}\n", "4: identity[0].agents: must be a section of named sections"),
    ("  - kind: embedded\n    agents:\n      a b: {}\n", "6: identity[0].agents.a b: `a b` is not a user name"),
    ("  - kind: embedded\n    agents:\n      bot:\n", "6: identity[0].agents.bot: is empty"),
    ("  - kind: embedded\n    agents:\n      bot: {group: [a]}\n", "did you mean `groups`?"),
    ("  - kind: embedded\n    agents:\n      bot: {groups: a}\n", "6: identity[0].agents.bot.groups: must be a list"),
    (
        "  - kind: embedded\n    agents:\n      bot: {secret: short}\n",
        "6: identity[0].agents.bot.secret: is shorter than 16 characters; make one with `openssl rand -base64 32`",
    ),
    (
        "  - kind: embedded\n    agents:\n      bot: {jwks_file: no-keys.json, secret: 0123456789abcdef0}\n",
        "6: identity[0].agents.bot.secret: stands beside `jwks_file`",
    ),
    (
        "  - kind: embedded\n    agents:\n      bot: {jwks_file: nowhere.json}\n",
        "6: identity[0].agents.bot.jwks_file: `nowhere.json` cannot be read",
    ),
    *(
        (
            f"  - kind: embedded\n    agents:\n      bot: {{jwks_file: {file}}}\n",
            f"6: identity[0].agents.bot.jwks_file: `{file}` does not serve",
        )
        for file in ("no-keys.json", "not-keys.json", "list.json", "secret-key.json", "odd-keys.json", "binary")
    ),
    (
        "  - kind: embedded\n    agents:\n      bot: {jwks_file: private-key.json}\n",
        "6: identity[0].agents.bot.jwks_file: `private-key.json` holds a private key",
    ),
    (
        "  - kind: embedded\n    users: {ann: {password: x}}\n    agents: {ann: {}}\n",
        "6: identity[0].agents: `ann` is a user, too; give the agent another name",
    ),
    (
        "  - kind: embedded\n    users: {ann: {password: x}}\n    agents: {hoopx-cli: {}}\n",
        "6: identity[0].agents: `hoopx-cli` is the `client_id` of `hoopx login`, too",
    ),
    (
        "  - kind: embedded\n    users:\n      a b: {password: x}\n",
        "6: identity[0].users.a b: `a b` is not a user name",
    ),
    (
        "  - {kind: embedded, users: {a: {password: x}}}\n  - {kind: embedded, users: {a: {password: x}}}\n",
        "5: identity[1].kind: stands twice",
    ),
]

BACKENDS = [
    ("", "6: targets.db.credentials: is missing; add `credentials:` here"),
    (STATIC + "    databse: x\n", "11: targets.db.databse: is not a known key; did you mean `database`?"),
    (STATIC + "  db: {}\n", "11: targets.db: stands twice, first on line 6"),
    (STATIC + "  'bad name':\n", "11: targets.bad name: `bad name` is not a name"),
    (STATIC + "    tls: {mode: full}\n", "11: targets.db.tls.mode: `full` is not a TLS mode; write `verify-full`"),
    (STATIC + "    tls: {mode: verify-ca}\n", "11: targets.db.tls.ca: is missing; `verify-ca` needs"),
    (STATIC + "    tls: {ca: gone.pem}\n", "11: targets.db.tls.ca: `gone.pem` cannot be read"),
    (STATIC + "    tls: {ca: text.pem}\n", "11: targets.db.tls.ca: `text.pem` holds no PEM certificate"),
    (
        STATIC + "    tls: {mode: require, ca: text.pem}\n",
        "11: targets.db.tls.ca: is never looked at in the mode `require`",
    ),
    (STATIC + "    labels: {env: no}\n", "11: targets.db.labels.env: must be text, not a yes or no; put it in quotes"),
    (STATIC + "    labels: [a]\n", "11: targets.db.labels: must be a section"),
    (
        STATIC + "    classify:\n      customers: email\n",
        "12: targets.db.classify.customers: `customers` does not name",
    ),
    (
        STATIC + "    classify:\n      a.b.c.d: email\n",
        "12: targets.db.classify.a.b.c.d: `a.b.c.d` does not name a column",
    ),
    (STATIC + "    classify:\n      a..c: email\n", "12: targets.db.classify.a..c: `a..c` does not name a column"),
    (STATIC + "    classify:\n      a.: email\n", "`a.` does not name a column"),
    (STATIC + "    classify:\n      'a.\"b': email\n", "does not name a column"),
    (STATIC + "    classify:\n      'a.\"b\"c': email\n", "does not name a column"),
    (STATIC + "    classify:\n      a.Email: email\n", "`a.Email` has `Email`, which SQL would need in quotes"),
    (STATIC + "    classify:\n      a.b c: email\n", "`a.b c` has `b c`, which SQL would need in quotes"),
    (STATIC + f"    classify:\n      a.{'b' * 64}: email\n", "longer than PostgreSQL keeps"),
    (
        STATIC + "    classify:\n      a.b: E-Mail\n",
        "12: targets.db.classify.a.b: `E-Mail` is not the name of a data class",
    ),
    (
        STATIC + "    classify:\n      a.b: email\n      public.a.b: ssn\n",
        "13: targets.db.classify.public.a.b: is the same",
    ),
    ("    credentials: static\n", "10: targets.db.credentials: must be a section of keys and values, not text"),
    ("    credentials: {user: x}\n", "10: targets.db.credentials.from: is missing"),
    ("    credentials: {from: statc}\n", "`statc` names no installed credential plugin; did you mean `static`?"),
    ("    credentials: {from: carrier-pigeon}\n", "names no installed credential plugin; installed are"),
    ("    credentials: {from: static, user: a}\n", "10: targets.db.credentials.password: is missing"),
    ("    credentials: {from: static, user: a, password: 12}\n", "credentials.password: must be text, not a number"),
    (
        "    credentials: {from: static, user: 3, password: b}\n",
        "10: targets.db.credentials.user: expected `str`, got `int`",
    ),
    (
        "    credentials: {from: static, user: a, password: b, role: c}\n",
        "credentials.role: is not a known key; known here",
    ),
    ("    credentials: {from: static, user: a, password: env:NOPE}\n", "environment variable `NOPE`, which is not set"),
    ("    credentials: {from: static, user: a, password: env:EMPTY}\n", "variable `EMPTY`, which is empty"),
    (
        "    credentials: {from: static, user: a, password: file:gone}\n",
        "credentials.password: cannot be read (no such file",
    ),
    ("    credentials: {from: static, user: a, password: file:rules}\n", "cannot be read (is a directory"),
    ("    credentials: {from: static, user: a, password: file:empty}\n", "refers to an empty file"),
    ("    credentials: {from: static, user: a, password: file:binary}\n", "a file that is not UTF-8 text"),
    ("    credentials: {from: static, user: a, password: file:large}\n", "is larger than 64 KiB"),
    (
        "    credentials: {from: static, user: a, password: 'vault:db#pw'}\n",
        "refers to `vault`, but the section `vault` is not there, or not sound; add a section `vault` at the top",
    ),
    ("    credentials: {from: static, user: a, password: b, ttl: 15}\n", "credentials.ttl: must be text, not a number"),
    (
        "    credentials: {from: static, user: a, password: b, ttl: soon}\n",
        "credentials.ttl: `soon` is not a duration; write",
    ),
    ("    credentials: {from: static, user: a, password: b, ttl: 0s}\n", "credentials.ttl: `0s` is not a duration"),
    ("    credentials: {from: static, user: a, password: b, ttl: 8d}\n", "`8d` is longer than seven days"),
    ("    credentials: {from: static, user: a, password: b}\n    session: 8d\n", "session: `8d` is longer than seven"),
    ("    credentials: {from: static, user: a, password: b}\n    session: 0s\n", "session: `0s` is not a duration"),
    ("    credentials: {from: static, user: a, password: b}\n    idle: 8d\n", "idle: `8d` is longer than seven days"),
    ("    credentials: {from: static, user: a, password: b}\n    idle: 0s\n", "idle: `0s` is not a duration"),
    ("    credentials: {from: static, user: a, password: b}\n    idle: 30\n", "idle: must be text, not a number"),
    ("    credentials: {from: static, user: a, password: b}\n    idel: 30m\n", "did you mean `idle`?"),
    (
        "    credentials: {from: postgres-role, user: a, password: b, roles: app}\n",
        "credentials.roles: expected `array`",
    ),
    (
        "    credentials: {from: postgres-role, user: a, password: b, roles: [1]}\n",
        "credentials.roles[0]: expected `str`",
    ),
    (
        "    credentials: {from: postgres-role, user: a, password: b, read_only: 'on'}\n",
        "credentials.read_only: expected `bool`",
    ),
    ("    credentials: {from: postgres-role, user: a, password: b, connection_limit: 0}\n", "expected `int` >= 1"),
    (
        "    credentials: {from: postgres-role, user: a, password: b, statement_timeout: 5}\n",
        "expected `str | null`, got",
    ),
    (
        "    credentials: {from: postgres-role, user: a, password: b, grants: [DROP]}\n",
        "10: targets.db.credentials: `grants` must",
    ),
]

SYNTAX: list[tuple[str | bytes, str]] = [
    ("", "is empty; start from the sample"),
    ("# nothing\n", "is empty; start from the sample"),
    ("~\n", "is empty"),
    ("- a\n", "1: must be a section of keys and values, not a list"),
    ("listen: [\n", "2: is not YAML: did not find expected node content"),
    ("a: 1\n\tb: 2\n", "2: is not YAML: found a tab character"),
    ("a: *gone\n", "1: is not YAML: found undefined alias"),
    ("a: 1\n---\nb: 1\n", "2: is not YAML: but found another document"),
    (b"a: \xff\xfe\n", "is not UTF-8 text"),
    ("a: \x00\n", "is not YAML"),
    (WHOLE + "x: !!python/object/apply:os.system [id]\n", "11: x: is not a known key"),
    (WHOLE.replace("rules", "!path rules"), "2: policies: has the tag `!path`; write a plain value"),
    ("a: &a {b: 1}\nc:\n  <<: *a\n", "3: c: uses the merge key `<<`"),
    ("? [a, b]\n: 1\n", "1: has a key that is not text"),
    ("a: &a [*a]\n", "too deep"),
    ("[" * 500 + "]" * 500, "too deep"),
    ("[" * 5_000, "is not YAML"),
    (
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{n}: &{n} [{','.join(['*' + p] * 10)}]\n" for p, n in zip("abcdefg", "bcdefgh", strict=True)),
        "is too large or too deep",
    ),
]


@pytest.mark.parametrize(("text", "line"), TOP)
def test_problems_at_the_top(home: Path, text: str, line: str) -> None:
    assert any(line in each for each in told(home, text)), told(home, text)


@pytest.mark.parametrize(("entry", "line"), ISSUERS)
def test_problems_of_issuers(home: Path, entry: str, line: str) -> None:
    assert any(line in each for each in told(home, with_identity(entry))), told(home, with_identity(entry))


@pytest.mark.parametrize(("lines", "line"), BACKENDS)
def test_problems_of_targets(home: Path, lines: str, line: str) -> None:
    assert any(line in each for each in told(home, with_target(lines))), told(home, with_target(lines))


@pytest.mark.parametrize(("text", "line"), SYNTAX)
def test_problems_of_the_file(home: Path, text: str | bytes, line: str) -> None:
    assert any(line in each for each in told(home, text)), told(home, text)


@pytest.mark.parametrize(
    "text",
    [text for text, line in TOP if "10.0.0.1" not in line and "0.0.0.0" not in line]
    + [with_target(lines) for lines, _ in BACKENDS if "bad name" not in lines],
)
def test_one_mistake_is_one_problem(home: Path, text: str) -> None:
    assert len(told(home, text)) == 1


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("mysql", "`mysql` is a kind of target that is not available yet"),
        ("oracle", "`oracle` is not a kind of target"),
    ],
)
def test_kinds_that_are_not_there(home: Path, kind: str, line: str) -> None:
    [problem] = told(home, WHOLE.replace("kind: postgres", f"kind: {kind}"))
    assert problem.startswith(f"7: targets.db.kind: {line}")


@pytest.mark.parametrize("address", ["db:0", "db:x", "::1", "'[::1'", "a,b", "db:5432/x", "'*'"])
def test_addresses_that_lead_nowhere(home: Path, address: str) -> None:
    [problem] = told(home, WHOLE.replace("db.internal", address if address[0] == "'" else f"'{address}'"))
    assert problem.startswith("8: targets.db.address: ")


def test_all_problems_are_told_at_once_in_the_order_of_the_lines(home: Path) -> None:
    lines = [
        "listen: nowhere",
        "policies: gone",
        "identity:",
        "  - {issuer: http://x.example, client_id: c, audience: a, extra: 1}",
        "targets:",
        "  one: {kind: mysql, address: x, database: y, credentials: {from: static, user: u}}",
        "  two: {}",
        "colour: blue",
    ]
    problems = told(home, "\n".join(lines))
    numbers = [int(each.split(":")[0]) for each in problems]
    assert numbers == sorted(numbers)
    assert numbers == [1, 2, 4, 4, 6, 6, 7, 7, 7, 7, 8]


def test_a_missing_file_is_one_problem(home: Path) -> None:
    with pytest.raises(BadConfig, match=r"gone\.yaml: cannot be read \(no such file") as bad:
        load(home / "gone.yaml", {})
    assert "HOOPX_CONFIG" in bad.value.message


def test_no_problem_repeats_a_secret(home: Path) -> None:
    """Not the inline one, not the referenced one, not even where the value of another key is what is wrong."""
    secret = "hunter2-hunter2"
    (home / "leak").write_text(f"{secret}:\n")
    text = (
        "identity:\n"
        f"  - {{kind: embedded, users: {{ann: {{password: {secret}, emial: 1}}}}}}\n"
        "targets:\n"
        "  a:\n"
        f"    credentials: {{from: static, user: file:leak, password: {secret}, x: 1, ttl: env:SECRET}}\n"
        "    address: env:SECRET\n"
        "    database: file:leak\n"
        "    labels: {a: file:leak}\n"
        "    classify: {a.b: file:leak}\n"
    )
    file = home / "hoopx.yaml"
    file.write_text(text)
    with pytest.raises(BadConfig) as bad:
        load(file, {"SECRET": secret + ":"})
    assert secret not in f"{bad.value!r} {bad.value} {bad.value.problems} {bad.value.hint}"
    assert "`env:SECRET` has a port" in bad.value.message


def test_a_problem_is_one_inert_line_whatever_the_file_holds(home: Path) -> None:
    [first, *_] = told(home, '"\\e[31mred\\nline": 1\n' + WHOLE)
    assert "red line" in first
