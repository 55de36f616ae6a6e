"""`hoopx broker run`, `check`, `migrate` and `keys`: the service, where its part of the package is installed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.commands import LOCAL, group
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Option

app = group("Example: hoopx broker run --config hoopx.yaml")
broker = group("Example: hoopx broker run --config hoopx.yaml\n\nThe service that stands between people and targets.")
app.add(broker, "broker")

Standby = Annotated[bool, Option("--standby", help="Wait until no other broker uses the state; then take over.")]
Workers = Annotated[int, Option("--workers", metavar="N", help="Run in so many processes; with a state in PostgreSQL.")]
Config = Annotated[str, Option("--config", "-c", metavar="FILE", help="hoopx.yaml [HOOPX_CONFIG].")]

To = Annotated[str, Option("--to", metavar="FILE", help="A new file for a key that brokers share.")]


@broker.command(LOCAL)
def run(kit: Kit, config: Config = "", standby: Standby = False, workers: Workers = 1) -> int:
    """Example: hoopx broker run --config hoopx.yaml

    Run the broker until Ctrl-C or SIGTERM.
    """
    with demanding_extra():
        from hoopx_broker.daemon.run import serve
    return serve(_path(kit, config), standby=standby, workers=workers)


@broker.command(LOCAL)
def check(kit: Kit, config: Config = "") -> None:
    """Example: hoopx broker check --config hoopx.yaml

    Check a configuration and its policies without starting anything: every problem at once, each with its line.
    """
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


@broker.command(LOCAL)
def migrate(kit: Kit, config: Config = "") -> None:
    """Example: hoopx broker migrate --config hoopx.yaml

    Bring the broker's state up to date without starting it. A broker does so by itself at its start.
    """
    with demanding_extra():
        from hoopx_broker.daemon import upgrade
        from hoopx_broker.daemon.config import load
    settings = load(_path(kit, config), kit.environ)
    steps = upgrade.migrate(settings)
    if kit.out.form is Form.JSON:
        kit.out.json({"state": str(settings.state), "steps": steps})
    else:
        kit.out.say(f"{settings.state} is up to date: {steps[-1]}")


keys_app = group(
    "Example: hoopx broker keys --config hoopx.yaml\n\n"
    "Print the public key that recordings are verified with (`hoopx sessions verify FILE --key KEY`), and those that "
    "it replaced. It may be given to anyone. A broker that has none yet gets its key now.",
)
broker.add(keys_app, "keys")


@keys_app.itself(LOCAL)
def keys(kit: Kit, config: Config = "") -> None:
    """The help stands at the group."""
    with demanding_extra():
        from hoopx_broker.daemon.config import load
        from hoopx_broker.daemon.keyring import keyring_of
    ring = keyring_of(load(_path(kit, config), kit.environ))
    if kit.out.form is Form.JSON:
        older = [{"evidence_key": str(each.old), "rotated_at": each.at} for each in reversed(ring.rotations)]
        kit.out.json({"evidence_key": ring.key.verifier, "older": older})
        return
    kit.out.text(ring.key.verifier)
    for each in reversed(ring.rotations):
        kit.out.say(f"before {moment(each.at)}: {each.old}")


@keys_app.command(LOCAL)
def rotate(kit: Kit, config: Config = "", to: To = "") -> None:
    """Example: hoopx broker keys rotate --config hoopx.yaml

    Replace the evidence key while the broker is stopped. The new public key is printed. The old private key is gone
    then; whoever knows the old public key gets to the new one by a note that both signed.
    """
    with demanding_extra():
        from hoopx_broker.daemon.config import load
        from hoopx_broker.daemon.keyring import replace_key
    settings = load(_path(kit, config), kit.environ)
    old, new = replace_key(settings, Path(to).absolute() if to else None, int(time.time()))
    if kit.out.form is Form.JSON:
        kit.out.json({"evidence_key": new.verifier, "replaced": old.verifier})
    else:
        kit.out.text(new.verifier)
    witnesses = (
        "Before that, give the new key to the operators of the log's witnesses; afterwards, have them drop the old.\n"
        if settings.evidence.witnesses
        else ""
    )
    first = f"Put what is in `{to}` where `evidence.key` refers to, delete that file, and start" if to else "Start"
    kit.out.say(
        f"{first} this broker{' before the others' if to else ''}: its log goes on with the new key.\n{witnesses}"
        "Give the new public key to those who verify. Files exported from now on are verified with either key;\n"
        "those exported before need the old one, so keep it with them:\n"
        f"{old.verifier}"
    )


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
