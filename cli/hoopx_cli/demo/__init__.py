"""`hoopx demo`: everything on one machine, from one install."""

from __future__ import annotations

from typing import Annotated

from hoopx_cli.broker import demanding_extra
from hoopx_cli.commands import LOCAL, group
from hoopx_cli.kit import Kit
from hoopx_cli.narrator import Narrator
from hoopx_cli.places import Option

app = group("Example: hoopx demo")


@app.command(LOCAL)
def demo(
    kit: Kit,
    keep: Annotated[bool, Option("--keep", help="Leave it running afterwards, and say how to use it.")] = False,
) -> None:
    """Example: hoopx demo --keep

    Start an identity provider, a PostgreSQL with made-up personal data and a broker on this machine, and walk through
    what hoopx does with real clients: a masked read, denied statements, an approval, replay and proof.
    Everything lives in one temporary directory and is gone at the end.
    """
    with demanding_extra("demo"):
        from hoopx_cli.demo.tour import run
    run(Narrator(kit.out), keep=keep)
