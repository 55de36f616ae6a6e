"""Call AWS by boto3: in threads of their own, with clients kept per account, and an end to every wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock
from typing import Any, TypeVar

from msgspec import Struct, field

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_account import AwsAccount
from hoopx_plugins.aws_failures import is_about_credentials, told

CONNECT_SECONDS, READ_SECONDS = 3, 10
ATTEMPTS = 3  # botocore waits for up to 1 s, then up to 2 s, before the second and the third
# Shorter than the keeper of leases waits: its word for it is less exact.
PATIENCE = 20
# An AWS that hangs holds up these, and nobody else's threads; as many sessions open or end at once towards it.
THREADS = 16
BROKER_SESSION = "hoopx-broker"  # how CloudTrail names the broker where it assumes a role first

_Answer = TypeVar("_Answer")


class Caller(Struct, frozen=True):
    """Who asks, for errors that name the source and the target; and which account is asked."""

    source: str
    target: Target
    account: AwsAccount
    # What codes of AWS mean to this source alone: what happened, what to do.
    meanings: dict[str, tuple[str, str]] = field(default_factory=dict)

    async def ask(
        self, service: str, work: Callable[[Any], _Answer], *, role: str | None = None, external_id: str | None = None
    ) -> _Answer:
        """What `work` makes of a client of `service`, as `role` where one is said. Raises `BackendFailed`."""

        def call() -> _Answer:
            try:
                return work(client(self.account, service, role, external_id))
            except Exception as error:  # boto3's text may quote a token or a signature: only its kind is passed on
                if is_about_credentials(error, self.meanings):
                    _forget()
                raise told(error, self.source, self.target.name, self.account, self.meanings) from None

        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(_threads(), call)
        except TimeoutError:
            raise BackendFailed(
                f"the source `{self.source}` of target `{self.target.name}` got no answer from AWS in {PATIENCE} s",
                f"see whether the broker reaches {service} in `{self.account.region}`, and is not throttled",
            ) from None


def client(account: AwsAccount, service: str, role: str | None = None, external_id: str | None = None) -> Any:
    """Clients may be shared by threads; making one takes a tenth of a second, and must not happen twice at once.

    Raises `BackendFailed` where another thread has been at it for too long.
    """
    with _alone():
        return _client(account, service, role, external_id)


_making = Lock()


@contextmanager
def _alone() -> Iterator[None]:
    """botocore waits without end for a program that fetches credentials: it holds its own thread, and no other."""
    if not _making.acquire(timeout=PATIENCE):
        raise BackendFailed(
            "the broker's own AWS credentials are still being fetched, and the program that does it does not answer",
            "look at `credential_process` in the broker's AWS files",
        )
    try:
        yield
    finally:
        _making.release()


@cache
def _client(account: AwsAccount, service: str, role: str | None, external_id: str | None) -> Any:
    session = session_of(account, role, external_id)
    return session.create_client(service, **_settings(account))


@cache
def session_of(account: AwsAccount, role: str | None, external_id: str | None) -> Any:
    """botocore's, with the account's credentials: they renew themselves before they end."""
    session = _ambient(account)
    if account.role is not None:
        session = _assuming(session, account, account.role, account.external_id)
    return session if role is None else _assuming(session, account, role, external_id)


def _ambient(account: AwsAccount) -> Any:
    from botocore.session import Session  # 400 ms that a broker without AWS need not pay

    session = Session(profile=account.profile)
    session.set_config_variable("region", account.region)
    if account.access_key_id is not None and account.secret_access_key is not None:
        session.set_credentials(account.access_key_id, account.secret_access_key.reveal())
    return session


def _assuming(session: Any, account: AwsAccount, role: str, external_id: str | None) -> Any:
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.session import Session

    def make_client(service: str, **settings: Any) -> Any:
        return session.create_client(service, **(_settings(account) | settings))

    extra = {"RoleSessionName": BROKER_SESSION} | ({"ExternalId": external_id} if external_id else {})
    source = session.get_credentials()
    if source is None:
        from botocore.exceptions import NoCredentialsError

        raise NoCredentialsError
    fetcher = AssumeRoleCredentialFetcher(make_client, source, role, extra_args=extra)
    assumed = Session()
    assumed.set_config_variable("region", account.region)
    assumed._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return assumed


def _settings(account: AwsAccount) -> dict[str, Any]:
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=THREADS,
    )
    return {
        "region_name": account.region,
        "endpoint_url": account.endpoint,
        "verify": str(account.ca) if account.ca else None,
        "config": config,
    }


def _forget() -> None:
    """The next call looks for credentials afresh: somebody may have put new ones there."""
    with suppress(BackendFailed), _alone():
        _client.cache_clear()
        session_of.cache_clear()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="aws")
