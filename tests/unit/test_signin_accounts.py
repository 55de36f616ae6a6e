"""Several accounts at several brokers, side by side: whose login is used, switched, renewed and forgotten."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from io import StringIO
from multiprocessing import get_context
from pathlib import Path

import keyring
import pytest
from msgspec.structs import replace

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import BadInput, Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli import settings
from hoopx_cli.keyring import UNNAMED, Login, Logins
from hoopx_cli.kit import Kit
from hoopx_cli.output import Output
from hoopx_cli.renewal import fresh
from hoopx_cli.settings import Flags, Remembered
from tests.unit.signin_stage import START, TLS, scripted, token
from tests.unit.test_signin_keyring import Shelf, nothing

ONE, TWO = "https://one.example.com:443", "https://two.example.com:443"


@pytest.fixture(autouse=True, params=["keyring", "file"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf | None]:
    """Everything here holds with a keyring and without one; the machine's own is never touched."""
    before = keyring.get_keyring()
    shelf = Shelf() if request.param == "keyring" else None
    keyring.set_keyring(shelf or nothing())
    yield shelf
    keyring.set_keyring(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def logins(home: Path) -> Logins:
    return Logins(home, lambda _: None)


def login(user: str, issuer: str = "https://login.example.com", expires_at: float = START + 600) -> Login:
    tokens = Secret(f"bearer of {user}"), expires_at, Secret(f"refresh of {user}")
    return Login(issuer, "hoopx-cli", "hoopx", *tokens, ProofKey.create().keep(), user)


def bearer(logins: Logins, broker: str, user: str | None = None) -> str | None:
    found = logins.get(broker, user)
    return found.bearer.reveal() if found is not None else None


def test_the_first_account_is_the_current_one_and_others_are_added_beside_it(logins: Logins) -> None:
    for user in ("ann", "bob@example.com"):
        logins.put(ONE, login(user))
    assert bearer(logins, ONE) == bearer(logins, ONE, "ann") == "bearer of ann"
    assert bearer(logins, ONE, "bob@example.com") == "bearer of bob@example.com"
    assert bearer(logins, ONE, "carol") is None
    assert bearer(logins, TWO) is None


def test_one_switches_between_them(logins: Logins) -> None:
    for user in ("ann", "bob"):
        logins.put(ONE, login(user))
    logins.choose(ONE, "bob")
    assert bearer(logins, ONE) == "bearer of bob"


def test_a_renewal_switches_nothing(logins: Logins) -> None:
    for user in ("ann", "bob", "bob"):
        logins.put(ONE, login(user))
    assert bearer(logins, ONE) == "bearer of ann"


def test_the_same_name_at_two_brokers_is_two_accounts(logins: Logins) -> None:
    logins.put(ONE, login("ann"))
    logins.put(TWO, replace(login("ann"), bearer=Secret("other")))
    assert (bearer(logins, ONE, "ann"), bearer(logins, TWO, "ann")) == ("bearer of ann", "other")
    logins.forget(ONE, "ann")
    assert bearer(logins, TWO, "ann") == "other"


def test_when_the_current_one_goes_nobody_silently_takes_their_place(logins: Logins) -> None:
    for user in ("ann", "bob"):
        logins.put(ONE, login(user))
    logins.forget(ONE, "ann")
    assert bearer(logins, ONE) is None
    assert bearer(logins, ONE, "bob") == "bearer of bob"
    with pytest.raises(Unauthenticated) as told:
        fresh(ONE, None, logins, lambda _: TLS, lambda: START)
    assert "no account is chosen" in told.value.message
    assert "bob" in told.value.hint


def test_an_account_that_is_not_kept_is_named_with_those_that_are(logins: Logins) -> None:
    logins.put(ONE, login("ann"))
    with pytest.raises(Unauthenticated, match="as `carol`") as told:
        fresh(ONE, "carol", logins, lambda _: TLS, lambda: START)
    assert "ann" in told.value.hint


def test_lists_need_no_keyring_and_hold_no_secret(logins: Logins, home: Path, shelf: Shelf | None) -> None:
    for broker, user in ((ONE, "ann"), (ONE, "bob"), (TWO, "carol")):
        logins.put(broker, login(user))
    if shelf is not None:
        shelf.shut = True
    listed = logins.listed()
    assert {broker: sorted(known.accounts) for broker, known in listed.items()} == {ONE: ["ann", "bob"], TWO: ["carol"]}
    assert listed[ONE].accounts["ann"].place == ("keyring" if shelf is not None else "file")
    completed = {path: path.read_text().splitlines()[1:] for path in sorted(home.rglob("names/*/accounts"))}
    for path in (home / "accounts.json", next(iter(completed))):
        text = path.read_text()
        assert "ann" in text
        assert "bearer" not in text
        assert "refresh" not in text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(completed.values()) == [["ann", "bob"], ["carol"]]


def test_a_name_that_means_something_to_a_shell_is_listed_but_not_completed(logins: Logins, home: Path) -> None:
    logins.put(ONE, login("$(reboot)"))
    assert "$(reboot)" in logins.listed()[ONE].accounts
    (completed,) = home.rglob("names/*/accounts")
    assert completed.read_text().splitlines()[1:] == []
    assert bearer(logins, ONE, "$(reboot)") is not None


def test_a_renewal_is_of_the_account_that_was_asked_for(logins: Logins) -> None:
    with scripted() as script:
        for user in ("ann", "bob"):
            logins.put(ONE, login(user, script.url, START))
        assert fresh(ONE, "bob", logins, lambda _: TLS, script.clock).user == "bob"
        [form] = script.forms("/token")
        assert form["refresh_token"] == "refresh of bob"
    assert bearer(logins, ONE) == "bearer of ann"
    assert bearer(logins, ONE, "bob") == token()


def test_an_account_that_the_provider_ended_is_forgotten_and_the_others_stay(logins: Logins) -> None:
    with scripted() as script:
        script.token_answers = [(400, {"error": "invalid_grant"})]
        for user in ("ann", "bob"):
            logins.put(ONE, login(user, script.url, START))
        with pytest.raises(Unauthenticated):
            fresh(ONE, "bob", logins, lambda _: TLS, script.clock)
    assert list(logins.listed()[ONE].accounts) == ["ann"]


def test_a_login_follows_the_name_by_which_the_broker_knows_it(logins: Logins) -> None:
    logins.put(ONE, login("ann"))
    logins.put(ONE, login("bob"))
    renamed = logins.rename(ONE, login("ann"), "ann@example.com")
    assert renamed.user == "ann@example.com"
    assert bearer(logins, ONE) == "bearer of ann"
    assert sorted(logins.listed()[ONE].accounts) == ["ann@example.com", "bob"]


def test_a_command_that_goes_on_acts_as_the_person_it_began_as(logins: Logins, home: Path) -> None:
    """`hoopx connect` in one window, `hoopx accounts use` in another."""
    with scripted() as script:
        for user in ("ann", "bob"):
            logins.put(ONE, login(user, script.url, time.time() + 61))
        kit = Kit({"HOOPX_HOME": str(home), "HOOPX_BROKER": ONE}, Output(StringIO(), StringIO(), {}))
        assert kit.credential().token.reveal() == "bearer of ann"
        logins.choose(ONE, "bob")
        assert kit.caller.login is not None
        kit.caller.login = replace(kit.caller.login, expires_at=time.time())
        logins.put(ONE, kit.caller.login)
        script.token_answers = [(200, {"access_token": token(exp=time.time() + 600)})]
        assert kit.credential().token.reveal() != "bearer of bob"
        assert [form["refresh_token"] for form in script.forms("/token")] == ["refresh of ann"]
        assert kit.caller.login.user == "ann"
    assert bearer(logins, ONE) == "bearer of bob"


# --- what earlier versions kept -----------------------------------------------------------------------------------


def earlier(home: Path, shelf: Shelf | None, script_url: str = "https://login.example.com") -> None:
    """One login for each broker, without key and name, as version 0.1 wrote it."""
    text = json.dumps(
        {
            "issuer": script_url,
            "client_id": "hoopx-cli",
            "audience": "hoopx",
            "bearer": "old bearer",
            "expires_at": START + 600,
            "refresh": "old refresh",
        }
    )
    if shelf is not None:
        shelf.kept["hoopx", f"{ONE} {home}"] = text
    else:
        settings.write_private(home / "logins.json", f'{{"{ONE}":{text}}}'.encode())


def test_a_login_of_an_earlier_version_works_on(logins: Logins, home: Path, shelf: Shelf | None) -> None:
    earlier(home, shelf)
    assert bearer(logins, ONE) == "old bearer"
    assert bearer(logins, ONE, "ann") is None
    assert bearer(logins, TWO) is None
    used = fresh(ONE, None, logins, lambda _: TLS, lambda: START)
    assert used.key is not None
    assert used.user == UNNAMED
    assert bearer(logins, ONE) == "old bearer"


def test_it_is_renewed_and_written_as_this_version_does(logins: Logins, home: Path, shelf: Shelf | None) -> None:
    with scripted() as script:
        earlier(home, shelf, script.url)
        script.now = START + 590
        script.token_answers = [(200, {"access_token": token(exp=START + 1200), "refresh_token": "r-2"})]
        fresh(ONE, None, logins, lambda _: TLS, script.clock)
        assert [form["refresh_token"] for form in script.forms("/token")] == ["old refresh"]
    found = logins.get(ONE)
    assert found is not None
    assert found.refresh is not None
    assert found.refresh.reveal() == "r-2"
    assert list(logins.listed()[ONE].accounts) == [UNNAMED]


def test_it_gets_its_name_when_the_broker_says_it(logins: Logins, home: Path, shelf: Shelf | None) -> None:
    earlier(home, shelf)
    logins.rename(ONE, fresh(ONE, None, logins, lambda _: TLS, lambda: START), "ann")
    assert bearer(logins, ONE) == bearer(logins, ONE, "ann") == "old bearer"
    assert logins.get(ONE, UNNAMED) is None
    if shelf is not None:
        assert [name for _, name in shelf.kept] == [f"ann at {ONE} {home}"]


def test_it_can_be_forgotten(logins: Logins, home: Path, shelf: Shelf | None) -> None:
    earlier(home, shelf)
    logins.forget(ONE, UNNAMED)
    assert bearer(logins, ONE) is None


# --- attacks and accidents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"a": 5}', b'{"a": {"accounts": {"b": 5}}}'])
def test_a_broken_list_names_itself_and_the_remedy(logins: Logins, home: Path, content: bytes) -> None:
    settings.write_private(home / "accounts.json", content)
    with pytest.raises(BadInput, match="does not hold accounts") as told:
        logins.get(ONE)
    assert "remove it" in told.value.hint


def test_a_list_that_others_can_write_is_not_believed(logins: Logins, home: Path) -> None:
    logins.put(ONE, login("ann"))
    (home / "accounts.json").chmod(0o666)
    with pytest.raises(BadInput, match="others can read or own"):
        logins.get(ONE)


def _renew(home: Path, results: Path, number: int) -> None:
    keyring.set_keyring(nothing())
    found = fresh(ONE, None, Logins(home, lambda _: None), lambda _: TLS, lambda: START)
    (results / str(number)).write_text(found.bearer.reveal())


def test_commands_that_renew_at_once_spend_a_refresh_token_once(
    logins: Logins, home: Path, tmp_path: Path, shelf: Shelf | None
) -> None:
    """Processes of their own, as commands are; a keyring of this process is no keyring of theirs."""
    keyring.set_keyring(nothing())
    results = tmp_path / "results"
    results.mkdir()
    with scripted() as script:
        logins.put(ONE, login("ann", script.url, START))
        context = get_context("spawn")
        commands = [context.Process(target=_renew, args=(home, results, number)) for number in range(4)]
        for command in commands:
            command.start()
        for command in commands:
            command.join(60)
        assert len(script.forms("/token")) == 1
    assert [path.read_text() for path in results.iterdir()] == [token()] * 4


# --- whom a command means -----------------------------------------------------------------------------------------


def test_the_flag_wins_over_the_environment(tmp_path: Path) -> None:
    environ = {"HOOPX_HOME": str(tmp_path), "HOOPX_ACCOUNT": "ann"}
    assert settings.read(Flags(), environ).account == "ann"
    assert settings.read(Flags(account="bob"), environ).account == "bob"
    assert settings.read(Flags(), environ | {"HOOPX_ACCOUNT": ""}).account is None


def test_the_flag_wins_over_a_token_of_the_environment_which_wins_over_its_account(tmp_path: Path) -> None:
    environ = {"HOOPX_HOME": str(tmp_path), "HOOPX_TOKEN": "job", "HOOPX_ACCOUNT": "ann"}
    assert settings.read(Flags(), environ).token is not None
    insisting = settings.read(Flags(account="bob"), environ)
    assert (insisting.token, insisting.insists) == (None, True)


def test_each_broker_keeps_the_trust_it_was_given(tmp_path: Path) -> None:
    environ = {"HOOPX_HOME": str(tmp_path)}
    pins = {broker: f"sha256:{digit * 64}" for broker, digit in ((ONE, "a"), (TWO, "b"))}
    for broker, pin in pins.items():
        settings.remember(tmp_path, Remembered(broker, pin))
    assert settings.read(Flags(), environ).broker == TWO
    for broker, pin in pins.items():
        assert settings.read(Flags(broker=broker), environ).ca == pin
    settings.remember(tmp_path, Remembered(ONE, None))
    assert settings.read(Flags(), environ).ca is None
    assert settings.read(Flags(broker=TWO), environ).ca == pins[TWO]
