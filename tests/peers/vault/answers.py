"""What a request to Vault is, what an answer is, and the refusals in Vault's own words."""

from __future__ import annotations

import re
import uuid
from typing import Any

from msgspec import Struct, field

Json = dict[str, Any]
SYSTEM_MAX_TTL = 768 * 3600  # seconds; what Vault grants at most and by default where nobody says otherwise
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Refused(Exception):
    """An error answer: its status and the texts of `errors`."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(f"{status} {errors}")
        self.status, self.errors = status, list(errors)


class Request(Struct, kw_only=True):
    """One request; `path` is relative to `namespace` ("" or "team/"), and to the mount once it is routed."""

    operation: str  # read, list, create, update, delete
    path: str
    body: Json
    query: dict[str, str]
    token: str | None
    namespace: str
    remote: str = "127.0.0.1"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def writes(self) -> bool:
        return self.operation in ("create", "update")


class Answer(Struct, kw_only=True):
    """A good answer; `flat` is what some endpoints of sys/ say outside of the envelope."""

    status: int = 200
    data: Json | None = None
    auth: Json | None = None
    lease_id: str = ""
    renewable: bool = False
    lease_duration: int = 0
    warnings: list[str] | None = None
    flat: Json | None = None
    text: str | None = None

    def envelope(self, request_id: str) -> Json:
        return {
            **(self.flat or {}),
            "request_id": request_id,
            "lease_id": self.lease_id,
            "renewable": self.renewable,
            "lease_duration": self.lease_duration,
            "data": self.data,
            "wrap_info": None,
            "warnings": self.warnings,
            "auth": self.auth,
        }


NOTHING = Answer(status=204)


def denied() -> Refused:
    """A good token without the right; Vault wraps the errors of its checks like this."""
    return Refused(403, wrapped("permission denied"))


def not_found() -> Refused:
    return Refused(404)


def wrapped(text: str) -> str:
    return f"1 error occurred:\n\t* {text}\n\n"


def seconds(value: object) -> int:
    """A duration as Vault reads it: seconds, or "1h30m"."""
    if value is None or value == "":
        return 0
    text = str(value)
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h|d))+", text):
        raise Refused(400, f'time: invalid duration "{text}"')
    return int(sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", text)))


def spoken(duration: int) -> str:
    """A duration as Vault says it in warnings: 1h, 1m30s, 768h."""
    hours, rest = divmod(duration, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if number]
    return "".join(parts) or "0s"


def capped(asked: int, most: int, warnings: list[str]) -> int:
    """The asked duration, or the most there can be with Vault's warning."""
    if asked <= most:
        return asked
    warnings.append(
        f'TTL of "{spoken(asked)}" exceeded the effective max_ttl of "{spoken(most)}"; TTL value is capped accordingly'
    )
    return most


def names(value: object) -> list[str]:
    """A list as Vault reads it: an array, or a string with commas."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
