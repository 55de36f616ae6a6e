"""What a Vault that refuses means, and what to do about it; no token ever gets into the words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hoopx_broker.terms.errors import BackendFailed

MAX_TOLD = 300  # a line of an error; the rest is in Vault's own log
_TOKEN = re.compile(
    r"\b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\bA(?:KI|SI)A[A-Z0-9]{12,}"
)
_ENVELOPE = re.compile(r"\d+ errors? occurred:\s*|\s*\*\s+")


class VaultRefused(BackendFailed):
    """Vault answered, and not with what was asked for. `told` are its own words, without secrets."""

    def __init__(self, message: str, hint: str, status: int, told: str) -> None:
        super().__init__(message, hint)
        self.status = status
        self.told = told


class VaultUnreachable(BackendFailed):
    """Nothing that speaks for Vault answered."""


def refused(
    who: str, doing: str, path: str, need: str, status: int, errors: Iterable[object], secrets: Iterable[str]
) -> VaultRefused:
    """`doing` goes on from "cannot"; `need` is the capability of a policy that the path asks for."""
    told = without_secrets("; ".join(str(each) for each in errors), secrets)
    what, hint = _meaning(path, need, status, told.lower())
    said = f" (Vault says {status}: {told})" if told else f" (Vault says {status})"
    return VaultRefused(f"{who} cannot {doing}: {what}{said}", hint, status, told)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """One line of it, with whatever is or looks like a token left out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "<secret>")
    text = _ENVELOPE.sub(" ", _TOKEN.sub("<secret>", text))
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_TOLD]


def _meaning(path: str, need: str, status: int, told: str) -> tuple[str, str]:
    match status:
        case 503 if "sealed" in told:
            return "it is sealed", "unseal it (`vault operator unseal`) and try again"
        case 501 | 503 if "initialized" in told or status == 501:
            return "it is not initialised", "run `vault operator init` there, or correct `vault.address`"
        case 429:
            return "it is asked too often", "raise its rate limit (`sys/quotas/rate-limit`), or try again in a moment"
        case 472 | 473:
            return "it is a standby that does not forward", "give the address of the active node or of a balancer"
        case 404 if "namespace not found" in told:
            return "there is no such namespace", "correct `vault.namespace`"
        case 404 if "no handler for route" in told:
            place = path.split("/")[0] if not path.startswith("auth/") else "/".join(path.split("/")[:2])
            return f"nothing is mounted at `{place}`", "enable it there, or correct `mount`, or `vault.namespace`"
        case _ if path.startswith("auth/") and path.endswith("/login"):
            return _login_meaning(path, status, told)
        case 403 if "bad token" in told or "invalid token" in told:
            return (
                "its token has ended",
                "try again: the broker logs in anew; if it stays, look at the role's token TTL",
            )
        case 403:
            rule = f'path "{path}" {{ capabilities = ["{need}"] }}'
            return (
                f"the policies of its login do not allow `{path}`",
                f"add to them: {rule}; or correct `mount` and `role`",
            )
        case 400 | 404 if "unknown role" in told or "could not find role" in told:
            mount, _, role = path.rsplit("/", 2)
            hint = f"create it (`vault write {mount}/roles/{role} …`), or correct `credentials.role`"
            return "there is no such role", hint
        case 400 | 500 if "failed to revoke" in told:
            hint = "look at the role's `revocation_statements`, and at what the engine's administrator may do"
            return "its engine could not take it back", hint
        case 404:
            return f"there is nothing at `{path}`", "create it, or correct the path and `vault.namespace`"
        case 400 | 405:
            return "it does not take what was asked", "correct `credentials` by what Vault says"
        case 500 | 502 | 504:
            return "it failed itself, or what is behind it", "look at Vault's log, and whether what it reaches is up"
        case _:
            return "it gave no good answer", "look whether `vault.address` is a Vault, and at its log"


def _login_meaning(path: str, status: int, told: str) -> tuple[str, str]:
    place = path.removesuffix("/login")
    if status >= 500:
        return "the login failed at Vault", "look at Vault's log, and whether it reaches the identity provider"
    if any(word in told for word in ("expired", "(exp)", "not before", "(nbf)", "not yet valid", "issued at", "(iat)")):
        what = "the token that it logs in with does not hold now"
        return what, "log in anew; if that does not help, set the clocks of Vault and of the identity provider right"
    if ("role" in told and "could not be found" in told) or "unknown role" in told or "invalid role name" in told:
        return f"`{place}` has no such role", f"create it (`vault write {place}/role/NAME …`), or correct `role`"
    if "secret id" in told or "secret_id" in told or "role id" in told or "role_id" in told:
        return "the role id or the secret id is wrong, or has ended", "make a new secret id and give it to the broker"
    if status == 403 and told == "permission denied":
        what = f"it lets nobody in at `{place}` with that"
        return what, "look whether that login is enabled there, at its role's bound claims, and at `vault.namespace`"
    return "it does not take that login", f"look at the role at `{place}`: its bound audiences, subject and claims"
