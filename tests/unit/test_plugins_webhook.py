"""The webhook of notices, against a real server and the standard's own verifier."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from hoopx_broker.notices import courier as couriers
from hoopx_broker.terms.notices import Gone, Notice, NotTold, NotWanted, Said
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.webhook import WebhookNotifier, WebhookOptions, signer
from tests.peers.certificates import Authority
from tests.peers.receiver import Answered, Got, Receiver, receiver
from tests.unit.notices_stage import NOTICE, stage

OLD, NEW = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WHSK = f"whsk_{base64.b64encode(PRIVATE.private_bytes_raw()).decode()}"
PATH = "/services/T0/very-secret"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receiver(tmp_path_factory.mktemp("receiver")) as found:
        yield found


@pytest.fixture(autouse=True)
def _clean(there: Receiver) -> None:
    there.clear()


def options(there: Receiver, *secrets: str, **more: Any) -> WebhookOptions:
    url = Secret(there.url + PATH)
    return WebhookOptions(**{"url": url, "secrets": tuple(map(Secret, secrets or (NEW,))), "ca": there.ca, **more})


def told(said: WebhookOptions, *notices: Notice, clock: Callable[[], float] | None = None) -> None:
    async def scene() -> None:
        notifier = WebhookNotifier("hook", said, clock) if clock else WebhookNotifier("hook", said)
        try:
            for notice in notices or (NOTICE,):
                await notifier.tell(notice, {})
        finally:
            await notifier.close()

    asyncio.run(scene())


def verified(got: Got, secret: str) -> Any:
    return standardwebhooks.Webhook(secret).verify(got.body, got.headers)


def test_the_verifier_of_the_standard_believes_it(there: Receiver) -> None:
    told(options(there))
    [got] = there.got
    said = verified(got, NEW)
    assert said["type"] == "request.asked"
    assert said["data"]["requester"] == "ann"
    assert got.headers["webhook-id"] == NOTICE.id
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verified(got, OLD)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verified(Got(got.path, got.headers, got.body.replace(b"ann", b"bob")), NEW)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verified(Got(got.path, {**got.headers, "webhook-id": "msg_other"}, got.body), NEW)


def test_a_replay_of_yesterday_is_not_believed(there: Receiver) -> None:
    """Each try is signed with its own time, and the time is of what is signed."""
    told(options(there), clock=lambda: 1_700_000_000.0)
    [got] = there.got
    with pytest.raises(standardwebhooks.WebhookVerificationError, match="old"):
        verified(got, NEW)


def test_while_a_secret_changes_both_are_believed(there: Receiver) -> None:
    told(options(there, OLD, NEW, WHSK))
    [got] = there.got
    assert verified(got, OLD) == verified(got, NEW)
    asymmetric = got.headers["webhook-signature"].split()[2].removeprefix("v1a,")
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    PRIVATE.public_key().verify(base64.b64decode(asymmetric), signed)
    with pytest.raises(InvalidSignature):
        PRIVATE.public_key().verify(base64.b64decode(asymmetric), signed + b" ")


def test_the_example_of_the_standard_comes_out(there: Receiver) -> None:
    """From the standard's own repository, where its libraries are tested by it."""
    sign = signer(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    signed = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    assert sign(signed) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_body_is_as_documented(there: Receiver) -> None:
    whole = replace(
        NOTICE,
        event="broken-glass",
        glass=True,
        review="open",
        reviewers={"security": 1},
        on_behalf_of="dee",
        votes=(Said("bob", "approve", "fine", NOTICE.at),),
        statement="delete from t where id = $1",
        tables=("delete public.t",),
    )
    told(options(there), whole)
    said = json.loads(there.got[0].body)
    assert (said["type"], said["version"], said["timestamp"]) == ("request.broken_glass", 1, "2027-01-15T08:00:00.000Z")
    assert said["data"]["votes"] == [
        {"by": "bob", "verdict": "approve", "comment": "fine", "at": "2027-01-15T08:00:00.000Z"}
    ]
    assert said["data"]["break_glass"] is True
    assert said["data"]["reviewers"] == {"security": 1}
    assert "session" not in said["data"]  # empty for this kind


@pytest.mark.parametrize(
    ("answer", "error", "why", "after"),
    [
        (Answered(500), NotTold, "`hook` answered 500", 0),
        (Answered(404), NotTold, "`hook` answered 404", 0),
        (Answered(503, {"retry-after": "120"}), NotTold, "`hook` answered 503", 120),
        (Answered(429, {"retry-after": "7"}), NotTold, "`hook` answered 429", 7),
        (Answered(429, {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}), NotTold, "`hook` answered 429", 0),
        (Answered(429, {"retry-after": "-1e9"}), NotTold, "`hook` answered 429", 0),
        (Answered(410), Gone, "`hook` answered 410: it wants nothing any more", 0),
        (Answered(307, {"location": "/elsewhere"}), NotTold, "`hook` answered 307: redirects are not followed", 0),
    ],
    ids=["500", "404", "503", "429", "date", "nonsense", "410", "307"],
)
def test_each_other_answer_is_a_failure(
    there: Receiver, answer: Answered, error: type[NotTold], why: str, after: float
) -> None:
    there.answers = [answer]
    with pytest.raises(error) as raised:
        told(options(there))
    assert (raised.value.message, raised.value.after) == (why, after)
    assert isinstance(raised.value, NotWanted) is (answer.status == 410)
    assert len(there.got) == 1  # nobody went where it was sent to


def test_nothing_is_told_to_a_server_that_cannot_be_believed(there: Receiver, tmp_path: Path) -> None:
    stranger = Authority.make("stranger").write(tmp_path / "ca.pem")
    with pytest.raises(NotTold, match="certificate is not to be believed"):
        told(options(there, ca=stranger))
    with pytest.raises(NotTold, match="certificate is not to be believed"):
        told(options(there, ca=None))
    assert there.got == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "no answer within 0 s"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nx", None),
        (b"HTTP/1.1 200 OK\r\n" + b"x-endless: " + b"x" * 200_000, "`hook` cannot be reached: RemoteProtocolError"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "`hook` cannot be reached: RemoteProtocolError"),
    ],
    ids=["silent", "slow-with-the-rest", "endless", "ssh"],
)
def test_hostile_servers_cost_one_try(
    there: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, why: str | None
) -> None:
    """And no more time than a try has."""
    monkeypatch.setattr(couriers, "TRY_SECONDS", 0.4)

    async def scene() -> None:
        gone = asyncio.Event()

        async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            with suppress(ConnectionError):
                await reader.read()  # until the other one leaves
            writer.close()
            gone.set()

        server = await asyncio.start_server(hostile, "127.0.0.1", 0)
        url = Secret(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{PATH}")
        notifier = WebhookNotifier("hook", options(there, url=url, ca=None))
        async with stage(tmp_path) as s:
            await s.happens("asked")
            await s.courier(hook=notifier).tell_due("hook")
            assert [trouble.why for trouble in s.troubles] == ([why] if why else [])
        await notifier.close()
        async with asyncio.timeout(5):
            await gone.wait()
        server.close()

    asyncio.run(scene())


def test_its_secrets_stand_in_no_error_and_no_log(
    there: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told(options(there))
    away = options(there, url=Secret("https://localhost:1" + PATH))
    with pytest.raises(NotTold) as unreached:
        told(away)
    bad = options(there)
    seen = "".join((caplog.text, *capfd.readouterr(), repr(bad), repr(unreached.value), unreached.value.hint))
    assert "very-secret" not in seen
    assert NEW not in seen
    assert unreached.value.__cause__ is None


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"url": Secret("http://hooks.example.com/x")}, "`url` must begin with https"),
        ({"url": Secret("hooks.example.com/SECRET")}, "`url` is not a URL"),
        ({"url": Secret("https://u:SECRET@hooks.example.com")}, "`url` is not a URL"),
        ({"url": Secret("https://hooks.example.com:SECRET/")}, "`url` is not a URL"),
        ({"secrets": ()}, "`secrets` must hold 1 to 4 keys"),
        ({"secrets": (Secret("SECRET"),)}, "neither with `whsec_` nor with `whsk_`"),
        ({"secrets": (Secret("whsec_SECRET*"),)}, "not base64"),
        ({"secrets": (Secret("whsec_c2hvcnQ="),)}, "`whsec_` of 5 bytes"),
        ({"secrets": (Secret("whsk_c2hvcnQ="),)}, "no Ed25519 key"),
    ],
    ids=range(9),
)
def test_options_that_cannot_hold_are_refused_without_being_repeated(
    there: Receiver, wrong: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match="`") as raised:
        options(there, **wrong)
    assert why in str(raised.value)
    assert "SECRET" not in str(raised.value)
