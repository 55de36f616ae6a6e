"""`hoopx sql`: run SQL without a database client, or type it at a prompt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from hoopx_broker.api.messages import Open
from hoopx_broker.terms.errors import BadInput
from hoopx_cli.commands import ROWS, group
from hoopx_cli.connect import For, Glass, Key, Reason, Request, Ticket, Wait, check_ways
from hoopx_cli.durations import seconds_of
from hoopx_cli.kit import Kit
from hoopx_cli.places import Argument, Option

app = group("Example: hoopx sql prod-db 'select 1'")

# A person at a prompt waits for people as one at `hoopx connect` does.
PROMPT_WAIT = "15m"


@app.command(ROWS, name="sql")
def sql(
    kit: Kit,
    target: Annotated[str, Argument(metavar="TARGET", help="A target's name, as `hoopx ls` lists it.")],
    text: Annotated[str | None, Argument(metavar="[SQL]", help="What to run, else standard input.")] = None,
    param: Annotated[list[str] | None, Option(metavar="TEXT", help="The value of $1; again for $2 and so on.")] = None,
    params: Annotated[
        str, Option(metavar="FILE", help="The values of $1, $2, ... as a list in JSON; `-` is standard input.")
    ] = "",
    keep_going: Annotated[bool, Option("--keep-going", help="Go on after a statement that failed.")] = False,
    single: Annotated[
        bool, Option("--single-transaction", "-1", help="All of it or nothing, in one transaction.")
    ] = False,
    reason: Reason = "",
    ticket: Ticket = "",
    for_: For = "",
    wait: Wait = "",
    request: Request = "",
    key: Key = "",
    break_glass: Glass = False,
) -> int:
    """Example: hoopx sql prod-db 'select * from orders where id = $1' --param 7

    Run SQL and print its rows, with no database client. Several statements run in order and stop at the first that
    fails; without SQL they come from standard input, and at a terminal there is a prompt. Rows come as a table, or by
    `-o json|jsonl|csv`. It leaves with 3 when the database refuses a statement and with 10 when policy does; 12 and 13
    are about approvals. Ctrl-C cancels what runs on the server, a second one leaves.
    """
    check_ways(request, key, is_glass=break_glass)
    if keep_going and single:
        raise BadInput("--keep-going and --single-transaction exclude each other", "give one of them")
    if text is None and sys.stdin is None:
        raise BadInput("there is no SQL to run", "hoopx sql prod-db 'select 1'")
    is_prompt = text is None and sys.stdin.isatty() and sys.stdout.isatty()
    patience = seconds_of(wait or (PROMPT_WAIT if is_prompt else ""), "--wait")
    order = Open(target, reason, ticket, seconds_of(for_, "--for"), patience, request or None, break_glass, key)
    values = _values(param or [], params)
    # The tunnel and the event loop cost 120 ms of imports, which a wrong option need not wait for.
    from hoopx_cli.sql import visit

    if not is_prompt:
        from hoopx_cli.sql.script import Rules

        return visit.pay(kit, order, visit.script(Rules(keep_going, single, values), text))
    if values is not None or keep_going or single:
        raise BadInput("this is for a statement or a script, and there is none", "hoopx sql prod-db 'select 1'")
    from hoopx_cli.sql.shell import shell

    return visit.pay(kit, order, shell(kit.settings.home, kit.environ))


def _values(texts: list[str], file: str) -> tuple[str | None, ...] | None:
    """The parameters as the server reads them: texts, of whichever types it takes them for."""
    if texts and file:
        raise BadInput("--param and --params exclude each other", "give one of them")
    if not file:
        return tuple(texts) or None
    import msgspec

    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        given = msgspec.json.decode(content, type=list[msgspec.Raw])
    except OSError as error:
        raise BadInput(f"`{file}` cannot be read: {(error.strerror or '').lower()}", "give --params a file") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadInput("--params is no list in JSON", 'write it as [7, "text", null]') from None
    return tuple(_text(bytes(each).decode()) for each in given)


def _text(value: str) -> str | None:
    """Texts without their quotes, all else as it is written: numbers keep every digit."""
    import msgspec

    if value == "null":
        return None
    return msgspec.json.decode(value, type=str) if value.startswith('"') else value
