"""The seam to a policy engine: Cedar by default, another one by a plugin."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Ruling
from hoopx_broker.terms.targets import ColumnName, Target


class Circumstances(Struct, frozen=True):
    """What rules may look at beside who, what and where. `now` is seconds since the Unix epoch, whole minutes.

    `approvals` names the approver groups whose quorum has agreed; `duration` is the asked length in seconds.
    `parameters` are the values that a prepared statement would run with, as text, None for NULL. While it is only being
    prepared it is `pending`, and they are not known yet.
    """

    now: int
    reason: str = ""
    ticket: str = ""
    duration: int = 0
    approvals: frozenset[str] = frozenset()
    parameters: tuple[str | None, ...] = ()
    pending: bool = False


class Consent(Struct, frozen=True):
    """What people agreed to when they approved a request to unmask: their groups, and its reason and ticket."""

    approvals: frozenset[str] = frozenset()
    reason: str = ""
    ticket: str = ""


IdentityAction = Literal["identity.revoke", "identity.restore"]


class Judge(Protocol):
    """Pure judging: no I/O, same answer for the same question. Any error inside is a `Deny` with rule `judge`."""

    @property
    def version(self) -> str:
        """Names the exact policy set, as `sha256:` and 12 hexadecimal digits."""

    @property
    def asks_parameters(self) -> bool:
        """Does any rule look at the values of prepared statements? Rulings then hold for those values alone."""

    def opening(self, who: Principal, target: Target, circumstances: Circumstances) -> Ruling:
        """May this session be opened?"""

    def extending(self, who: Principal, target: Target, circumstances: Circumstances) -> Ruling:
        """May a session that `who` has there go on for `circumstances.duration` seconds beyond its end?"""

    def statements(
        self,
        who: Principal,
        target: Target,
        facts: Sequence[StatementFacts],
        circumstances: Circumstances,
        hidden: Collection[ColumnName] | None = None,
    ) -> Ruling:
        """May these statements, sent as one, run? The tables' schemas are already resolved.

        `hidden` are the columns that `who` does not see raw now, where approvals make it another answer than policy's.
        """

    def hidden(self, who: Principal, target: Target, consent: Consent = Consent()) -> dict[ColumnName, str]:
        """The classified columns that `who` may not see raw, with their class."""

    def hidden_classes(
        self, who: Principal, target: Target, classes: Collection[str], consent: Consent = Consent()
    ) -> frozenset[str]:
        """Those of `classes` whose values `who` may not see raw, wherever they are found."""

    def unmasking(
        self, who: Principal, target: Target, classes: Collection[str], circumstances: Circumstances
    ) -> Ruling:
        """May everything of these classes be seen raw? An allow has what stays hidden beside them as its masks."""

    def may_view_session(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        """May `who` see the recording of a session that `owner` had on `target`?"""

    def may_change_identity(self, action: IdentityAction, who: Principal, user: str) -> Ruling:
        """May `who` shut out the user of this name, or let them in again?"""

    def may_view_log(self, who: Principal) -> Ruling:
        """May `who` see what happened at this broker: who logged in, opened, approved, changed and looked at what?"""

    def may_hold(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        """May `who` set or release a legal hold on the recording of a session that `owner` had on `target`?"""

    def may_collect(self, who: Principal, target: Target) -> Ruling:
        """May `who` have recordings of sessions on `target` deleted when they are over their time?"""

    def may_kill_session(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        """May `who` end a session that `owner` has on `target`?"""

    def may_view_lease(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        """May `who` see a lease that `owner` has, or had, on `target`?"""

    def may_revoke_lease(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        """May `who` revoke a lease that `owner` has on `target`, and end its session by that?"""
