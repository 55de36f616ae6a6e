"""A certified relying party, npm `openid-client`, that drives the embedded issuer as somebody else's program would."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hoopx_cli.signin import Prompt
from tests.peers import found
from tests.peers.processes import bound_to_us

SECONDS = 60  # a job takes two or three, most of which is the pace of polling


def drive(job: str, orders: dict[str, Any], ca: Path, person: Callable[[Prompt], object]) -> dict[str, Any]:
    """Let it do one of the jobs of `relying_party.mjs`. `person` acts where the job needs a browser."""
    found.require("node")
    found.require("openid-client")
    environ = os.environ | {"ORDERS": json.dumps(orders), "NODE_EXTRA_CA_CERTS": str(ca)}
    command = ["timeout", str(SECONDS), *bound_to_us(), "node", "relying_party.mjs", job]
    with subprocess.Popen(command, cwd=found.RELYING_PARTY, env=environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            match json.loads(line):
                case {"open": str(url), **rest}:
                    person(Prompt(str(rest.get("code", "")), url, None, 0))
                case {"done": dict(outcome)}:
                    return outcome
                case failure:
                    raise AssertionError(f"{job}: {failure}")
    raise AssertionError(f"{job}: ended {process.returncode} without a word")
