"""Errors that speak to who can act: what happened, and what to do next."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the `hoopx` command returns (see `docs/cli.md`)."""

    FINE = 0
    UNEXPECTED = 1
    USAGE = 2
    SQL_FAILED = 3
    DENIED = 10
    LOG_IN_FIRST = 11
    PENDING = 12
    REFUSED = 13
    UNREACHABLE = 14
    BACKEND_FAILED = 15


class HoopxError(Exception):
    """An expected failure. `message` says what happened, `hint` what to do next; neither ever holds a secret."""

    exit_code = ExitCode.UNEXPECTED
    http_status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(HoopxError):
    """Bad usage or configuration."""

    exit_code = ExitCode.USAGE
    http_status = 400


class Unknown(BadInput):
    """No such target, session or request (or none that this identity may know of)."""

    http_status = 404


class Denied(HoopxError):
    """Policy says no."""

    exit_code = ExitCode.DENIED
    http_status = 403


class Unauthenticated(HoopxError):
    """No token, or one that does not hold."""

    exit_code = ExitCode.LOG_IN_FIRST
    http_status = 401


class StillPending(HoopxError):
    """An approval has not come yet, or came to its end without an answer."""

    exit_code = ExitCode.PENDING
    http_status = 409


class Refused(HoopxError):
    """An approver said no."""

    exit_code = ExitCode.REFUSED
    http_status = 403


class Unreachable(HoopxError):
    """The broker cannot be reached."""

    exit_code = ExitCode.UNREACHABLE
    http_status = 503


class BackendFailed(HoopxError):
    """The target, its lease or its credential source failed."""

    exit_code = ExitCode.BACKEND_FAILED
    http_status = 502
