"""The root of the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from hoopx_broker import __version__
from hoopx_cli.commands import LazyGroup, group
from hoopx_cli.kit import kit_of

app = group(
    """Example: hoopx connect prod-db

    Reach databases by just-in-time credentials: every statement judged, masked, recorded and provable.
    """,
    LazyGroup,
)


@app.callback()
def hoopx(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        kit_of(context).out.data(f"hoopx {__version__}")
        raise typer.Exit
