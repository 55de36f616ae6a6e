"""`--key`: an empty one is a variable that was not set, and would ask anew at each retry."""

from __future__ import annotations

import typer

from hoopx_broker.terms.errors import BadInput


def refuse_empty(context: typer.Context, parameter: typer.CallbackParam, key: str) -> str:
    """For Typer: the key as it was given. Raises `BadInput` where it was given and is empty."""
    source = context.get_parameter_source(parameter.name or "")
    if not key and source is not None and source.name == "COMMANDLINE":
        raise BadInput("--key is empty", "is the variable set? A key names one ask, such as the number of a run")
    return key
