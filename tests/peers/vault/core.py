"""The inside of the double: whose request it is, what their policies allow, which engine answers, and the audit."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.peers.vault import policies
from tests.peers.vault.answers import Answer, Refused, Request, denied
from tests.peers.vault.audit import Audit
from tests.peers.vault.engine import Call, Engine
from tests.peers.vault.leases import Leases
from tests.peers.vault.state import Namespace, State, Token
from tests.peers.vault.tokens import Tokens

SUDO = ("auth/token/create-orphan", "auth/token/accessors", "sys/seal", "sys/audit*", "sys/leases/lookup/*")
SUDO_TOO = ("sys/leases/revoke-prefix/*", "sys/leases/revoke-force/*", "auth/token/revoke-orphan")
OPEN_WHILE_SEALED = ("sys/health", "sys/seal-status", "sys/unseal")


class Core:
    """Vault without its HTTP. Threads may call `answer` at the same time."""

    def __init__(self, state: State, home: Path, engines: dict[str, Engine]) -> None:
        self.state, self.home, self.engines = state, home, engines
        self.lock = threading.RLock()
        self.tokens = Tokens(self)
        self.leases = Leases(self)
        self.audit = Audit(self)

    def save(self) -> None:
        with self.lock:
            self.state.save(self.home / "state.json")

    def answer(self, request: Request) -> Answer:
        """Judge and carry out; `Refused` where not."""
        if request.path not in OPEN_WHILE_SEALED and self.state.sealed:
            raise Refused(503, "Vault is sealed")
        namespace = self._enter(request)
        call = self._route(request, namespace)
        if call is None or not self._is_open(call):
            token = self.tokens.use(request.token)
            call = call and call._replace(token=token)
            self._judge(request, namespace, call, token)
        if call is None:
            raise Refused(404, f'no handler for route "{request.path}". route entry not found.')
        return self._carry_out(call)

    def full(self, namespace: str, path: str) -> str:
        return f"{namespace}{path}"

    def rules(self, token: Token) -> list[policies.Rules]:
        known = self.state.namespaces[token.namespace].policies
        return [policies.parse(known[name]) for name in token.policies if name in known]

    def capabilities(self, token: Token, namespace: str, path: str) -> set[str]:
        """What a token may do at a path; everything for root, nothing outside of the token's namespace."""
        if not namespace.startswith(token.namespace):
            return set()
        if "root" in token.policies:
            return {"root"}
        return policies.allowed(self.rules(token), f"{namespace[len(token.namespace) :]}{path}")

    def _enter(self, request: Request) -> Namespace:
        """The namespace of the header and of the beginning of the path."""
        known = self.state.namespaces
        inside = [name for name in known if f"{request.namespace}{request.path}".startswith(name)]
        found = max((name for name in inside if name.startswith(request.namespace)), key=len, default=None)
        if request.namespace not in known or found is None:
            raise Refused(404, "namespace not found")
        request.path = f"{request.namespace}{request.path}"[len(found) :]
        request.namespace = found
        return known[found]

    def _route(self, request: Request, namespace: Namespace) -> Call | None:
        path = request.path
        is_login = path.startswith("auth/")
        kind, rest = ("auth/", path[5:]) if is_login else ("", path)
        table = namespace.logins if is_login else namespace.mounts
        place = max((each for each in table if f"{rest}/".startswith(each)), key=len, default=None)
        if place is None:
            return None
        call = Call(request, namespace, table[place], f"{kind}{place}", rest[len(place) :], None)
        if request.operation == "update" and not self.engines[call.mount.type].is_there(call):
            request.operation = "create"
        return call

    def _is_open(self, call: Call) -> bool:
        return any(policies.fits(each, call.path) for each in self.engines[call.mount.type].open)

    def _judge(self, request: Request, namespace: Namespace, call: Call | None, token: Token) -> None:
        # What is listed is a folder, and policies name it with its slash.
        folder = "/" if request.operation == "list" else ""
        may = self.capabilities(token, request.namespace, request.path + folder)
        may = may or self.capabilities(token, request.namespace, request.path)
        needs_sudo = any(policies.fits(each, request.path) for each in (*SUDO, *SUDO_TOO))
        if "root" in may or (request.operation in may and ("sudo" in may or not needs_sudo)):
            return
        refused = denied()
        if call is not None:
            self.audit.write(call, error=refused.errors[0])
        raise refused

    def _carry_out(self, call: Call) -> Answer:
        self.audit.write(call)
        try:
            answer = self.engines[call.mount.type].handle(call)
        except Refused as refused:
            self.audit.write(call, error="; ".join(refused.errors))
            raise
        if call.request.writes or call.request.operation == "delete" or answer.lease_id or answer.auth:
            self.save()
        self.audit.write(call, answer=answer)
        return answer
