"""As whom a command acts where a job runs it: the job, and a person only where the job has no token for this broker."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from hoopx_broker.api.messages import About, Jobs
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.daemon import reception
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import Rule
from hoopx_cli.keyring import Login
from hoopx_cli.kit import Kit
from hoopx_cli.output import Output
from hoopx_cli.workload_source import NoJobToken
from tests.peers.job_issuers import GitLabDouble
from tests.unit.identity_stage import workload
from tests.unit.job_claims import GITHUB_ISSUER, gitlab

BROKER = "https://broker.example.com:443"
ISSUER = "https://gitlab.example.com"


def kit(folder: Path, monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str], *jobs: Jobs) -> Kit:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    said = Output(io.StringIO(), io.StringIO(), {})
    made = Kit({"HOOPX_BROKER": BROKER, "HOOPX_HOME": str(folder), **environ}, said)
    made.__dict__["api"] = SimpleNamespace(about=lambda: About("1", "k", (), jobs))
    return made


def told(kit: Kit) -> str:
    stderr = kit.out._stderr
    assert isinstance(stderr, io.StringIO)
    return stderr.getvalue()


def log_in(kit: Kit) -> None:
    bearer = Secret("a.e30.c")
    key = ProofKey.create().keep()
    kit.logins.put(BROKER, Login("https://login.example.com", "c", "a", bearer, time.time() + 999, None, key, "ann"))


def token(**changes: Any) -> str:
    return GitLabDouble().sign(gitlab(**{"iss": ISSUER, "aud": "hoopx"} | changes))


def test_a_job_acts_as_itself_also_where_a_person_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = token()
    made = kit(tmp_path, monkeypatch, {"HOOPX_ID_TOKEN": given}, Jobs(ISSUER, "hoopx"))
    log_in(made)
    credential = made.credential()
    assert (credential.scheme, credential.token.reveal()) == ("Bearer", given)


def test_the_token_of_the_environment_comes_before_the_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = kit(tmp_path, monkeypatch, {"HOOPX_ID_TOKEN": token(), "HOOPX_TOKEN": "t.o.ken"})
    assert made.credential().token.reveal() == "t.o.ken"


def test_where_the_job_has_no_token_for_the_broker_a_person_may_work_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kit(tmp_path, monkeypatch, {"GITHUB_ACTIONS": "true"}, Jobs(GITHUB_ISSUER, "hoopx"))
    log_in(made)
    assert made.credential().scheme == "DPoP"
    assert "acting as the login that is kept here" in told(made)


def test_where_nobody_is_logged_in_the_job_is_told_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kit(tmp_path, monkeypatch, {"GITHUB_ACTIONS": "true"}, Jobs(GITHUB_ISSUER, "hoopx"))
    with pytest.raises(NoJobToken, match="may not ask GitHub"):
        made.credential()


def test_a_hostile_broker_gets_no_token_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"HOOPX_ID_TOKEN": token(aud="https://vault.example.com")}
    made = kit(tmp_path, monkeypatch, environ, Jobs(ISSUER, "https://vault.example.com"))
    with pytest.raises(NoJobToken, match="need not be its own name"):
        made.credential()


def test_a_broker_that_lets_strangers_in_says_so_at_its_start() -> None:
    open_ = workload(issuer=GITHUB_ISSUER)
    closed = workload(issuer=GITHUB_ISSUER, rules=(Rule({"repository": ("acme/shop",)}),))
    own = workload(issuer=ISSUER)
    with capture_logs() as logs:
        reception.warn_of_strangers(SimpleNamespace(identity=(open_, closed, own)))  # type: ignore[arg-type]
    assert [(entry["event"], entry["issuer"]) for entry in logs] == [("identity.strangers", GITHUB_ISSUER)]
