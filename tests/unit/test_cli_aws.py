"""How AWS's own tools come to a session's keys on a laptop, and how nobody else does."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ContainerProvider

from hoopx_broker.api.messages import Keys, TargetView
from hoopx_broker.terms.errors import BackendFailed, BadInput
from hoopx_broker.terms.secret import Secret
from hoopx_cli import key_endpoint, key_socket
from hoopx_cli.access import Access
from hoopx_cli.agent import chosen
from hoopx_cli.aws_access import AwsAccess, aws_environment
from hoopx_cli.aws_config import config_of
from hoopx_cli.front import AnyHeld, Held, HeldAws, environment_of
from hoopx_cli.key_endpoint import KeyEndpoint
from hoopx_cli.key_ring import HeldKeys
from hoopx_cli.kit import Kit
from hoopx_cli.output import Output
from hoopx_cli.settings import Settings
from tests.peers.aws import REGION

KEYS = HeldKeys.of(
    Keys("ASIAEXAMPLE", "secret-of-keys", "token-of-keys", REGION, time.time() + 86_400)
)  # the tests may come to it late
OWN = """\
[default]
region = us-east-1
output = yaml
aws_access_key_id = AKIAOWN
aws_secret_access_key = own-secret
s3 =
  max_concurrent_requests = 20
[profile prod-aws]
role_arn = arn:aws:iam::1:role/x
[profile other]
sso_session = mine
cli_pager =
credential_process = /bin/steal
  --with-arguments
