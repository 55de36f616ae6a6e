"""The Slack notifier against a double of Slack over real TLS: messages, clicks, and what forgers try."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from hoopx_broker.seams.notifier import Account, Call, Reply, Verdict
from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.notices import Gone, Notice, NotLinked, NotTold, Said
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.slack import SlackNotifier, SlackOptions
from hoopx_plugins.slack_calls import is_signed
from tests.peers.receiver import Answered, Receiver, receiver
from tests.peers.slack_double import (
    SIGNING_SECRET,
    TOKEN,
    SlackDouble,
    click,
    labels,
    mentions,
    shown,
    signed,
    submission,
    trouble_with_blocks,
)
from tests.unit.notices_stage import NOTICE

# The worked example of https://api.slack.com/authentication/verifying-requests-from-slack
EXAMPLE_AT = 1531420618
EXAMPLE_SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
EXAMPLE_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
HOSTILE = (
    "<!here> <!channel> <@U1> <https://evil.example.com|Open the request> & *Approved by* `bob` :white_check_mark: "
    "@channel > quote ‹"
)


class ClerkDouble:
    """A double of the broker's clerk: knows one linked account, and lets it vote unless told otherwise."""

    def __init__(self) -> None:
        self.voted: list[tuple[str, str, Verdict, str]] = []
        self.refusal: Exception | None = None
        self.heard: set[str] = set()

    async def look(self, account: Account, request: str) -> str:
        self._refuse(account)
        return "prod-db"

    async def vote(self, account: Account, request: str, verdict: Verdict, comment: str) -> str:
        self._refuse(account)
        self.voted.append((account.id, request, verdict, comment))
        return "approved"

    async def is_fresh(self, call: str, seconds: float) -> bool:
        fresh = call not in self.heard
        self.heard.add(call)
        return fresh

    def link_of(self, request: str) -> str:
        return f"https://broker.example.com/requests/{request}"

    async def invite(self, account: Account) -> str:
        return f"https://broker.example.com/notify/team/link/{account.id}"

    def _refuse(self, account: Account) -> None:
        if account.id != "T1/UBOB":
            raise NotLinked("this account of Slack is linked to nobody", "sign in, and link it")
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receiver(tmp_path_factory.mktemp("slack")) as found:
        yield found


@pytest.fixture
def slack(there: Receiver) -> SlackDouble:
    there.clear()
    double = SlackDouble("C0DBA", "C0SEC", "C0ALL")
    there.otherwise = double.answer
    return double


def options(there: Receiver, **more: Any) -> SlackOptions:
    base: dict[str, Any] = {"token": Secret(TOKEN), "channel": "C0ALL", "api": f"{there.url}/api/", "ca": there.ca}
    return SlackOptions(**{**base, **more})


def buttons(there: Receiver) -> SlackOptions:
    return options(there, mode="buttons", signing_secret=Secret(SIGNING_SECRET), by_group={"dba": "C0DBA"})


def play(said: SlackOptions, scene: Callable[[SlackNotifier], Awaitable[None]], clock: Any = time.time) -> None:
    async def on_stage() -> None:
        notifier = SlackNotifier("team", said, clock)
        try:
            await scene(notifier)
        finally:
            await notifier.close()

    asyncio.run(on_stage())


def told(said: SlackOptions, *notices: Notice, thread: dict[str, str] | None = None) -> dict[str, str]:
    memory = {} if thread is None else thread

    async def scene(notifier: SlackNotifier) -> None:
        for notice in notices:
            await notifier.tell(notice, memory)

    play(said, scene)
    return memory


def test_one_message_follows_a_request(there: Receiver, slack: SlackDouble) -> None:
    approved = replace(NOTICE, event="approved", state="approved", votes=(Said("bob", "approve", "go on"),))
    told(buttons(there), NOTICE, approved)
    [message] = slack.channels["C0DBA"].values()
    assert slack.channels["C0ALL"] == {}
    assert "State: approved" in shown(message)
    assert "bob: approve (go on)" in shown(message)
    assert labels(message) == ["Open the request"]


