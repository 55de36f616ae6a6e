"""Log in to the PostgreSQL that holds the state: with limits, so that no silence of it holds anybody up for long."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import FloatLoader

from hoopx_broker.terms.settings import StateUrl

Raw: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

CONNECT_SECONDS = 3  # for each address of the server
STATEMENT_SECONDS = 5  # every statement of the state finds what it wants by an index, or reads a bounded list
LOCK_SECONDS = 3  # another broker that was stopped in the midst of a transaction
IDLE_SECONDS = 4  # between two statements of one transaction: who is silent for longer is stopped or cut off
SILENCE_SECONDS = 8  # until either side gives a connection up for which nothing is acknowledged
LOOK_SECONDS = 0.02

SETTINGS = f"""
SET search_path = hoopx;
SET statement_timeout = '{STATEMENT_SECONDS}s';
SET lock_timeout = '{LOCK_SECONDS}s';
SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s';
SET tcp_user_timeout = '{SILENCE_SECONDS}s';
SET tcp_keepalives_idle = 4;
SET tcp_keepalives_interval = 2;
SET tcp_keepalives_count = 2;
SET standard_conforming_strings = on;
SET client_encoding = 'UTF8';
"""


def parameters_of(where: StateUrl, **more: Any) -> dict[str, Any]:
    """For psycopg. What the URL itself says goes before, but for what its promises rest on."""
    here = {
        "connect_timeout": CONNECT_SECONDS,
        "target_session_attrs": "read-write",
        "application_name": "hoopx-broker",
        "keepalives_idle": 4,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": SILENCE_SECONDS * 1000,
    }
    said = {key: value for key, value in conninfo_to_dict(where.url.reveal()).items() if value is not None}
    return {**here, **said, "client_encoding": "utf8", **more}


def log_in(where: StateUrl, ends_at: float) -> Raw:
    """Raises `psycopg.OperationalError`, by `ends_at` at the latest for a server of one address."""
    left = max(1, min(CONNECT_SECONDS, int(ends_at - time.monotonic())))
    said = parameters_of(where)
    said["connect_timeout"] = min(int(said["connect_timeout"]), left)
    # Parameters are put into the text here: the server would otherwise want to know the type of each.
    raw: Raw = psycopg.connect(**said, autocommit=True, cursor_factory=psycopg.ClientCursor)
    try:
        settle_in(raw)
    except BaseException:
        raw.close()
        raise
    return raw


def settle_in(raw: Raw) -> None:
    raw.pgconn.exec_(SETTINGS.encode())
    raw.adapters.register_loader("numeric", FloatLoader)
    raw.adapters.register_dumper(bool, _Truth)


class _Truth(psycopg.adapt.Dumper):
    """Truth is 0 or 1 in both kinds of state."""

    oid = psycopg.postgres.types["int4"].oid

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"

    def quote(self, obj: bool) -> bytes:
        return self.dump(obj)


def sever(raw: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Cut it under whoever waits for it, in another thread. Closing it is still theirs."""
    with suppress(OSError, psycopg.Error):
        descriptor = os.dup(raw.pgconn.socket)
        with socket.socket(fileno=descriptor) as cut:
            cut.shutdown(socket.SHUT_RDWR)


def see_gone(raw: Raw, process: int, ends_at: float) -> None:
    """End that process of the server, and wait until it is gone: what it was about is settled then."""
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND datname = current_database()"
    while raw.execute(end, (process,)).fetchone() is not None:
        if time.monotonic() > ends_at:
            raise psycopg.OperationalError(f"process {process} of the server does not end")
        time.sleep(LOOK_SECONDS)
