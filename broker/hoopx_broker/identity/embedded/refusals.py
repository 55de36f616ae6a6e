"""The one error of the issuer's endpoints, in the words of OAuth."""

from __future__ import annotations


class OAuthError(Exception):
    """`code` is one of RFC 6749 section 5.2, RFC 8628 section 3.5 or RFC 7009; `description` is for people."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status