def test_a_message_that_was_deleted_is_written_anew(there: Receiver, slack: SlackDouble) -> None:
    thread = told(options(there), NOTICE)
    slack.channels["C0ALL"].clear()
    told(options(there), replace(NOTICE, event="approved", state="approved"), thread=thread)
    assert list(slack.channels["C0ALL"]) == [thread["C0ALL"]]


def test_each_asked_group_has_its_channel_and_a_second_try_repeats_nothing(there: Receiver, slack: SlackDouble) -> None:
    said = options(there, by_group={"dba": "C0DBA", "security": "C0GONE"})
    both = replace(NOTICE, approvers={"dba": 1, "security": 1})
    thread: dict[str, str] = {}
    for _ in range(2):
        with pytest.raises(NotTold, match="channel_not_found"):
            told(said, both, thread=thread)
    assert len(slack.channels["C0DBA"]) == 1
    slack.channels["C0GONE"] = {}
    told(said, both, thread=thread)
    assert [len(slack.channels[each]) for each in ("C0DBA", "C0GONE", "C0ALL")] == [1, 1, 0]


def test_whoever_approves_a_statement_reads_it_first(there: Receiver, slack: SlackDouble) -> None:
    statement = replace(NOTICE, kind="statement", statement="delete from orders where id = $1")
    told(buttons(there), NOTICE)
    told(buttons(there), statement)
    told(options(there, by_group={"dba": "C0DBA"}), NOTICE)
    assert [labels(message) for message in slack.channels["C0DBA"].values()] == [
        ["Approve…", "Deny…", "Open the request"],
        ["Open the request"],
        ["Open the request"],
    ]


def test_nothing_that_people_write_is_markup(there: Receiver, slack: SlackDouble) -> None:
    hostile = replace(NOTICE, reason=HOSTILE, ticket=HOSTILE, requester=HOSTILE, comment=HOSTILE, statement=HOSTILE)
    told(options(there), hostile, replace(hostile, event="approve", by=HOSTILE))
    [message] = slack.channels["C0ALL"].values()
    assert mentions(message) == []
    assert HOSTILE in shown(message)
    assert (message["parse"], message["link_names"], message["mrkdwn"]) == ("none", False, False)
    assert [each["url"] for each in message["blocks"][-1]["elements"]] == [NOTICE.link]


def test_the_longest_of_all_still_fits(there: Receiver, slack: SlackDouble) -> None:
    long = "&" * 5_000
    told(options(there), replace(NOTICE, requester=long, reason=long, statement=long, rules=(long,)))
    assert len(slack.channels["C0ALL"]) == 1


@pytest.mark.parametrize(
    ("answer", "why", "after"),
    [
        (Answered(429, {"retry-after": "30"}, b'{"ok":false,"error":"ratelimited"}'), "ratelimited", 30),
        (Answered(503), "status 503", 0),
        (Answered(200, {}, b'{"ok":false,"error":"is_archived"}'), "is_archived", 0),
        (Answered(200, {}, b"<html>"), "nonsense", 0),
        (Answered(200, {}, b'{"ok":true,"channel":' + b"[" * 50_000), "nonsense", 0),
        (Answered(200, {}, b'{"ok":false,"error":"<b>xoxb-1234-very-secret"}'), "nonsense", 0),
        (Answered(302, {"location": "https://localhost:1/"}), "status 302", 0),
    ],
    ids=range(7),
)
def test_what_slack_does_not_take_is_told_later(
    there: Receiver, slack: SlackDouble, answer: Answered, why: str, after: float
) -> None:
    there.answers = [answer]
    with pytest.raises(NotTold) as raised:
        told(options(there), NOTICE)
    assert (raised.value.message, raised.value.after) == (f"`team`: chat.postMessage answered `{why}`", after)
    assert TOKEN not in f"{options(there)!r} {raised.value.hint}"


