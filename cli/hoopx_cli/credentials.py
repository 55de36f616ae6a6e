"""`hoopx credentials`: the keys of a session that is open already, as AWS's tools ask a program for them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from hoopx_cli.commands import group
from hoopx_cli.kit import Kit
from hoopx_cli.places import Argument

app = group("Example: hoopx credentials prod-aws")


@app.command()
def credentials(
    kit: Kit,
    target: Annotated[str, Argument(metavar="TARGET", help="A target's name, as `hoopx ls` lists it.")],
) -> None:
    """Example: hoopx credentials prod-aws

    Print the keys of the session that `hoopx connect TARGET` holds open on this machine, as the JSON that AWS's tools
    ask of a `credential_process`. In ~/.aws/config: credential_process = hoopx credentials prod-aws
    Leaves with 15 where no such session is open.
    """
    # The local socket's room is asyncio's, 30 ms that other commands need not wait for.
    from hoopx_cli import key_socket

    kit.out.data(msgspec.json.encode(key_socket.ask(kit.settings, target)).decode())
