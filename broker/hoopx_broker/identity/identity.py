"""Who was let in, and by what: the person, the login behind their token, and the key that they proved."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret

Scheme = Literal["bearer", "dpop"]


class Presented(Struct, frozen=True):
    """A token as a request brings it: by which scheme, with which proof, and what is asked (`path` of the broker)."""

    token: Secret
    scheme: Scheme = "bearer"
    proof: str | None = None
    method: str = "GET"
    path: str = "/"


class Login(Struct, frozen=True):
    """The signing in that a token comes from: whose, at which issuer, and when it began.

    `began_at` (seconds since the Unix epoch) is the token's `auth_time`, else its `iat`: a token that was renewed
    belongs to a login that is older than itself. `sid` is the provider's name for the login, empty where it gives none.
    """

    issuer: str
    subject: str
    began_at: float
    sid: str = ""


class Identity(Struct, frozen=True):
    """What the gate says of a token. Times are seconds since the Unix epoch.

    `login` is that of the human behind it: of an agent on behalf of a human, not the agent's. `key` is the thumbprint
    (RFC 7638) of the key that was proved with the token, None where none was. `is_bound` tells whether the token is
    worth nothing without that key. `client` is the program that the token was given to, empty where it does not say.
    """

    who: Principal
    login: Login
    issued_at: float
    expires_at: float
    key: str | None = None
    is_bound: bool = False
    client: str = ""
