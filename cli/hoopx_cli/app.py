"""The root of the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from hoopx_broker import __version__
from hoopx_cli.commands import LazyGroup, group
from hoopx_cli.kit import kit_of
from hoopx_cli.menu import EXAMPLE, OPTIONS

app = group(EXAMPLE, LazyGroup)


def _print_version(context: typer.Context, value: bool) -> None:
    if value:
        kit_of(context).out.data(f"hoopx {__version__}")
        raise typer.Exit


def _show_traces(context: typer.Context, value: bool) -> None:
    if value:
        kit_of(context).out.shows_traces = True


@app.callback()
def hoopx(
    version: Annotated[
        bool, typer.Option("--version", help=OPTIONS["--version"], is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help=OPTIONS["--debug"], callback=_show_traces)] = False,
) -> None:
    """The options of the root do all their work in their own callbacks."""
