"""Find out who this process is where it runs as a job, so that nothing needs to be stored to use a broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from hoopx_broker.api.messages import About, Jobs
from hoopx_broker.terms.secret import Secret
from hoopx_cli.inert import inert
from hoopx_cli.unverified import audiences_of, end_of
from hoopx_cli.workload_files import FILE, GitLab, in_environment, in_file
from hoopx_cli.workload_github import GitHub
from hoopx_cli.workload_platforms import Buildkite, CircleCI, Spiffe
from hoopx_cli.workload_source import NoJobToken, Source

# Seconds; a token is asked for anew before it can end between two machines' clocks.
RENEW_BEFORE = 60.0
MAX_AUDIENCE = 512  # a URL of a host with the longest name; it goes into commands and addresses


class Workload:
    """The job that this process is. Its token is kept in memory only, and asked for anew when it is near its end."""

    def __init__(
        self,
        source: Source,
        broker: str,
        about: Callable[[], About],
        named: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`named` is the audience by HOOPX_AUDIENCE; else the broker is asked for it, and believed with care."""
        self._source = source
        self._broker = broker
        self._about = about
        self._named = named
        self._clock = clock
        self._token: Secret | None = None

    def token(self) -> Secret:
        """Raises `NoJobToken` where this job has none for this broker, `Unreachable` where it cannot be had."""
        if self._token is None or self._clock() >= end_of(self._token) - RENEW_BEFORE:
            self._token = self._fresh()
        return self._token

    def _fresh(self) -> Secret:
        audience = self._named or self._audience()
        token = self._source.fetch(audience)
        # Whoever gets a token for several can use it with all of them.
        if audiences_of(token) != (audience,):
            raise self._source.misses(audience)
        return token

    def _audience(self) -> str:
        jobs = [job for job in self._about().jobs if self._source.may_be_of(job.issuer)]
        safe = list(dict.fromkeys(job.audience for job in jobs if is_of(job.audience, self._broker)))
        fitting = [audience for audience in safe if self._source.audiences in (None, (audience,))]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise _undecided(fitting)
        raise self._source.misses(safe[0]) if safe else self._unsafe(jobs)

    def _unsafe(self, jobs: list[Jobs]) -> NoJobToken:
        if not jobs:
            message = f"the broker at {self._broker} takes no tokens of {self._source.name}"
            return NoJobToken(
                message, "add an identity entry of `kind: workload` to its configuration; see docs/jobs.md"
            )
        asked = ", ".join(f"`{inert(job.audience)[:200]}`" for job in jobs)
        return NoJobToken(
            f"the broker at {self._broker} asks for a token for {asked}, which need not be its own name",
            "whoever gets such a token can use it there; if the broker is meant, say so by HOOPX_AUDIENCE",
        )


def find(environ: Mapping[str, str]) -> Source | None:
    """What gives this process a token, the closest first; None where it is no job, or one of an unknown kind."""
    return next(_sources(environ), None)


def is_of(audience: str, broker: str) -> bool:
    """Does an audience name this broker (`https://host:port`), and nobody else's service?

    A broker says itself for which audience it wants tokens. A hostile one would name a service that it wants to use
    them with.
    """
    if not audience.isascii() or not audience.isprintable() or len(audience) > MAX_AUDIENCE:
        return False
    if audience == "hoopx" or audience.startswith(("hoopx:", "hoopx-")):
        return True
    place = broker.removeprefix("https://")
    host = place.rpartition(":")[0]
    return audience.lower().removesuffix("/").removeprefix("https://") in (place, host)


def _sources(environ: Mapping[str, str]) -> Iterator[Source]:
    """What was given on purpose comes before what the platform gives, and that before what the machine has."""
    if environ.get("HOOPX_ID_TOKEN"):
        yield in_environment("HOOPX_ID_TOKEN", environ)
    if environ.get("HOOPX_TOKEN_FILE"):
        yield in_file(environ["HOOPX_TOKEN_FILE"])
    if environ.get("GITHUB_ACTIONS") == "true":
        yield GitHub(environ)
    if environ.get("GITLAB_CI") == "true":
        yield GitLab(environ)
    if environ.get("BUILDKITE") == "true":
        yield Buildkite(environ)
    if environ.get("CIRCLECI") == "true":
        yield CircleCI(environ)
    if FILE.exists():
        yield in_file(str(FILE))
    if environ.get("SPIFFE_ENDPOINT_SOCKET"):
        yield Spiffe(environ)


def _undecided(audiences: list[str]) -> NoJobToken:
    known = ", ".join(f"`{inert(each)}`" for each in audiences)
    return NoJobToken(f"the broker takes tokens for several audiences: {known}", "choose one by HOOPX_AUDIENCE")
