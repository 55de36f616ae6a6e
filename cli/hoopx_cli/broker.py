"""`hoopx broker run`, `check` and `keys`: the service, where its part of the package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.commands import HoopxCommand, group
from hoopx_cli.kit import Kit, kit_of
from hoopx_cli.output import Form

app = group("Example: hoopx broker run --config hoopx.yaml")
broker = group("Example: hoopx broker run --config hoopx.yaml\n\nThe service that stands between people and targets.")
app.add_typer(broker, name="broker")

Standby = Annotated[bool, typer.Option("--standby", help="Wait until no other broker uses the state; then take over.")]
Config = Annotated[str, typer.Option("--config", "-c", metavar="FILE", help="hoopx.yaml [HOOPX_CONFIG].")]


@broker.command(cls=HoopxCommand)
def run(context: typer.Context, config: Config = "", standby: Standby = False) -> None:
    """Example: hoopx broker run --config hoopx.yaml

    Run the broker until Ctrl-C or SIGTERM.
    """
    kit = kit_of(context)
    with demanding_extra():
        from hoopx_broker.daemon.run import serve
    serve(_path(kit, config), standby=standby)


@broker.command(cls=HoopxCommand)
def check(context: typer.Context, config: Config = "") -> None:
    """Example: hoopx broker check --config hoopx.yaml

    Check a configuration and its policies without starting anything: every problem at once, each with its line.
    """
    kit = kit_of(context)
    with demanding_extra():
        from hoopx_broker.daemon.config import load
        from hoopx_broker.policy.load import load as load_policies
    path = _path(kit, config)
    checked = load(path, kit.environ)
    policies = load_policies(checked.policies)
    issuers = len(checked.identity) + (checked.embedded is not None)
    if kit.out.form is Form.JSON:
        facts = {"targets": sorted(checked.targets), "issuers": issuers, "rules": sorted(policies.rules)}
        kit.out.json({"config": str(path), **facts})
    else:
        kit.out.say(
            f"{path} is in order. Issuers: {issuers}, targets: {len(checked.targets)}, rules: {len(policies.rules)}"
        )


@broker.command(cls=HoopxCommand)
def migrate(context: typer.Context, config: Config = "") -> None:
    """Example: hoopx broker migrate --config hoopx.yaml

    Bring the broker's state up to date without starting it. A broker does so by itself at its start.
    """
    kit = kit_of(context)
    with demanding_extra():
        from hoopx_broker.daemon import upgrade
        from hoopx_broker.daemon.config import load
    settings = load(_path(kit, config), kit.environ)
    steps = upgrade.migrate(settings)
    if kit.out.form is Form.JSON:
        kit.out.json({"state": str(settings.state), "steps": steps})
    else:
        kit.out.say(f"{settings.state} is up to date: {steps[-1]}")


@broker.command(cls=HoopxCommand)
def keys(context: typer.Context, config: Config = "") -> None:
    """Example: hoopx broker keys --config hoopx.yaml

    Print the public key that recordings are verified with (`hoopx sessions verify FILE --key KEY`). It may be given
    to anyone. A broker that has none yet gets its key now.
    """
    kit = kit_of(context)
    with demanding_extra():
        from hoopx_broker.daemon.config import load
        from hoopx_broker.recording.keys import EvidenceKey
    settings = load(_path(kit, config), kit.environ)
    host = urlsplit(settings.public_url).hostname or "hoopx"
    key = EvidenceKey.load_or_create(settings.keys / "evidence.key", host)
    if kit.out.form is Form.JSON:
        kit.out.json({"evidence_key": key.verifier})
    else:
        kit.out.text(key.verifier)


@contextmanager
def demanding_extra(extra: str = "broker") -> Iterator[None]:
    """Imports of what a laptop does not need; says so where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("hoopx_broker", "hoopx_cli")):
            raise
        raise BadInput(
            f"this part of hoopx is not installed here (`{error.name}` is missing)",
            f"install it with: pip install 'hoopx[{extra}]'",
        ) from None


def _path(kit: Kit, config: str) -> Path:
    return Path(config or kit.environ.get("HOOPX_CONFIG") or "hoopx.yaml").absolute()
