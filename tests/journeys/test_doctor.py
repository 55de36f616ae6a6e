"""`hoopx doctor` and the names behind TAB, beside a real broker."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hoopx_cli import names
from hoopx_cli import settings as settings_room
from hoopx_cli.settings import Flags
from hoopx_cli.trust import fingerprint
from tests.journeys.stage import Stage
from tests.journeys.test_login import log_in
from tests.peers.clients import HOOPX
from tests.peers.processes import eventually


@pytest.fixture
def lena(stage: Stage) -> Iterator[str]:
    log_in(stage)
    yield "lena"
    stage.hoopx("logout", who="lena").fine()


def checks(stage: Stage, who: str, code: int, **more: str) -> dict[str, dict[str, Any]]:
    done = stage.hoopx("doctor", "-o", "json", who=who, SHELL="", **more)
    assert done.code == code, done.out
    return {each["check"]: each for each in json.loads(done.out)["checks"]}


def test_all_is_fine_for_a_job_with_a_token(stage: Stage) -> None:
    found = checks(stage, "ann", 0)
    assert {name for name, each in found.items() if each["state"] != "ok"} <= {"completion", "hoopx", "socket"}
    assert found["login"]["found"] == "ann (job; developers), by HOOPX_TOKEN"
    assert found["certificate"]["facts"]["fingerprint"] == fingerprint(stage.fingerprint)
    assert abs(found["clock"]["facts"]["seconds_ahead"]) < 30
    assert stage.environment("ann")["HOOPX_TOKEN"] not in json.dumps(found)


def test_all_is_fine_for_a_person_who_logged_in(stage: Stage, lena: str) -> None:
    found = checks(stage, lena, 0, HOOPX_BROKER="", HOOPX_CA="")
    assert "lena (human; developers), by the kept login" in found["login"]["found"]
    assert found["settings"]["found"] == f"the broker is {stage.url}, by the last login"
    assert (found["token"]["state"], found["home"]["state"]) == ("ok", "ok")
    assert "HOOPX_TOKEN wins" in checks(stage, lena, 11, HOOPX_TOKEN="nonsense")["environment"]["found"]


def test_who_is_not_logged_in_leaves_with_11(stage: Stage) -> None:
    found = checks(stage, "lena", 11)
    assert (found["broker"]["state"], found["login"]["code"]) == ("ok", 11)
    refused = checks(stage, "ann", 11, HOOPX_TOKEN="nonsense")["login"]
    assert "HOOPX_TOKEN is set and wins over a login" in refused["mend"]


def test_a_stranger_in_the_brokers_place_leaves_with_14(stage: Stage) -> None:
    found = checks(stage, "ann", 14, HOOPX_CA="sha256:" + "0" * 64)
    assert "shows another certificate" in found["certificate"]["found"]
    assert found["login"]["state"] == "skip", "a token is for nobody whom we do not trust"


def talked_to(environ: dict[str, str]) -> None:
    """As after a command: there is a place for names of this broker."""
    settings = settings_room.read(Flags(), environ)
    (names.place(settings).parent).mkdir(parents=True, exist_ok=True)


def test_names_are_asked_for_in_the_background_and_once(stage: Stage) -> None:
    environ = stage.environment("bob")
    talked_to(environ)
    running = [
        subprocess.Popen([HOOPX, "refresh-names", kind], env=environ) for kind in ("targets", "targets", "users")
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    place = Path(environ["HOOPX_HOME"]) / "names"

    def kept(kind: str) -> str | None:
        for path in place.rglob(kind):
            with suppress(FileNotFoundError):  # another one swept it away just now
                if "\n" in (text := path.read_text()).rstrip():
                    return text
        return None

    targets = eventually(lambda: kept("targets"), "the targets are kept")
    assert "shop-prod" in targets.split()
    assert stage.hoopx("refresh-names", "cellars", who="bob").code == 2


def test_a_broker_that_is_gone_is_not_asked_at_each_tab(stage: Stage) -> None:
    environ = stage.environment("dave") | {"HOOPX_BROKER": "https://127.0.0.1:1", "HOOPX_CA": ""}
    subprocess.run([HOOPX, "refresh-names", "targets"], env=environ, check=True, timeout=60)
    assert not (Path(environ["HOOPX_HOME"]) / "names").exists(), "nobody has talked to that broker yet"
    talked_to(environ)
    subprocess.run([HOOPX, "refresh-names", "targets"], env=environ, check=True, timeout=60)
    place = Path(environ["HOOPX_HOME"]) / "names"
    head = eventually(lambda: next((path.read_text() for path in place.rglob("targets")), None), "the next try is set")
    mark, fresh, ends = head.split()
    assert (mark, ends) == ("#", "0")
    assert int(fresh) > 0
