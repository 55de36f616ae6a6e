"""Why the desk says no, in sentences for who can act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from hoopx_broker.api.messages import RequestView
from hoopx_broker.api.visible import visible_prose
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, Refused, StillPending, Unknown
from hoopx_broker.terms.people import Principal, spoken


def unknown(request: str) -> Unknown:
    return Unknown(
        f"there is no request `{request}` that you may see",
        "`hoopx requests ls` lists yours and those that wait for you",
    )


def own_request(view: RequestView, asked: Mapping[str, int]) -> Denied:
    cancel = "" if view.glass else f"; `hoopx requests cancel {view.id}` takes back what is not used"
    return Denied(
        f"request `{view.id}` is your own, or one that you are part of: it is {_job(view)}ed by somebody else",
        f"ask {people_of(asked)}{cancel}",
    )


def not_an_approver(view: RequestView, who: Principal) -> Denied:
    return not_one_of(view, who, view.approvers)


def not_one_of(view: RequestView, who: Principal, asked: Mapping[str, int]) -> Denied:
    name = spoken(who.user, who.on_behalf_of)
    return Denied(
        f"request `{view.id}` is {_job(view)}ed by {people_of(asked)}, and `{name}` is in none of these groups",
        "log in again if you were added to a group since",
    )


def people_decide(view: RequestView, who: Principal, asked: Mapping[str, int]) -> Denied:
    return Denied(
        f"request `{view.id}` is {_job(view)}ed by people, and `{spoken(who.user, who.on_behalf_of)}` is an agent",
        f"one of {people_of(asked)} has to look at it: `hoopx requests show {view.id}`",
    )


def decided(view: RequestView, end: Happening | None) -> BadInput:
    """`end` is what the journal says of it, which before version 0008 of the state said nothing."""
    told = f" ({_by(end)}{_moment(end.at)})" if end is not None else ""
    return BadInput(f"request `{view.id}` is already {view.state}{told}", f"`hoopx requests show {view.id}` tells how")


def went_through(view: RequestView) -> BadInput:
    return BadInput(
        f"request `{view.id}` went through broken glass: it is reviewed, not approved or denied",
        f"say what you think of it with `hoopx requests review {view.id}`",
    )


def not_to_review(view: RequestView) -> BadInput:
    why = f"is reviewed already: {view.review}" if view.review else "did not go through broken glass"
    return BadInput(
        f"request `{view.id}` {why}",
        f"`hoopx requests show {view.id}` tells how; `hoopx requests ls --review open` lists what is to be reviewed",
    )


def _job(view: RequestView) -> str:
    return "review" if view.glass else "decid"


def _by(end: Happening) -> str:
    return f"by `{end.by}`, " if end.by else ""


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def not_yours_to_cancel(view: RequestView) -> Denied:
    return Denied(f"request `{view.id}` belongs to `{requester_of(view)}`", f"to refuse it, use `hoopx deny {view.id}`")


def requester_of(view: RequestView) -> str:
    return spoken(view.requester, view.on_behalf_of)


def something_else(view: RequestView, difference: str) -> Denied:
    return Denied(f"request `{view.id}` was for another {difference}", again(view))


def again(view: RequestView) -> str:
    """What whoever got no approval does to ask once more."""
    match view.kind:
        case "statement":
            return "run the statement again to ask again"
        case "extension":
            return f"ask again with `hoopx request {view.target} --extend {view.session}`"
        case "unmask":
            return f"ask again with `hoopx request {view.target} --unmask {','.join(view.classes)}`"
        case _:
            return f"ask again with `hoopx request {view.target}`"


def not_spendable(view: RequestView) -> HoopxError:
    """The error of whoever wants to use a request that is not approved (any more)."""
    match view.state:
        case "waiting":
            return StillPending(
                f"request `{view.id}` still waits for {people_of(view.approvers)}",
                f"they decide with `hoopx approve {view.id}`; `hoopx requests wait {view.id}` waits for it",
            )
        case "denied":
            return Refused(_said_no(view), again(view))
        case "expired":
            return StillPending(f"the time of request `{view.id}` ran out", again(view))
        case "cancelled":
            return Denied(f"request `{view.id}` was cancelled", again(view))
        case _:
            return Denied(f"request `{view.id}` was used already, and an approval is used once", again(view))


def _said_no(view: RequestView) -> str:
    said = [ballot for ballot in view.ballots if ballot.verdict == "deny"]
    if not said:
        return f"request `{view.id}` was denied"
    # It goes to clients of databases as well, which print what they are sent.
    comment = f": {' '.join(visible_prose(said[-1].comment).split())}" if said[-1].comment else ""
    return f"`{said[-1].approver}` denied request `{view.id}`{comment}"


def rules_of(rules: Iterable[str]) -> str:
    """``rule `a`, `b` ``"""
    return f"rule {', '.join(f'`{rule}`' for rule in rules)}"


def people_of(approvers: Mapping[str, int]) -> str:
    """`2 people of `dba` and 1 of `security``"""
    return " and ".join(_some_of(approvers.items())) or "nobody"


def _some_of(approvers: Iterable[tuple[str, int]]) -> list[str]:
    return [f"{people} of `{group}`" for group, people in sorted(approvers)]