def test_an_incoming_webhook_says_it_once(there: Receiver) -> None:
    there.clear()
    there.answers = [Answered(200, {}, b"ok"), Answered(404, {}, b"no_service")]
    said = SlackOptions(url=Secret(f"{there.url}/services/T0/B0/secret"), ca=there.ca)
    told(said, NOTICE)
    message = json.loads(there.got[0].body)
    assert not trouble_with_blocks(message["blocks"])
    assert labels(message) == ["Open the request"]
    with pytest.raises(Gone) as raised:
        told(said, NOTICE)
    assert "secret" not in raised.value.message


def test_the_example_of_slack_is_believed_for_five_minutes() -> None:
    secret, headers = (
        Secret(SIGNING_SECRET),
        {
            "x-slack-request-timestamp": str(EXAMPLE_AT),
            "x-slack-signature": EXAMPLE_SIGNATURE,
        },
    )
    assert is_signed(secret, headers, EXAMPLE_BODY, EXAMPLE_AT + 299)
    assert not is_signed(secret, headers, EXAMPLE_BODY, EXAMPLE_AT + 301)
    assert not is_signed(secret, headers, EXAMPLE_BODY, EXAMPLE_AT - 301)
    assert not is_signed(secret, headers, EXAMPLE_BODY + b"&x=1", EXAMPLE_AT)
    assert not is_signed(Secret("another"), headers, EXAMPLE_BODY, EXAMPLE_AT)


class Phone:
    """What Slack does when somebody clicks: calls the notifier."""

    def __init__(self, notifier: SlackNotifier, slack: SlackDouble) -> None:
        self.notifier = notifier
        self.slack = slack
        self.clerk = ClerkDouble()

    async def clicks(self, user: str = "UBOB", action: str = "hoopx_approve", at: float | None = None) -> Reply:
        return await self.calls(click(action, "r_1", user, self.slack.trigger()), at)

    async def submits(self, user: str = "UBOB", comment: str | None = "go on") -> Any:
        reply = await self.calls(submission(self.slack.dialogues[-1], user, comment))
        return json.loads(reply.body)

    async def calls(self, payload: dict[str, Any], at: float | None = None, **forged: Any) -> Reply:
        body, headers = signed(payload, time.time() if at is None else at)
        return await self.notifier.hear(Call({**headers, **forged.get("headers", {})}, body), self.clerk)


def on_the_phone(there: Receiver, slack: SlackDouble, scene: Callable[[Phone], Awaitable[None]]) -> None:
    play(buttons(there), lambda notifier: scene(Phone(notifier, slack)))


def test_a_click_asks_for_a_comment_and_counts(there: Receiver, slack: SlackDouble) -> None:
    async def scene(phone: Phone) -> None:
        assert await phone.clicks() == Reply(200)
        assert await phone.submits() == {"response_action": "clear"}
        await phone.clicks(action="hoopx_deny")
        await phone.submits(comment=None)
        assert phone.clerk.voted == [("T1/UBOB", "r_1", "approve", "go on"), ("T1/UBOB", "r_1", "deny", "")]

    on_the_phone(there, slack, scene)


def test_an_account_that_is_nobodys_gets_a_link_and_no_vote(there: Receiver, slack: SlackDouble) -> None:
    async def scene(phone: Phone) -> None:
        await phone.clicks("UEVE")
        [whisper] = slack.whispers
        assert (whisper["user"], whisper["channel"]) == ("UEVE", "C0DBA")
        assert whisper["blocks"][-1]["elements"][0]["url"].endswith("/link/T1/UEVE")
        # A dialogue that somebody else was given does not help either.
        await phone.clicks()
        answer = await phone.submits("UEVE")
        assert answer["response_action"] == "update"
        assert "linked to nobody" in shown(answer["view"])
        assert phone.clerk.voted == []

    on_the_phone(there, slack, scene)