[sso-session mine]
sso_region = us-east-1
"""


def access(newest: HeldKeys | None, expires_at: float, name: str = "prod-aws") -> AwsAccess:
    endpoint = KeyEndpoint("http://127.0.0.1:1/credentials", Secret("door"))
    return AwsAccess(name, "s_1", REGION, expires_at, lambda: newest, endpoint)


def test_keys_that_last_as_long_as_the_session_stand_in_the_environment() -> None:
    environ = aws_environment({"PATH": "/bin"}, [access(KEYS, KEYS.expires_at)], "/c")
    assert environ == {
        "PATH": "/bin",
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret-of-keys",
        "AWS_SESSION_TOKEN": "token-of-keys",
        "AWS_CREDENTIAL_EXPIRATION": KEYS.expiration,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/c",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_keys_that_end_before_it_are_fetched_and_do_not_stand_there() -> None:
    environ = aws_environment({}, [access(KEYS, KEYS.expires_at + 3600)], "/c")
    assert environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:1/credentials"
    assert environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"] == "door"
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & environ.keys()


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_that_leads_to_other_credentials_is_left(count: int) -> None:
    leading = {
        "AWS_PROFILE": "a",
        "AWS_DEFAULT_PROFILE": "a",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/x",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/x",
        "AWS_ROLE_ARN": "x",
        "AWS_ROLE_SESSION_NAME": "x",
        "AWS_BEARER_TOKEN_BEDROCK": "x",
        "AWS_SECURITY_TOKEN": "x",
        "BOTO_CONFIG": "x",
    }
    kept = {"AWS_PAGER": "", "AWS_ENDPOINT_URL": "http://here", "AWS_CA_BUNDLE": "/ca"}
    accesses = [access(KEYS, KEYS.expires_at, f"aws-{number}") for number in range(count)]
    environ = aws_environment(leading | kept, accesses, "/c")
    assert not leading.keys() & environ.keys()
    assert kept.items() <= environ.items()


def test_without_an_account_the_environment_is_left_alone() -> None:
    assert aws_environment({"AWS_PROFILE": "mine"}, [], "/c") == {"AWS_PROFILE": "mine"}


def test_the_persons_settings_stay_and_their_ways_to_credentials_do_not() -> None:
    text = config_of(OWN, {"prod-aws": REGION}, ["/opt/my hoopx", "credentials"])
    for kept in (
        "region = us-east-1",
        "output = yaml",
        "  max_concurrent_requests = 20",
        "[profile other]",
        "cli_pager =",
    ):
        assert kept in text
    for gone in ("AKIAOWN", "own-secret", "role_arn", "sso_", "sso-session", "/bin/steal", "--with-arguments"):
        assert gone not in text
    assert text.count("[profile prod-aws]") == 1
    assert f"credential_process = '/opt/my hoopx' credentials prod-aws\nregion = {REGION}\n" in text


def serve(act: Callable[[KeyEndpoint], Awaitable[None]], newest: HeldKeys | None = KEYS) -> None:
    async def scene() -> None:
        async with key_endpoint.serving(lambda: newest) as endpoint:
            await act(endpoint)

    asyncio.run(scene())


def test_botocore_fetches_keys_from_the_endpoint() -> None:
    async def act(endpoint: KeyEndpoint) -> None:
        found = await asyncio.to_thread(ContainerProvider(environ=endpoint.variables()).load)
        keys = await asyncio.to_thread(found.get_frozen_credentials)  # near their end it fetches them again
        assert (keys.access_key, keys.secret_key, keys.token) == ("ASIAEXAMPLE", "secret-of-keys", "token-of-keys")

    serve(act)


@pytest.mark.parametrize(
    ("path", "headers", "newest", "status"),
    [
        ("/credentials", {}, KEYS, 403),
        ("/credentials", {"Authorization": "guessed"}, KEYS, 403),
        ("/elsewhere", {"Authorization": "TOKEN"}, KEYS, 404),
        ("/credentials", {"Authorization": "TOKEN"}, None, 410),
    ],
)
def test_the_endpoint_tells_nobody_else_anything(
    path: str, headers: dict[str, str], newest: HeldKeys | None, status: int
) -> None:
    async def act(endpoint: KeyEndpoint) -> None:
        token = endpoint.token.reveal()
        sent = {name: token if value == "TOKEN" else value for name, value in headers.items()}
        request = urllib.request.Request(endpoint.url.replace("/credentials", path), headers=sent)
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(urllib.request.urlopen, request)
        assert refused.value.code == status
        assert b"secret-of-keys" not in refused.value.read()
        refused.value.close()

    serve(act, newest)


@pytest.mark.parametrize("deep", ["short", "deep" * 30])
def test_the_socket_answers_its_own_user_and_goes_with_the_session(tmp_path: Path, deep: str) -> None:
    settings = Settings("https://127.0.0.1:1", None, tmp_path / deep)

    async def scene() -> None:
        async with key_socket.serving(settings, "prod-aws", lambda: KEYS) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            answer = await asyncio.to_thread(key_socket.ask, settings, "prod-aws")
            assert answer == json.loads(json.dumps(KEYS.process_document()))
            with pytest.raises(BackendFailed, match="no session with `other`"):
                await asyncio.to_thread(key_socket.ask, settings, "other")
            with pytest.raises(BadInput, match="is in use"):
                async with key_socket.serving(settings, "prod-aws", lambda: None):
                    pass
        assert not path.exists()
        with pytest.raises(BackendFailed):
            await asyncio.to_thread(key_socket.ask, settings, "prod-aws")

    asyncio.run(scene())


def test_a_database_and_an_account_share_a_child_and_each_is_the_default_of_its_own() -> None:
    database = Access("shop", "s_2", "app", "127.0.0.1", 5433, Secret("door"), 0)
    nowhere: Any = None
    held: list[AnyHeld] = [
        Held(nowhere, nowhere, database, nowhere),
        HeldAws(nowhere, access(KEYS, KEYS.expires_at), nowhere),
    ]
    kit = Kit({"HOME": "/nowhere", "AWS_PROFILE": "own"}, Output(io.StringIO(), io.StringIO(), {}))
    kit.flags.broker = "https://127.0.0.1:1"
    with ExitStack() as files:
        environ = environment_of(kit, held, files)
        config = Path(environ["AWS_CONFIG_FILE"])
        assert "credentials --broker https://127.0.0.1:1 prod-aws" in config.read_text()
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert "secret-of-keys" not in config.read_text()
    assert not config.exists()
    assert (environ["PGPORT"], environ["AWS_ACCESS_KEY_ID"]) == ("5433", "ASIAEXAMPLE")
    assert "SHOP_DATABASE_URL" in environ
    assert "AWS_PROFILE" not in environ


def test_an_agent_on_standby_is_told_that_keys_cannot_wait() -> None:
    given = [TargetView("shop", "postgres", "allowed")]
    assert chosen(given, [], "claude for ann", ("prod-aws",)) == given
    with pytest.raises(BadInput, match="`prod-aws` is no database"):
        chosen(given, ["prod-aws"], "claude for ann", ("prod-aws",))


def test_no_keys_are_shown_by_their_repr() -> None:
    assert "secret-of-keys" not in repr(KEYS)
    assert "token-of-keys" not in repr(access(KEYS, 0))
