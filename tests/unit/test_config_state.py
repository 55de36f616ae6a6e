"""`state` in the configuration: where it may be, how its URL is protected, and that nobody gets to see its password."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.terms.settings import BrokerConfig, StateUrl

PASSWORD = "hunter2%2F"
REST = """
policies: rules
identity:
  - {issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}
targets:
  db: {kind: postgres, address: db, database: app, credentials: {from: static, user: app, password: plain}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path


def loaded(home: Path, state: str, **environ: str) -> BrokerConfig:
    (home / "hoopx.yaml").write_text(f"state: {state}{REST}")
    return load(home / "hoopx.yaml", environ)


def url_of(home: Path, state: str, **environ: str) -> StateUrl:
    found = loaded(home, state, **environ).state
    assert isinstance(found, StateUrl)
    return found


@pytest.mark.parametrize(
    ("host", "mode", "authority"),
    [
        ("db.internal", "verify-full", "system"),
        ("127.0.0.1", None, None),
        ("%2Frun%2Fpostgresql", None, None),
        ("127.0.0.1,db.internal", "verify-full", "system"),
    ],
)
def test_a_state_across_the_network_is_verified_unless_something_else_is_said(
    home: Path, host: str, mode: str | None, authority: str | None
) -> None:
    said = conninfo_to_dict(url_of(home, f"postgresql://hoopx@{host}/hoopx").url.reveal())
    assert (said.get("sslmode"), said.get("sslrootcert")) == (mode, authority)


def test_files_of_the_url_are_found_from_the_configuration(home: Path) -> None:
    said = conninfo_to_dict(url_of(home, "postgresql://hoopx@db/hoopx?sslrootcert=tls/ca.pem").url.reveal())
    assert (said["sslmode"], said["sslrootcert"]) == ("verify-full", str(home / "tls/ca.pem"))


@pytest.mark.parametrize("where", ["inline", "env", "file"])
def test_the_password_is_shown_nowhere(home: Path, where: str) -> None:
    url = f"postgresql://hoopx:{PASSWORD}@db1:5433,db2:5434/hoopx?target_session_attrs=read-write"
    (home / "url").write_text(url + "\n")
    state = url_of(home, {"inline": f'"{url}"', "env": "env:URL", "file": "file:url"}[where], URL=url)
    assert conninfo_to_dict(state.url.reveal())["password"] == "hunter2/"
    assert str(state) == "postgresql://db1:5433,db2:5434/hoopx"
    assert "hunter2" not in f"{state!r} {state} {loaded(home, 'env:URL', URL=url)!r}"


@pytest.mark.parametrize(
    "broken",
    [
        "postgresql://hoopx:hunter2@/x%ZZ",
        "postgresql://hoopx:hunter2@db",
        "postgresql://hoopx:hunter2 @db/x y?z",
        "postgres//hoopx:hunter2@db/x",
        "mysql://hoopx:hunter2@db/x",
    ],
)
def test_what_is_wrong_with_a_url_is_told_without_it(home: Path, broken: str) -> None:
    for said in (f'"{broken}"', "env:URL"):
        with pytest.raises(BadConfig) as refused:
            loaded(home, said, URL=broken)
        told = f"{refused.value} {refused.value.__cause__!r}"
        assert "hoopx.yaml:1: state: " in told
        assert "hunter2" not in told


def test_keys_are_beside_the_file_or_else_beside_the_recordings(home: Path) -> None:
    assert loaded(home, "sqlite:var/state.db").keys == home / "var/keys"
    assert loaded(home, "postgresql://hoopx@localhost/hoopx").keys == home / "keys"
