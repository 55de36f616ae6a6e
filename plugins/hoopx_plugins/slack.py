"""Tell a channel of Slack: one message for each request that follows it, with a link, or with buttons as well."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from hoopx_broker.seams.notifier import Account, Call, Clerk, Reply, Verdict
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.notices import Gone, Notice, NotLinked, NotTold
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.notice_http import Line, check_url, is_loopback
from hoopx_plugins.slack_api import API, SlackApi, SlackSays
from hoopx_plugins.slack_calls import MAX_AGE, Interaction, interaction_of, is_signed
from hoopx_plugins.slack_message import (
    APPROVE,
    COMMENT,
    DENY,
    comment_view,
    escaped,
    link_block,
    message,
    plain,
    told_view,
)

HURRY_SECONDS = 2.5  # Slack shows an error to whoever clicked after three
# What Slack says of a message that cannot be brought up to date: then there is a new one.
_LOST = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_VERDICTS: dict[str, Verdict] = {APPROVE: "approve", DENY: "deny"}

# Ids of channels and of private ones; names change, and not everybody may see whose they are.
Channel = Annotated[str, Meta(pattern=r"^[CGD][A-Z0-9]{2,20}$")]


class SlackOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Either `token` of an app's bot with `channel` (and others for requests that ask certain groups, `by_group`), or
    `url` of an incoming webhook, which can only say things once.

    With `mode: buttons` people answer in Slack, for which `signing_secret` proves that it is Slack who calls.
    """

    token: Secret | None = None
    channel: Channel | None = None
    by_group: dict[str, Channel] = {}
    url: Secret | None = None
    mode: Literal["link", "buttons"] = "link"
    signing_secret: Secret | None = None
    api: str = API
    ca: Path | None = None

    def __post_init__(self) -> None:
        if (self.token is None) == (self.url is None):
            raise ValueError("must hold either `token` (and `channel`) or `url`")
        if self.url is not None:
            check_url(self.url)
            if self.channel or self.by_group or self.mode == "buttons":
                raise ValueError("`url` goes to one channel and has no buttons; for others use `token`")
        elif not self.channel and not self.by_group:
            raise ValueError("must hold `channel`, or `by_group`")
        if self.mode == "buttons" and self.signing_secret is None:
            raise ValueError("`mode: buttons` needs the app's `signing_secret`")
        check_url(Secret(self.api))


