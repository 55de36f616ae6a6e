"""Tokens that a job was given: in its environment by GitLab, in a file by Kubernetes or spiffe-helper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hoopx_broker.terms.secret import Secret
from hoopx_cli.inert import inert
from hoopx_cli.unverified import MAX_TOKEN, audiences_of, claims_of
from hoopx_cli.workload_source import NoJobToken

# Where docs/jobs.md has the volume of a pod mounted. Never the pod's own token, which is for the cluster's API.
FILE = Path("/var/run/secrets/hoopx/token")


class Given:
    """A token that lies ready. It is read each time: files are renewed by those who wrote them."""

    def __init__(self, name: str, place: str, remedy: str, read: Callable[[], Secret]) -> None:
        """`remedy` tells how to have it made for an audience, `{}` in it."""
        self.name = name
        self._place = place
        self._remedy = remedy
        self._read = read

    @property
    def audiences(self) -> tuple[str, ...] | None:
        return audiences_of(self._read())

    def may_be_of(self, issuer: str) -> bool:
        said = claims_of(self._read())
        return said.get("iss") == issuer or (
            issuer.startswith("spiffe://") and str(said.get("sub")).startswith(issuer + "/")
        )

    def fetch(self, audience: str) -> Secret:
        return self._read()

    def misses(self, audience: str) -> NoJobToken:
        named = ", ".join(f"`{inert(each)[:200]}`" for each in self.audiences or ()) or "nobody"
        return NoJobToken(
            f"the token in {self._place} is for {named}, so it is not sent to the broker",
            self._remedy.format(inert(audience)),
        )


class GitLab:
    """A job of GitLab that was given no token: it cannot ask for one while it runs."""

    name = "GitLab"
    audiences: tuple[str, ...] | None = None

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._server = environ.get("CI_SERVER_URL", "https://gitlab.com").rstrip("/")

    def may_be_of(self, issuer: str) -> bool:
        return issuer == self._server

    def fetch(self, audience: str) -> Secret:
        raise self.misses(audience)

    def misses(self, audience: str) -> NoJobToken:
        hint = f"write into it, in .gitlab-ci.yml: `id_tokens: {{HOOPX_ID_TOKEN: {{aud: {inert(audience)}}}}}`"
        return NoJobToken("this job of GitLab has no token for hoopx", hint)


def in_environment(name: str, environ: Mapping[str, str]) -> Given:
    token = Secret(environ[name].strip())
    remedy = f"have it made for the broker alone, in .gitlab-ci.yml: `id_tokens: {{{{{name}: {{{{aud: {{}}}}}}}}}}`"
    return Given("GitLab" if environ.get("GITLAB_CI") else "its issuer", name, remedy, lambda: _sound(token, name))


def in_file(path: str) -> Given:
    remedy = "have it made for `{}` alone, by `audience` of the projected volume or `jwt_audience` of spiffe-helper"
    return Given("its issuer", f"`{path}`", remedy, lambda: _sound(_read(path), f"`{path}`"))


def _read(path: str) -> Secret:
    try:
        with Path(path).open("rb") as file:
            return Secret(file.read(MAX_TOKEN + 1).decode("ascii").strip())
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        raise NoJobToken(f"the token file `{path}` cannot be read: {reason}", "correct HOOPX_TOKEN_FILE") from None
    except UnicodeDecodeError:
        raise _no_token(f"`{path}`") from None


def _sound(token: Secret, place: str) -> Secret:
    if not claims_of(token):
        raise _no_token(place)
    return token


def _no_token(place: str) -> NoJobToken:
    return NoJobToken(f"{place} holds no signed token", "it must be one JSON Web Token and nothing else")
