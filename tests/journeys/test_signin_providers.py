"""Log in by the device flow at real providers, with one suite for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from msgspec.structs import replace

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.bindings import Bindings
from hoopx_broker.identity.discovery import FRESH, PAUSE
from hoopx_broker.identity.identity import Presented
from hoopx_broker.identity.jws import read_token
from hoopx_broker.identity.possession import Registers
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.identity.standing import Standing
from hoopx_broker.identity.verify import Gate
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import HoopxError, Unauthenticated, Unreachable
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_cli.browser_signin import sign_in_by_browser
from hoopx_cli.keyring import Login
from hoopx_cli.signin import Prompt, key_of, renew, sign_in, sign_out
from hoopx_cli.unverified import claims_of
from tests.peers.glewlwyd import Binding, glewlwyd_provider
from tests.peers.oidc import Provider, embedded_provider, node_provider

KINDS = ("embedded", "oidc-provider-jwt", "oidc-provider-opaque", "glewlwyd", "glewlwyd-dpop")


def provider_of(kind: str, home: Path, life: int = 600) -> AbstractContextManager[Provider]:
    match kind:
        case "embedded":
            return embedded_provider(home)
        case "oidc-provider-jwt":
            return node_provider("jwt", LIFE=str(life))
        case "oidc-provider-opaque":
            return node_provider("opaque", LIFE=str(life))
        case "glewlwyd":
            return glewlwyd_provider(home, Binding.OFF)
        case _:
            return glewlwyd_provider(home, Binding.ON)


@pytest.fixture(scope="module", params=KINDS)
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """Shared: leave it as you found it."""
    with provider_of(request.param, tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture(params=KINDS)
def own_provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Provider]:
    """For one test alone, whose tokens live longer than the broker believes keys unasked."""
    with provider_of(request.param, tmp_path, life=1800) as running:
        yield running


class Terminal:
    """Where somebody runs `hoopx login`: what it shows, and a person who acts while it waits."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.prompt: Prompt | None = None
        self.polls = 0
        self.naps: list[float] = []
        self.clock = provider.terminal_clock()

    def log_in(self, person: str | None, answer: str = "yes", after: int = 1) -> Login:
        def show(prompt: Prompt) -> None:
            self.prompt = prompt

        def sleep(seconds: float) -> None:
            comes = person is not None and (answer == "yes" or self.polls < after)
            self.clock.sleep(seconds if comes else 60.0)  # with nobody there, time flies
            self.polls += 1
            self.naps.append(seconds)
            if person is not None and self.polls == after and self.prompt is not None:
                self.provider.answer(self.prompt, person, "yes" if answer == "yes" else "no")

        return sign_in(self.provider.sign_in, self.provider.tls, show, self.clock, sleep, self.provider.clock)


BROKER = "https://broker.example.com"


def who(provider: Provider, login: Login, *later: ProofKey) -> Principal:
    """Who the gate of a new broker takes them for, with a proof of the login's key; then by each other key."""

    def presented(key: ProofKey) -> Presented:
        proof = key.prove("GET", f"{BROKER}/v1/whoami", provider.clock(), login.bearer)
        return Presented(login.bearer, "dpop", proof, "GET", "/v1/whoami")

    async def scene(state: Path) -> Principal:
        store = await Store.open(state)
        try:
            standing = await Standing.load(store, provider.clock)
            registers = Registers(Bindings(store), standing, Spent(provider.clock))
            gate = Gate([provider.trust], provider.clock, lambda _: None, registers, lambda url: url == BROKER)
            seen = [(await gate.identify(presented(key))).who for key in (key_of(login), *later)]
            return seen[-1]
        finally:
            await store.close()

    with TemporaryDirectory() as home:
        return asyncio.run(scene(Path(home) / "state.db"))


def test_a_person_logs_in_and_the_broker_knows_them_and_their_groups(provider: Provider) -> None:
    login = Terminal(provider).log_in("dora")
    seen = who(provider, login)
    assert seen.user == provider.user_of("dora")
    assert (seen.kind, set(seen.groups)) == ("human", {"dba", "developers"})
    assert seen.issuer == provider.sign_in.issuer
    assert login.refresh is not None