class SlackNotifier:
    """`clock` gives seconds since the Unix epoch."""

    Options: ClassVar[type[SlackOptions]] = SlackOptions
    hears: ClassVar[str] = "slack"

    def __init__(self, name: str, options: SlackOptions, clock: Callable[[], float] = time.time) -> None:
        self._name = name
        self._options = options
        self._clock = clock
        self._api = SlackApi(name, options.token, options.api, options.ca) if options.token else None
        hook = urlsplit(options.url.reveal()).hostname or "" if options.url else ""
        self._line = Line(name, options.ca, to_itself=is_loopback(hook)) if options.url else None

    async def tell(self, notice: Notice, thread: dict[str, str]) -> str:
        """`thread` holds the time stamp of the message in each channel, which is Slack's name for it."""
        if self._line is not None and self._options.url is not None:
            await self._post_once(self._line, self._options.url, notice)
            return ""
        for channel in self._channels(notice):
            await self._bring_up_to_date(channel, notice, thread)
        return ""

    async def close(self) -> None:
        for each in (self._api, self._line):
            if each is not None:
                await each.close()

    def is_open(self) -> bool:
        return self._options.mode == "buttons"

    async def hear(self, call: Call, clerk: Clerk) -> Reply:
        secret = self._options.signing_secret
        if secret is None or not is_signed(secret, call.headers, call.body, self._clock()):
            return Reply(401, b"this call is not signed by Slack for this app, or it is older than five minutes\n")
        if not await clerk.is_fresh(call.headers["x-slack-signature"], 2 * MAX_AGE):
            return Reply(409, b"this call was heard before\n")
        said = interaction_of(call.body)
        match said:
            case Interaction("block_actions"):
                return await self._clicked(said, clerk)
            case Interaction("view_submission"):
                return await self._voted(said, clerk)
            case _:
                return Reply(400, b"this is no interaction that hoopx knows\n")

    # To Slack.

    def _channels(self, notice: Notice) -> list[str]:
        asked = {**notice.approvers, **(notice.reviewers if notice.glass else {})}
        of_groups = {self._options.by_group[group] for group in asked if group in self._options.by_group}
        return sorted(of_groups) or ([self._options.channel] if self._options.channel else [])

    async def _bring_up_to_date(self, channel: str, notice: Notice, thread: dict[str, str]) -> None:
        assert self._api is not None
        shown = message(notice, has_buttons=self._has_buttons(notice))
        if channel in thread:
            try:
                await self._api.call("chat.update", channel=channel, ts=thread[channel], **shown)
            except SlackSays as error:
                if error.error not in _LOST:
                    raise
                del thread[channel]
        if channel not in thread:
            thread[channel] = await self._api.call("chat.postMessage", channel=channel, **shown)

    def _has_buttons(self, notice: Notice) -> bool:
        """Whoever approves a statement reads it first, to the letter: that is not here."""
        return self.is_open() and notice.state == "waiting" and notice.kind != "statement"

    async def _post_once(self, line: Line, url: Secret, notice: Notice) -> None:
        shown = message(notice, has_buttons=False)
        body = msgspec.json.encode({key: shown[key] for key in ("text", "blocks", "unfurl_links", "unfurl_media")})
        answer = await line.post(url, body, {"content-type": "application/json", "user-agent": "hoopx"})
        if answer.status in (404, 410):
            raise Gone(f"`{self._name}`: this incoming webhook is there no more", "make another one in Slack")
        if answer.status != 200:
            raise NotTold(f"`{self._name}`: Slack answered {answer.status}", after=answer.after)

    # From Slack.

    async def _clicked(self, said: Interaction, clerk: Clerk) -> Reply:
        for action in said.actions:
            if action.action_id in _VERDICTS:
                await self._ask_for_comment(said, action.value, _VERDICTS[action.action_id], clerk)
        return Reply(200)

    async def _ask_for_comment(self, said: Interaction, request: str, verdict: Verdict, clerk: Clerk) -> None:
        """A dialogue for those who may vote; for others a word that nobody else sees."""
        assert self._api is not None
        account = _account(said)
        try:
            async with asyncio.timeout(HURRY_SECONDS):
                target = await clerk.look(account, request)
                view = comment_view(request, target, verdict)
                await self._api.call("views.open", trigger_id=said.trigger_id, view=view)
        except (NotTold, TimeoutError):
            return  # Slack tells whoever clicked that nothing came of it
        except HoopxError as error:
            await self._whisper(said, error, await _way_on(error, account, request, clerk))

    async def _whisper(self, said: Interaction, error: HoopxError, link: str) -> None:
        assert self._api is not None
        if said.channel is None:
            return
        text = _told(error)
        try:
            async with asyncio.timeout(HURRY_SECONDS):
                await self._api.call(
                    "chat.postEphemeral",
                    channel=said.channel.id,
                    user=said.user.id,
                    text=escaped(text),
                    blocks=[{"type": "section", "text": plain(text)}, link_block(link, _label(error))],
                )
        except (NotTold, TimeoutError):
            return

    async def _voted(self, said: Interaction, clerk: Clerk) -> Reply:
        view, account = said.view, _account(said)
        if view is None or view.callback_id not in _VERDICTS:
            return Reply(400, b"this is no dialogue of hoopx\n")
        request, verdict = view.private_metadata, _VERDICTS[view.callback_id]
        comment = view.state.values.get(COMMENT, {}).get(COMMENT, {}).get("value") or ""
        try:
            await clerk.vote(account, request, verdict, str(comment).replace("\0", ""))
        except HoopxError as error:
            link = await _way_on(error, account, request, clerk)
            return _json({"response_action": "update", "view": told_view("Not counted", _told(error), link)})
        return _json({"response_action": "clear"})


def _account(said: Interaction) -> Account:
    """Slack's ids are unique within a workspace, and people of several meet in shared channels."""
    team = said.user.team_id or (said.team.id if said.team else "")
    name = said.user.username or said.user.name
    return Account(f"{team}/{said.user.id}", f"@{name} ({said.user.id} in {team})" if name else said.user.id)


async def _way_on(error: HoopxError, account: Account, request: str, clerk: Clerk) -> str:
    return await clerk.invite(account) if isinstance(error, NotLinked) else clerk.link_of(request)


def _told(error: HoopxError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _label(error: HoopxError) -> str:
    return "Sign in and link this account" if isinstance(error, NotLinked) else "Open the request"


def _json(said: Any) -> Reply:
    return Reply(200, msgspec.json.encode(said), "application/json")