def test_a_refusal_is_told_to_whoever_clicked_alone(there: Receiver, slack: SlackDouble) -> None:
    async def scene(phone: Phone) -> None:
        phone.clerk.refusal = Denied("nobody approves what is theirs", "ask <!here>")
        await phone.clicks()
        [whisper] = slack.whispers
        assert shown(whisper).startswith("nobody approves what is theirs; ask <!here>")
        assert mentions(whisper) == []
        assert slack.dialogues == []

    on_the_phone(there, slack, scene)


def test_a_click_elsewhere_does_nothing(there: Receiver, slack: SlackDouble) -> None:
    """The link is a button as well, and Slack tells of that, too."""

    async def scene(phone: Phone) -> None:
        assert await phone.clicks(action="hoopx_open") == Reply(200)
        assert (slack.dialogues, slack.whispers) == ([], [])

    on_the_phone(there, slack, scene)


def test_what_is_not_signed_by_slack_now_is_not_heard(there: Receiver, slack: SlackDouble) -> None:
    async def scene(phone: Phone) -> None:
        payload = click("hoopx_approve", "r_1", "UBOB", slack.trigger())
        forgeries: list[dict[str, str]] = [
            {"x-slack-signature": ""},
            {"x-slack-signature": "v0=" + "0" * 64},
            {"x-slack-signature": "v0=é"},
            {"x-slack-request-timestamp": "now"},
            {"x-slack-request-timestamp": "9" * 400},
            {"x-slack-request-timestamp": str(int(time.time()) - 1)},
        ]
        for headers in forgeries:
            assert (await phone.calls(payload, headers=headers)).status == 401
        assert (await phone.calls(payload, time.time() - 301)).status == 401
        assert (await phone.calls(payload, time.time() + 301)).status == 401
        body, headers = signed(payload, time.time(), "another-secret")
        assert (await phone.notifier.hear(Call(headers, body), phone.clerk)).status == 401
        assert (await phone.notifier.hear(Call({}, b""), phone.clerk)).status == 401
        assert (phone.clerk.heard, slack.dialogues) == (set(), [])

    on_the_phone(there, slack, scene)


def test_a_call_counts_once(there: Receiver, slack: SlackDouble) -> None:
    async def scene(phone: Phone) -> None:
        await phone.clicks()
        body, headers = signed(submission(slack.dialogues[-1], "UBOB", "yes"), time.time())
        first = await phone.notifier.hear(Call(headers, body), phone.clerk)
        again = await phone.notifier.hear(Call(headers, body), phone.clerk)
        assert (first.status, again.status, len(phone.clerk.voted)) == (200, 409, 1)

    on_the_phone(there, slack, scene)


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "shortcut", "user": {"id": "UBOB"}},
        {"type": "view_submission", "user": {"id": "UBOB"}},
        {"type": "view_submission", "user": {"id": "UBOB"}, "view": {"callback_id": "other"}},
        {"type": "block_actions"},
        {"type": 7},
        [],
    ],
    ids=range(6),
)
def test_calls_that_make_no_sense_are_answered_and_no_more(there: Receiver, slack: SlackDouble, payload: Any) -> None:
    async def scene(phone: Phone) -> None:
        assert (await phone.calls(payload)).status == 400

    on_the_phone(there, slack, scene)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"token": None}, "either `token`"),
        ({"url": Secret("https://hooks.slack.com/services/SECRET")}, "either `token`"),
        ({"token": None, "url": Secret("https://hooks.slack.com/services/SECRET")}, "`url` goes to one channel"),
        ({"channel": None}, "must hold `channel`, or `by_group`"),
        ({"mode": "buttons"}, "needs the app's `signing_secret`"),
        ({"api": "http://slack.example.com/api/"}, "must begin with https"),
    ],
    ids=range(6),
)
def test_options_that_cannot_hold_are_refused(there: Receiver, wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match="`") as raised:
        options(there, **wrong)
    assert why in str(raised.value)
    assert "SECRET" not in str(raised.value)
