"""The calls about people: passes for native clients, who is let in, and what providers tell of logouts."""

from __future__ import annotations

import structlog
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hoopx_broker.api.messages import PassFor, PassGiven, Revoke, RevokedView
from hoopx_broker.identity.embedded.forms import field, read_form
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.passes import Passes
from hoopx_broker.identity.standing import Revocation, Standing
from hoopx_broker.identity.verify import Gate
from hoopx_broker.seams.judge import IdentityAction
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.services import Services, target_for
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, Unauthenticated
from hoopx_broker.terms.people import Principal, spoken
from hoopx_broker.terms.rulings import Allow
from hoopx_broker.terms.secret import Secret

_log = structlog.get_logger()

MAX_USER = 256  # as `identity/claims.py` has it
MAX_REASON = 2_000
MAX_COUNTED = 1_000  # open sessions of one user, at all brokers


class People(Struct, frozen=True):
    """What these calls work with."""

    gate: Gate
    standing: Standing
    passes: Passes
    sessions: Sessions
    services: Services

    def give_pass(self, identity: Identity, token: Secret, asked: PassFor) -> PassGiven:
        """A password for one target. Whether a session opens there is decided when it is used."""
        target = target_for(self.services, identity.who, asked.target)
        word, given = self.passes.give(identity, target.name, token)
        return PassGiven(word.reveal(), identity.who.user, target.name, given.expires_at)

    async def revoke(self, who: Principal, user: str, asked: Revoke) -> RevokedView:
        """Nobody of this name is let in until restored; what they have open ends now."""
        self._check_may("identity.revoke", who, user)
        if not 0 < len(user) <= MAX_USER or not user.isprintable():
            raise BadInput("this is no user name", "`hoopx sessions ls` shows those who have sessions")
        if len(asked.reason) > MAX_REASON:
            raise BadInput(f"the reason has more than {MAX_REASON} characters", "shorten it")
        affected = len(await self.services.stored.list(user=user, state="open", limit=MAX_COUNTED))
        revocation = Revocation("user", "", user, self.services.clock(), who.user, asked.reason)
        await self.standing.revoke(revocation, who)
        _log.warning("identity.revoked", user=user, by=spoken(who.user, who.on_behalf_of), sessions=affected)
        return _view(revocation, affected)

    async def restore(self, who: Principal, user: str) -> RevokedView:
        self._check_may("identity.restore", who, user)
        if not await self.standing.restore(user, who):
            raise BadInput(f"`{user}` is not revoked", "`hoopx admin revoked` lists those who are")
        _log.warning("identity.restored", user=user, by=spoken(who.user, who.on_behalf_of))
        return RevokedView(user, self.services.clock(), who.user)

    def revoked(self, who: Principal) -> dict[str, list[RevokedView]]:
        """Those whom `who` could restore."""
        judge = self.services.judge()
        seen = [
            each
            for each in self.standing.users()
            if isinstance(judge.may_change_identity("identity.restore", who, each.name), Allow)
        ]
        return {"revoked": [_view(each) for each in seen]}

    async def logout(self, request: Request) -> Response:
        """Back-channel logout: the provider is who signed the token, so the call itself needs none."""
        try:
            form = await read_form(request)
            logout = await self.gate.logout(field(form, "logout_token"))
        except (OAuthError, Unauthenticated):
            return JSONResponse({"error": "invalid_request"}, 400, _NO_STORE)
        except HoopxError as error:
            return JSONResponse({"error": "temporarily_unavailable"}, error.http_status, _NO_STORE)
        _log.info("identity.logged_out", issuer=logout.revocations[0].issuer, logout=logout.revocations[0].kind)
        return Response(b"", 200, _NO_STORE)

    def _check_may(self, action: IdentityAction, who: Principal, user: str) -> None:
        ruling = self.services.judge().may_change_identity(action, who, user)
        if not isinstance(ruling, Allow):
            raise Denied(
                f"you may not change who `{user}` is here", "ask whoever may, for instance the group `security`"
            )


_NO_STORE = {"cache-control": "no-store"}


def _view(revocation: Revocation, sessions: int = 0) -> RevokedView:
    return RevokedView(revocation.name, revocation.at, revocation.revoked_by, revocation.reason, sessions)
