"""Make what is told of a happening: facts and people's words, nothing of a statement but its form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from hoopx_broker.api.messages import Ballot, RequestView
from hoopx_broker.api.visible import visible, visible_prose
from hoopx_broker.notices.outbox import Due
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.notices import Notice, Said

MAX_TEXT = 1_000  # characters of a reason or a comment: what is longer is read on the page
MAX_NAMES = 30  # tables and votes: more is read on the page


class Composer:
    """`stored` gives a request as it is kept, `normal` a statement without its values."""

    def __init__(
        self,
        stored: Callable[[RequestId], Awaitable[RequestView]],
        normal: Callable[[bytes], Awaitable[str]],
    ) -> None:
        self._stored = stored
        self._normal = normal

    async def notice(self, due: Due) -> Notice:
        view, happening = due.view, due.happening
        effects = view.effects
        return Notice(
            id=due.id,
            event=happening.event,
            at=happening.at,
            request=view.id,
            kind=view.kind,
            target=_name(view.target),
            requester=_name(view.requester),
            state=happening.state or view.state,
            link=view.link,
            by=_name(happening.by),
            comment=_prose(happening.comment),
            on_behalf_of=_name(view.on_behalf_of) if view.on_behalf_of else None,
            reason=_prose(view.reason),
            ticket=_name(view.ticket),
            duration=view.duration,
            expires_at=view.expires_at,
            session=_name(view.session),
            classes=_names(view.classes),
            rules=_names(view.rules),
            approvers={_name(group): seats for group, seats in view.approvers.items()},
            reviewers={_name(group): seats for group, seats in view.conditions.reviewers.items()},
            votes=_said(view.ballots),
            reviews=_said(view.reviews),
            statement=await self._form_of(view),
            actions=_names(effects.actions) if effects else (),
            tables=_names(effects.tables) if effects else (),
            glass=view.glass,
            review=view.review,
        )

    async def _form_of(self, view: RequestView) -> str:
        """Nothing of the text where its form cannot be had."""
        if view.kind != "statement":
            return ""
        try:
            statement = (await self._stored(RequestId(view.id))).statement
        except HoopxError:
            return ""
        return _name(await self._normal(statement.encode()))


def _name(text: str) -> str:
    return _bounded(visible(_one_line(text)))


def _prose(text: str) -> str:
    return _bounded(visible_prose(_one_line(text)))


def _one_line(text: str) -> str:
    """A line of its own could be taken for one of the message's."""
    return " ".join(text.split())


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _names(texts: Iterable[str]) -> tuple[str, ...]:
    shown = [_name(text) for text in texts]
    return (*shown[:MAX_NAMES], "…") if len(shown) > MAX_NAMES else tuple(shown)


def _said(ballots: tuple[Ballot, ...]) -> tuple[Said, ...]:
    last = ballots[-MAX_NAMES:]
    return tuple(Said(_name(each.approver), each.verdict, _prose(each.comment), each.at) for each in last)
