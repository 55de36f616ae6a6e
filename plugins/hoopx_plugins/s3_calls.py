"""Call S3 by boto3: in threads of their own, with an end to every wait; the event loop never waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any, TypeVar

from hoopx_broker.seams.store import StoreFailed
from hoopx_plugins.aws_account import AwsAccount
from hoopx_plugins.s3_failures import told

CONNECT_SECONDS, READ_SECONDS = 5, 30
ATTEMPTS = 3
THREADS = 8  # uploads, and those who read recordings or tiles of the log at the same time
PATIENCE = 120.0  # of one call; longer than its attempts take

_Answer = TypeVar("_Answer")


class Calls:
    """Clients are shared by threads; the first call makes one, which takes a tenth of a second."""

    def __init__(self, account: AwsAccount, where: str) -> None:
        self._account = account
        self._where = where
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
        self._making = Lock()
        self._client: Any = None
        self.stopped = Event()

    async def ask(
        self, work: Callable[[Any], _Answer], *, name: str = "", patience: float | None = PATIENCE
    ) -> _Answer:
        """What `work` makes of a client. Raises `StoreFailed` or `Unfit`. `patience` None is for what is long."""

        def call() -> _Answer:
            if self.stopped.is_set():
                raise StoreFailed(f"the store `{self._where}` is closed", "the broker stops")
            try:
                return work(self._made())
            except Exception as error:  # boto3's text may quote a signature: only its kind is passed on
                raise told(error, self._where, name) from None

        try:
            async with asyncio.timeout(patience):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except TimeoutError:
            raise StoreFailed(
                f"the store `{self._where}` gave no answer in {PATIENCE:.0f} s", "see the broker's way there"
            ) from None

    def close(self) -> None:
        """What is being uploaded ends after its part; it goes on there at the next start."""
        self.stopped.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _made(self) -> Any:
        with self._making:
            if self._client is None:
                self._client = _client(self._account)
            return self._client


def _client(account: AwsAccount) -> Any:
    # boto3 takes 400 ms to load, which a broker without AWS need not pay.
    from botocore.config import Config

    from hoopx_plugins.aws_calls import session_of

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=THREADS,
        s3={"addressing_style": "path" if account.endpoint else "auto"},
        # Checksums are ours: SHA-256, said with every upload and compared with what S3 says.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return session_of(account, None, None).create_client(
        "s3",
        region_name=account.region,
        endpoint_url=account.endpoint,
        verify=str(account.ca) if account.ca else None,
        config=config,
    )
