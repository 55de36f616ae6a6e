"""How long a session takes to open: by the API as the CLI uses it, and as a person sees it, with Python's start-up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from benchmarks.ground import TARGET, Ground
from hoopx_broker.api.messages import Ended, Hangup, Open, Opened
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import SESSION, Broker, open_control
from hoopx_cli import settings as cli_settings
from hoopx_cli import trust
from hoopx_cli.credential import Credential

Samples = dict[str, list[float]]


def measure_openings(on: Ground, times: int) -> Samples:
    """Seconds of each opening; one by the API and one by the command in turn."""
    environ = on.stage.environment("ann")
    settings = cli_settings.read(cli_settings.Flags(), environ)
    broker = Broker(settings.broker, trust.context(settings))
    credential = Credential(Secret(environ["HOOPX_TOKEN"]), ProofKey.create(), "Bearer")
    found: Samples = {"opening (API)": [], "opening and end (API)": [], "`hoopx exec … -- true`": []}
    for _ in range(times):
        opened, ended = asyncio.run(_open(broker, credential))
        found["opening (API)"].append(opened)
        found["opening and end (API)"].append(ended)
        found["`hoopx exec … -- true`"].append(_exec(on, environ))
    return found


async def _open(broker: Broker, credential: Credential) -> tuple[float, float]:
    begun = time.perf_counter()
    control = await open_control(broker, credential.headers("GET", broker.url + SESSION))
    try:
        control.say(Open(TARGET))
        said = await control.hear()
        assert isinstance(said, Opened), said
        opened = time.perf_counter() - begun
        control.say(Hangup())
        said = await control.hear()
        assert isinstance(said, Ended), said
        return opened, time.perf_counter() - begun
    finally:
        await control.close()


def _exec(on: Ground, environ: Mapping[str, str]) -> float:
    begun = time.perf_counter()
    on.stage.hoopx("exec", TARGET, "--", "true", **environ).fine()
    return time.perf_counter() - begun
