"""What docs/state.md says of setting up a state is done here, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from hoopx_broker.daemon import upgrade
from hoopx_broker.daemon.config import load
from hoopx_broker.terms.settings import StateUrl
from tests.peers.postgres import Postgres
from tests.unit.test_config_state import REST

PAGE = (Path(__file__).parents[2] / "docs" / "state.md").read_text()


def example(name: str, language: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, name
    return found[1]


def test_the_database_is_made_and_migrated_as_the_page_says(tmp_path: Path, postgres: Postgres) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "hoopx.yaml").write_text(example("configuration", "yaml") + REST)
    try:
        with psycopg.connect(postgres.dsn(database="postgres"), autocommit=True) as connection:
            for statement in example("setup", "sql").strip().split(";\n"):
                connection.execute(statement.encode())
        where = f"{postgres.host}:{postgres.port}/hoopx?sslmode=verify-full&sslrootcert={postgres.ca}"
        settings = load(tmp_path / "hoopx.yaml", {"HOOPX_STATE": f"postgresql://hoopx_owner:change-me@{where}"})
        assert isinstance(settings.state, StateUrl)
        assert conninfo_to_dict(settings.state.url.reveal())["user"] == "hoopx_owner"
        assert upgrade.migrate(settings)[0] == "0001 sessions_leases_requests"
        assert "0009 brokers" in upgrade.migrate(settings), "and again, with nothing to do"
    finally:
        postgres.sql("DROP DATABASE IF EXISTS hoopx WITH (FORCE)", "postgres")
        postgres.sql("DROP ROLE IF EXISTS hoopx_owner", "postgres")
