"""Bytes that are no message are refused as bad input: no UTF-8, nested without end, of another shape."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from starlette.requests import Request

from hoopx_broker.api.messages import AskFor, Hangup, Renew
from hoopx_broker.daemon import web
from hoopx_broker.policy.facts import wire
from hoopx_broker.session import control
from hoopx_broker.session.links import ControlLink
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.facts import Unreadable

STRANGE = {
    "no UTF-8": (b'{"type":"open","target":"\xff\xfe"}', "it is no UTF-8"),
    "a name that is no UTF-8": (b'{"type":"renew","token":"\xc3\x28"}', "malformed"),
    "nested too deep": (b'{"type":"open","target":"a","zzz":' + b"[" * 30_000, "it is nested too deep"),
    "cut off": (b'{"type":"open","target":"a', "malformed"),
    "half a character": (b'{"type":"open","target":"\\ud800"}', "malformed"),
    "of another shape": (b"[1, 2]", "malformed"),
    "beyond all numbers": (b'{"type":"open","target":"a","duration":1e999}', "malformed"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_body_is_refused(name: str) -> None:
    body, why = STRANGE[name]

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    with pytest.raises(BadInput, match=why) as refused:
        asyncio.run(web._read(Request({"type": "http", "method": "POST", "headers": []}, receive), AskFor))
    assert refused.value.http_status == 400


class OneMessage:
    """A double of the link to a CLI that says this."""

    def __init__(self, message: bytes) -> None:
        self._message = message

    async def receive(self) -> bytes:
        return self._message


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_first_message_is_refused_and_a_later_one_hangs_up(name: str) -> None:
    message, why = STRANGE[name]
    with pytest.raises(BadInput, match=why):
        asyncio.run(control._first(cast("ControlLink", OneMessage(message))))
    assert isinstance(control._read(message), Hangup)
    assert isinstance(control._read(b'{"type":"renew","token":"t","scheme":"Bearer","proof":""}'), Renew)


def test_a_frame_of_the_reader_that_is_no_text_is_an_unreadable_statement() -> None:
    assert isinstance(wire.decode(b"\x81\xa4type\xa2\xff\xfe"), Unreadable)
