"""What `hoopx connect` prints: ways in for people to copy, and lines for a shell to evaluate."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.access import CONFLICTING, Access, variable_of
from hoopx_cli.aws_access import AwsAccess
from hoopx_cli.print_forms import Print


def lines(access: Access | AwsAccess, what: Print, *, is_only: bool = True) -> list[str]:
    """Raises `BadInput` where there is no such way in. With several targets nothing is the default in a shell."""
    if isinstance(access, AwsAccess):
        return _of_account(access, what)
    match what:
        case Print.URL:
            return [access.url()]
        case Print.PSQL:
            return [access.psql()]
        case Print.JDBC:
            return [_demanded_jdbc(access)]
        case Print.ENV:
            return exports(access, is_only=is_only)
        case Print.ALL:
            jdbc = [] if access.password is None else [access.jdbc()]
            return [access.url(), access.psql(), *jdbc, "export " + " ".join(_assigned(access, is_only=is_only))]


def exports(access: Access, *, is_only: bool) -> list[str]:
    """For `eval`. What would lead libpq elsewhere, with this password, is unset."""
    given = _assigned(access, is_only=is_only)
    astray = sorted(CONFLICTING - access.variables().keys()) if is_only else []
    return [*([f"unset {' '.join(astray)}"] if astray else []), *(f"export {each}" for each in given)]


def all_lines(accesses: Sequence[Access | AwsAccess], what: Print) -> list[str]:
    """Of several, each under its name, which a shell takes for a comment."""
    if len(accesses) == 1:
        return lines(accesses[0], what)
    return [
        line
        for each in accesses
        for line in ([f"# {each.target}"] if what in (Print.ALL, Print.ENV) else []) + lines(each, what, is_only=False)
    ]


def _assigned(access: Access, *, is_only: bool) -> list[str]:
    given = {**(access.variables() if is_only else {}), variable_of(access.target): access.url()}
    return [f"{name}={shlex.quote(value)}" for name, value in given.items()]


def _demanded_jdbc(access: Access) -> str:
    if access.password is None:
        raise BadInput("JDBC knows no socket files", "leave out --socket, or choose another form with --print")
    return access.jdbc()


def _of_account(access: AwsAccess, what: Print) -> list[str]:
    match what:
        case Print.ALL:
            return access.lines()
        case Print.ENV:
            return [f"export {name}={shlex.quote(value)}" for name, value in access.places().items()]
        case _:
            raise BadInput(f"`{access.target}` is an account of AWS: it has no {what.value}", "take --print env")
