"""Tokens of the double: made, used, renewed, and ended with their children and all that they had made."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.peers.vault.answers import (
    NOTHING,
    SYSTEM_MAX_TTL,
    Answer,
    Json,
    Refused,
    capped,
    names,
    seconds,
    wrapped,
)
from tests.peers.vault.clock import now, stamp
from tests.peers.vault.engine import Call, Engine
from tests.peers.vault.state import Token, word

if TYPE_CHECKING:
    from tests.peers.vault.core import Core


class Tokens:
    """The store of tokens, for all namespaces."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tokens = core.state.tokens

    def use(self, secret: str | None) -> Token:
        """The token of a request, one use less of it; 403 for none, a wrong one, or one that has ended."""
        with self._core.lock:
            token = self._tokens.get(secret or "")
            if token is None or (token.ends is not None and token.ends <= now()) or token.num_uses < 0:
                raise Refused(403, "permission denied")
            if token.num_uses > 0:
                token.num_uses = token.num_uses - 1 or -1
                self._core.save()
            return token

    def spent(self, token: Token) -> bool:
        return token.num_uses < 0

    def get(self, secret: str) -> Token | None:
        return self._tokens.get(secret)

    def by_accessor(self, accessor: str) -> Token | None:
        return next((token for token in list(self._tokens.values()) if token.accessor == accessor), None)

    def all(self) -> list[Token]:
        return list(self._tokens.values())

    def make(self, token: Token, ttl: int, warnings: list[str]) -> Token:
        """Keep a new token; its time is what was asked, within its own limits and the system's."""
        limits = [each for each in (token.max_ttl, token.explicit_max_ttl, SYSTEM_MAX_TTL) if each]
        if "root" in token.policies and not (ttl or token.period or token.explicit_max_ttl):
            ttl = 0
        else:
            ttl = (
                capped(token.period or ttl or SYSTEM_MAX_TTL, min(limits), warnings)
                if ttl
                else min([token.period or SYSTEM_MAX_TTL, *limits])
            )
        token.ttl, token.ends = ttl, token.created + ttl if ttl else None
        self._tokens[token.id] = token
        return token

    def renew(self, token: Token, increment: int) -> Answer:
        if not token.renewable or token.ends is None:
            raise Refused(400, "lease is not renewable")
        warnings: list[str] = []
        most = min(each for each in (token.max_ttl, token.explicit_max_ttl, SYSTEM_MAX_TTL) if each)
        left = int(token.created + most - now() + 0.999)
        ttl = token.period or increment or token.ttl
        if ttl > left and not token.period:
            capped(ttl, most if ttl > most else left, warnings)
            ttl = left
        token.ends, token.renewed = now() + ttl, now()
        return Answer(auth=said(token, ttl), warnings=warnings or None)

    def end(self, token: Token) -> None:
        """Gone at once, with its children; the leases follow on their own, as they do with Vault."""
        self._tokens.pop(token.id, None)
        for child in self.all():
            if child.parent == token.id:
                self.end(child)
        for lease in self._core.leases.of(token.id):
            self._core.leases.end_soon(lease)

    def end_the_ended(self, at: float) -> None:
        for token in self.all():
            if (token.ends is not None and token.ends <= at) or self.spent(token):
                self.end(token)
                self._core.save()

    def login(self, call: Call, role: Json, alias: str, display: str, meta: dict[str, str]) -> Answer:
        """What a login method answers: an orphan token with the role's policies and times, and the alias's entity."""
        own = names(role.get("token_policies") or role.get("policies"))
        policies = sorted({*own, *([] if role.get("token_no_default_policy") else ["default"])})
        warnings: list[str] = []
        token = Token(
            id=f"s.{word(24)}",
            accessor=word(24),
            namespace=call.request.namespace,
            policies=policies,
            display_name=display,
            path=f"{call.mounted}login",
            created=now(),
            max_ttl=seconds(role.get("token_max_ttl") or role.get("max_ttl")),
            explicit_max_ttl=seconds(role.get("token_explicit_max_ttl")),
            period=seconds(role.get("token_period") or role.get("period")),
            num_uses=int(role.get("token_num_uses") or role.get("num_uses") or 0),
            meta=meta,
            entity=self.entity(f"{call.mount.accessor}/{alias}"),
            orphan=True,
        )
        ttl = seconds(role.get("token_ttl") or role.get("ttl"))
        self.make(token, ttl, warnings)
        return Answer(auth=said(token, token.ttl), warnings=warnings or None)

    def entity(self, alias: str) -> str:
        return self._core.state.entities.setdefault(alias, str(uuid.uuid4()))


def said(token: Token, ttl: int) -> Json:
    """The `auth` of an answer."""
    return {
        "client_token": token.id,
        "accessor": token.accessor,
        "policies": token.policies,
        "token_policies": token.policies,
        "metadata": token.meta,
        "lease_duration": ttl,
        "renewable": token.renewable,
        "entity_id": token.entity,
        "token_type": "service",
        "orphan": token.orphan,
        "mfa_requirement": None,
        "num_uses": max(token.num_uses, 0),
    }


