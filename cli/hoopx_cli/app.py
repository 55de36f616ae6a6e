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


def _print_version(context: typer.Context, value: bool) -> None:
    if value:
        kit_of(context).out.data(f"hoopx {__version__}")
        raise typer.Exit


@app.callback()
def hoopx(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """The options of the root do all their work in their own callbacks."""
