"""Why the desk says no, in sentences for who can act."""

from __future__ import annotations

from collections.abc import Iterable

from hoopx_broker.api.messages import RequestView
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, Refused, StillPending, Unknown
from hoopx_broker.terms.people import Principal, spoken


def unknown(request: str) -> Unknown:
    return Unknown(
        f"there is no request `{request}` that you may see",
        "`hoopx requests ls` lists yours and those that wait for you",
    )


def own_request(view: RequestView) -> Denied:
    return Denied(
        f"request `{view.id}` is your own, or one that you are part of: somebody else has to decide it",
        f"ask {people_of(view.approvers)}; `hoopx requests cancel {view.id}` takes it back",
    )


def not_an_approver(view: RequestView, who: Principal) -> Denied:
    name = spoken(who.user, who.on_behalf_of)
    return Denied(
        f"request `{view.id}` is decided by {people_of(view.approvers)}, and `{name}` is in none of these groups",
        "log in again if you were added to a group since",
    )


def agents_decide_nothing(view: RequestView, who: Principal) -> Denied:
    return Denied(
        f"request `{view.id}` is decided by people, and `{spoken(who.user, who.on_behalf_of)}` is an agent",
        f"one of {people_of(view.approvers)} has to look at it: `hoopx approve {view.id}`",
    )


def decided(view: RequestView) -> BadInput:
    return BadInput(f"request `{view.id}` is already {view.state}", f"`hoopx requests show {view.id}` tells how")


def not_yours_to_cancel(view: RequestView) -> Denied:
    return Denied(f"request `{view.id}` belongs to `{requester_of(view)}`", f"to refuse it, use `hoopx deny {view.id}`")


def requester_of(view: RequestView) -> str:
    return spoken(view.requester, view.on_behalf_of)


def something_else(view: RequestView, difference: str) -> Denied:
    return Denied(f"request `{view.id}` was for another {difference}", f"ask again with `hoopx request {view.target}`")


def not_spendable(view: RequestView) -> HoopxError:
    """The error of whoever wants to use a request that is not approved (any more)."""
    again = f"ask again with `hoopx request {view.target}`"
    match view.state:
        case "waiting":
            return StillPending(
                f"request `{view.id}` still waits for {people_of(view.approvers)}",
                f"they decide with `hoopx approve {view.id}`; `hoopx requests wait {view.id}` waits for it",
            )
        case "denied":
            return Refused(_said_no(view), again)
        case "expired":
            return StillPending(f"the time of request `{view.id}` ran out", again)
        case "cancelled":
            return Denied(f"request `{view.id}` was cancelled", again)
        case _:
            return Denied(f"request `{view.id}` was used already, and an approval is used once", again)


def _said_no(view: RequestView) -> str:
    said = [ballot for ballot in view.ballots if ballot.verdict == "deny"]
    if not said:
        return f"request `{view.id}` was denied"
    comment = f": {said[-1].comment}" if said[-1].comment else ""
    return f"`{said[-1].approver}` denied request `{view.id}`{comment}"


def people_of(approvers: dict[str, int]) -> str:
    """`2 people of `dba` and 1 of `security``"""
    return " and ".join(_some_of(approvers.items())) or "nobody"


def _some_of(approvers: Iterable[tuple[str, int]]) -> list[str]:
    return [f"{people} of `{group}`" for group, people in sorted(approvers)]