class TokenEngine(Engine):
    """auth/token/…"""

    def handle(self, call: Call) -> Answer:
        asks = call.request.writes
        match call.path.split("/")[0]:
            case "create" | "create-orphan" if asks:
                return self._create(call)
            case "lookup-self" if asks or call.request.operation == "read":
                return Answer(data=looked_up(call.owner))
            case "lookup" if asks:
                token = self.core.tokens.get(call.body.get("token") or call.owner.id)
                if token is None:
                    raise Refused(403, "bad token")
                return Answer(data=looked_up(token))
            case "lookup-accessor" if asks:
                return Answer(data=looked_up(self._accessed(call)) | {"id": ""})
            case "renew-self" if asks:
                return self.core.tokens.renew(call.owner, seconds(call.body.get("increment")))
            case "renew-accessor" if asks:
                answer = self.core.tokens.renew(self._accessed(call), seconds(call.body.get("increment")))
                answer.auth = (answer.auth or {}) | {"client_token": ""}
                return answer
            case "revoke-self" if asks:
                self.core.tokens.end(call.owner)
                return NOTHING
            case "revoke" if asks:
                token = self.core.tokens.get(call.body.get("token", ""))
                if token is not None:
                    self.core.tokens.end(token)
                return NOTHING
            case "revoke-accessor" if asks:
                return self._revoke_accessor(call)
            case "accessors" if call.request.operation == "list":
                return Answer(data={"keys": [token.accessor for token in self.core.tokens.all()]})
        raise Refused(404, wrapped("unsupported path"))

    def _accessed(self, call: Call) -> Token:
        token = self.core.tokens.by_accessor(self._accessor(call))
        if token is None:
            raise Refused(400, wrapped("invalid accessor"))
        return token

    def _accessor(self, call: Call) -> str:
        accessor = call.body.get("accessor")
        if not accessor:
            raise Refused(400, wrapped("missing accessor"))
        return str(accessor)

    def _revoke_accessor(self, call: Call) -> Answer:
        token = self.core.tokens.by_accessor(self._accessor(call))
        if token is None:
            return Answer(warnings=["No token found with this accessor"])
        self.core.tokens.end(token)
        return NOTHING

    def _create(self, call: Call) -> Answer:
        parent, body = call.owner, call.body
        asked = names(body.get("policies")) or parent.policies
        is_root = "root" in parent.policies
        if not is_root and not set(asked) <= {*parent.policies, "default"}:
            raise Refused(400, "child policies must be subset of parent")
        bare = "root" in asked or body.get("no_default_policy")
        orphan = call.path.startswith("create-orphan") or (is_root and bool(body.get("no_parent")))
        display = body.get("display_name")
        token = Token(
            id=str(body["id"]) if is_root and body.get("id") else f"s.{word(24)}",
            accessor=word(24),
            namespace=call.request.namespace,
            policies=sorted({*asked} - {"default"} if bare else {*asked, "default"}),
            display_name=f"token-{display}" if display else "token",
            path=f"auth/token/{call.path}",
            created=now(),
            renewable=bool(body.get("renewable", True)),
            explicit_max_ttl=seconds(body.get("explicit_max_ttl")),
            period=seconds(body.get("period")),
            num_uses=int(body.get("num_uses") or 0),
            parent=None if orphan else parent.id,
            meta=body.get("meta"),
            orphan=orphan,
        )
        warnings: list[str] = []
        self.core.tokens.make(token, seconds(body.get("ttl") or body.get("lease")), warnings)
        token.renewable = token.renewable and token.ttl > 0
        return Answer(auth=said(token, token.ttl), warnings=warnings or None)


def looked_up(token: Token) -> Json:
    """What `lookup` says of a token."""
    told: Json = {
        "accessor": token.accessor,
        "creation_time": int(token.created),
        "creation_ttl": token.ttl,
        "display_name": token.display_name,
        "entity_id": token.entity,
        "expire_time": stamp(token.ends),
        "explicit_max_ttl": token.explicit_max_ttl,
        "id": token.id,
        "issue_time": stamp(token.created),
        "meta": token.meta,
        "num_uses": token.num_uses,
        "orphan": token.orphan,
        "path": token.path,
        "policies": token.policies,
        "renewable": token.renewable and token.ends is not None,
        "ttl": max(int(token.ends - now()), 0) if token.ends is not None else 0,
        "type": "service",
    }
    if token.renewed is not None:
        told |= {"last_renewal": stamp(token.renewed), "last_renewal_time": int(token.renewed)}
    if token.namespace:
        told["namespace_path"] = token.namespace
    if token.period:
        told["period"] = token.period
    return told