def test_a_subject_may_say_nothing_and_still_name_one_person(provider: Provider) -> None:
    dora, again, ann = (who(provider, Terminal(provider).log_in(each)) for each in ("dora", "dora", "ann"))
    assert dora.subject == again.subject != ann.subject
    assert ("dora" in dora.subject) is not provider.has_opaque_sub


def test_the_terminal_waits_at_the_pace_that_the_provider_wants(provider: Provider) -> None:
    terminal = Terminal(provider)
    assert who(provider, terminal.log_in("ann", after=8)).user == provider.user_of("ann")
    assert terminal.naps[0] == provider.interval
    assert (max(terminal.naps) > provider.interval) is provider.says_slow_down


def test_the_prompt_leads_to_the_provider_and_holds_no_secret(provider: Provider) -> None:
    terminal = Terminal(provider)
    terminal.log_in("ann")
    assert terminal.prompt is not None
    assert terminal.prompt.url.startswith(provider.sign_in.issuer)
    assert terminal.prompt.complete_url is not None
    assert terminal.prompt.code in terminal.prompt.complete_url


def test_a_person_who_refuses_is_not_logged_in(provider: Provider) -> None:
    with pytest.raises(Unauthenticated, match="declined" if provider.can_decline else "in time"):
        Terminal(provider).log_in("ann", answer="no")


def test_nobody_comes_and_the_login_ends(provider: Provider) -> None:
    with pytest.raises(Unauthenticated, match="in time"):
        Terminal(provider).log_in(None)


def test_a_login_renews_itself_and_spends_its_refresh_token(provider: Provider) -> None:
    first = Terminal(provider).log_in("ann")
    second = renew(first, provider.tls, provider.clock)
    assert who(provider, second).user == provider.user_of("ann")
    assert second.refresh is not None
    assert first.refresh is not None
    assert second.refresh.reveal() != first.refresh.reveal()


def test_a_refresh_token_used_twice_ends_the_login_for_thief_and_owner(provider: Provider) -> None:
    stolen = Terminal(provider).log_in("ann")
    owner = renew(stolen, provider.tls, provider.clock)
    for login in (stolen, owner):
        with pytest.raises(Unauthenticated, match="ended"):
            renew(login, provider.tls, provider.clock)


def test_logging_out_ends_the_login_at_the_provider(provider: Provider) -> None:
    login = Terminal(provider).log_in("ann")
    assert sign_out(login, provider.tls) is provider.can_revoke
    if provider.can_revoke:
        with pytest.raises(Unauthenticated, match="ended"):
            renew(login, provider.tls, provider.clock)


def test_logging_out_twice_is_no_failure(provider: Provider) -> None:
    login = Terminal(provider).log_in("ann")
    assert sign_out(login, provider.tls) is provider.can_revoke
    sign_out(login, provider.tls)


def test_a_made_up_refresh_token_renews_nothing(provider: Provider) -> None:
    login = replace(Terminal(provider).log_in("ann"), refresh=Secret("made-up"))
    with pytest.raises(Unauthenticated, match="ended"):
        renew(login, provider.tls, provider.clock)


def test_a_client_that_the_provider_does_not_know_is_told_so(provider: Provider) -> None:
    stranger = replace(provider, sign_in=replace(provider.sign_in, client_id="stranger"))
    with pytest.raises(Unauthenticated, match="does not let `stranger` sign in"):
        Terminal(stranger).log_in("ann")


def test_an_issuer_under_another_name_is_not_believed(provider: Provider) -> None:
    renamed = replace(provider, sign_in=replace(provider.sign_in, issuer=provider.sign_in.issuer + "/"))
    with pytest.raises(Unreachable):
        Terminal(renamed).log_in("ann")


# --- a key of one's own -----------------------------------------------------------------------------------------


def test_a_token_is_bound_to_the_key_of_the_login_where_the_provider_can(provider: Provider) -> None:
    login = Terminal(provider).log_in("ann")
    said = claims_of(login.bearer.reveal())
    # An ID token is never bound: where access tokens are opaque, the broker binds it at its first use.
    bound = provider.binds_tokens and "hoopx-cli" not in said["aud"]
    assert said.get("cnf", {}).get("jkt") == (key_of(login).thumbprint if bound else None)


