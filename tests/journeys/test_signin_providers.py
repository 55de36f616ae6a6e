"""Log in by the device flow at real providers, with one suite for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from hoopx_broker.identity.verify import Gate
from hoopx_broker.terms.errors import Unauthenticated, Unreachable
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_cli.keyring import Login
from hoopx_cli.signin import Prompt, renew, sign_in, sign_out
from tests.peers.glewlwyd import glewlwyd_provider
from tests.peers.oidc import Provider, embedded_provider, node_provider


@pytest.fixture(scope="module", params=["embedded", "oidc-provider-jwt", "oidc-provider-opaque", "glewlwyd"])
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    match request.param:
        case "embedded":
            with embedded_provider(tmp_path_factory.mktemp("issuer")) as running:
                yield running
        case "oidc-provider-jwt":
            with node_provider("jwt") as running:
                yield running
        case "oidc-provider-opaque":
            with node_provider("opaque") as running:
                yield running
        case _:
            with glewlwyd_provider(tmp_path_factory.mktemp("glewlwyd")) as running:
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


def who(provider: Provider, login: Login) -> Principal:
    async def scene() -> Principal:
        gate = Gate([provider.trust], provider.clock, lambda _: None)
        return (await gate.who(login.bearer))[0]

    return asyncio.run(scene())


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
    assert who(provider, terminal.log_in("ann", after=3)).user == provider.user_of("ann")
    assert tuple(terminal.naps) == provider.paces


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
    assert sign_out(login, provider.tls)
    with pytest.raises(Unauthenticated, match="ended"):
        renew(login, provider.tls, provider.clock)


def test_logging_out_twice_is_no_failure(provider: Provider) -> None:
    login = Terminal(provider).log_in("ann")
    assert sign_out(login, provider.tls)
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
