"""Read what the embedded issuer is told: its users, its agents, and where else people log in."""

from __future__ import annotations

import msgspec

from hoopx_broker.daemon import values
from hoopx_broker.daemon.config_upstream import read_upstreams
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import Section
from hoopx_broker.identity.embedded.authorization import PAGES
from hoopx_broker.identity.keys import read_keys
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.settings import EmbeddedIssuer, LocalAgent, LocalUser

# An agent publishes one key, and a second one while it changes them.
MAX_AGENT_JWKS = 64 * 1024
# 96 bits where the characters are random: such a secret is not guessed, however many try.
MIN_SECRET = 16


def read_embedded(section: Section) -> EmbeddedIssuer:
    issuer = EmbeddedIssuer(
        users={name: _local_user(name, inner) for name, inner in section.sections_or_none("users", values.user_name)},
        client_id=section.text_or("client_id", "hoopx-cli"),
        audience=section.text_or("audience", "hoopx"),
        agents={name: _agent(name, inner) for name, inner in section.sections_or_none("agents", values.user_name)},
        upstreams=read_upstreams(section),
    )
    if not issuer.users and not issuer.agents and not section.has("upstream"):
        section.sections("users", values.user_name)  # notes that there is nobody
    _check_names(section, issuer)
    return issuer


def _local_user(name: str, section: Section) -> LocalUser:
    user = LocalUser(
        name=name,
        password=section.secret("password"),
        groups=section.texts_or("groups", ()),
        email=section.text_or("email", None),
    )
    section.close()
    return user


def _agent(name: str, section: Section) -> LocalAgent:
    _, jwks = section.path_or_none("jwks_file", MAX_AGENT_JWKS, _check_jwks)
    agent = LocalAgent(
        name=name,
        groups=section.texts_or("groups", ()),
        jwks=jwks,
        secret=section.secret("secret") if section.has("secret") else None,
    )
    if section.has("secret") and section.has("jwks_file"):
        section.note("secret", "stands beside `jwks_file`", "an agent has one way to prove itself: keep the key")
    if agent.secret is not None and len(agent.secret.reveal()) < MIN_SECRET:
        section.note("secret", f"is shorter than {MIN_SECRET} characters", "make one with `openssl rand -base64 32`")
    section.close()
    return agent


def _check_jwks(content: bytes) -> None:
    """Public keys by which an agent's assertions can be checked, and no private one lying about."""
    if _holds_private(content):
        raise Wrong("holds a private key", "keep only the public parts: the private one is for the agent alone")
    try:
        read_keys(content)
    except BadInput as error:
        raise Wrong(f"does not serve: {error.message}", error.hint) from None


def _holds_private(content: bytes) -> bool:
    try:
        keys = msgspec.json.decode(content, type=dict[str, list[dict[str, object]]]).get("keys", [])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False  # what is no key set is told as such
    return any("d" in key for key in keys)


def _check_names(section: Section, issuer: EmbeddedIssuer) -> None:
    """A name in a token means one thing: a person, an agent, or the program that people use."""
    if issuer.client_id == PAGES:
        section.note("client_id", f"`{PAGES}` is the client of the broker's own pages", "name it another way")
    for name in issuer.agents:
        if name == PAGES:
            section.note("agents", f"`{name}` is the client of the broker's own pages", "give the agent another name")
        if name in issuer.users:
            section.note("agents", f"`{name}` is a user, too", "give the agent another name")
        if name == issuer.client_id:
            section.note("agents", f"`{name}` is the `client_id` of `hoopx login`, too", "give the agent another name")