def test_a_token_that_was_copied_opens_nothing(provider: Provider) -> None:
    """Bound by its provider, or by the broker at its first use."""
    login = Terminal(provider).log_in("ann")
    assert who(provider, login, key_of(login)).user == provider.user_of("ann")
    with pytest.raises(Unauthenticated, match="not accepted"):
        who(provider, login, ProofKey.create())


def test_a_refresh_token_is_worth_nothing_without_the_key(provider: Provider) -> None:
    login = Terminal(provider).log_in("ann")
    stolen = replace(login, key=ProofKey.create().keep())
    if not provider.binds_tokens:
        assert renew(stolen, provider.tls, provider.clock).refresh is not None
        return
    with pytest.raises(HoopxError):
        renew(stolen, provider.tls, provider.clock)


def test_a_provider_that_wants_its_nonce_in_proofs_gets_it() -> None:
    with node_provider("jwt", DPOP_NONCE="yes") as provider:
        login = Terminal(provider).log_in("ann")
        renewed = renew(login, provider.tls, provider.clock)
        assert claims_of(renewed.bearer.reveal())["cnf"]["jkt"] == key_of(login).thumbprint


# --- a browser on this machine ----------------------------------------------------------------------------------


def browse(provider: Provider, person: str) -> Login:
    """`hoopx login --browser`, and a person in that browser."""
    coming: list[threading.Thread] = []

    def show(url: str) -> None:
        coming.append(threading.Thread(target=provider.visit, args=(url, person)))
        coming[0].start()

    try:
        return sign_in_by_browser(provider.sign_in, provider.tls, show, provider.clock, patience=20)
    finally:
        coming[0].join()


def test_a_person_logs_in_in_a_browser_on_this_machine(provider: Provider) -> None:
    login = browse(provider, "dora")
    assert who(provider, login).user == provider.user_of("dora")
    assert login.refresh is not None
    assert who(provider, renew(login, provider.tls, provider.clock)).user == provider.user_of("dora")


# --- what changes while somebody is logged in -------------------------------------------------------------------


def test_groups_are_those_of_the_moment_at_every_renewal(own_provider: Provider) -> None:
    login = Terminal(own_provider).log_in("dora")
    assert set(who(own_provider, login).groups) == {"dba", "developers"}
    own_provider.desk.set_groups("dora", ["developers"])
    login = renew(login, own_provider.tls, own_provider.clock)
    assert who(own_provider, login).groups == ("developers",)
    own_provider.desk.set_groups("dora", ["developers", "auditors"])
    assert set(who(own_provider, renew(login, own_provider.tls, own_provider.clock)).groups) == {
        "developers",
        "auditors",
    }


def test_a_person_who_is_taken_out_renews_nothing_and_disturbs_nobody(own_provider: Provider) -> None:
    dora, ann = Terminal(own_provider).log_in("dora"), Terminal(own_provider).log_in("ann")
    own_provider.desk.take_out("dora")
    with pytest.raises(Unauthenticated, match="ended"):
        renew(dora, own_provider.tls, own_provider.clock)
    assert who(own_provider, renew(ann, own_provider.tls, own_provider.clock)).user == own_provider.user_of("ann")


def test_a_new_key_disturbs_no_login_and_a_withdrawn_one_stops_being_believed(own_provider: Provider) -> None:
    before = Terminal(own_provider).log_in("ann")
    user = own_provider.user_of("ann")
    assert who(own_provider, before).user == user
    own_provider.desk.turn_keys()
    own_provider.clock.sleep(PAUSE)
    after = renew(before, own_provider.tls, own_provider.clock)
    assert kid_of(after) != kid_of(before)
    assert [who(own_provider, each).user for each in (after, before)] == [user, user]
    own_provider.desk.withdraw_keys()
    own_provider.clock.sleep(FRESH)
    assert who(own_provider, after).user == user
    with pytest.raises(Unauthenticated, match="not accepted"):
        who(own_provider, before)


def kid_of(login: Login) -> str | None:
    return read_token(login.bearer.reveal()).kid
