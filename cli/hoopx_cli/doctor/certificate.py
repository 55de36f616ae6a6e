"""The broker's certificate: who believes it, how long it holds, and for which names."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from hoopx_broker.terms.errors import ExitCode
from hoopx_cli.doctor.findings import Checked, broken, fine, odd
from hoopx_cli.output import moment
from hoopx_cli.settings import Settings
from hoopx_cli.trust import fingerprint_of

NEAR_END = 14 * 86_400  # seconds; time enough for people to get another
# Codes of OpenSSL (x509_vfy.h): the chain holds, and something else about the certificate does not.
_NOT_YET, _EXPIRED = 9, 10
_NAMES = (62, 64)


def judged(shown: bytes, settings: Settings, now: float) -> Checked:
    """Of a certificate that a handshake has trusted."""
    facts = _facts(shown)
    ends = facts["expires_at"]
    found = f"{facts['fingerprint']}, trusted {_by(settings)}, until {moment(ends)}"
    if ends - now < NEAR_END:
        mend = "whoever runs the broker renews it; who trusts its fingerprint needs the new one then"
        return odd("certificate", f"{found}: it ends soon", mend, **facts)
    return fine("certificate", found, **facts)


def refused(shown: bytes, host: str, error: ssl.SSLCertVerificationError) -> Checked:
    """Of one that was not trusted."""
    facts = _facts(shown)
    print_, code = facts["fingerprint"], ExitCode.UNREACHABLE
    if error.verify_code in (_EXPIRED, _NOT_YET):
        when = "ended" if error.verify_code == _EXPIRED else "does not hold before"
        at = moment(facts["expires_at"] if error.verify_code == _EXPIRED else facts["begins_at"])
        mend = "if this machine's clock is right, whoever runs the broker renews it"
        return broken("certificate", f"{print_} {when} {at}", mend, code, **facts)
    if error.verify_code in _NAMES:
        names = ", ".join(facts["names"]) or "no name at all"
        mend = "name the broker by one of these in --broker or HOOPX_BROKER, or trust its fingerprint by HOOPX_CA"
        return broken("certificate", f"{print_} is not for `{host}`: it is for {names}", mend, code, **facts)
    mend = (
        "compare the fingerprint with what `hoopx broker run` prints where the broker runs. Only if it is the same: "
        f"HOOPX_CA={print_}, or log in with --ca {print_}"
    )
    return broken("certificate", f"{print_} is not trusted: {error.verify_message.lower()}", mend, code, **facts)


def _by(settings: Settings) -> str:
    if settings.ca is None:
        return "by this system's authorities"
    return "by its fingerprint" if settings.ca.lower().startswith("sha256:") else f"by {settings.ca}"


def _facts(shown: bytes) -> dict[str, Any]:
    """`names` are what it is for; an unreadable certificate has a fingerprint only."""
    try:
        read = x509.load_der_x509_certificate(shown)
        names = _names(read)
        begins, ends = read.not_valid_before_utc, read.not_valid_after_utc
    except ValueError:
        names, begins, ends = [], datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(0, UTC)
    return {
        "fingerprint": fingerprint_of(shown),
        "begins_at": begins.timestamp(),
        "expires_at": ends.timestamp(),
        "names": names,
    }


def _names(read: x509.Certificate) -> list[str]:
    try:
        found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(each.value) for each in found if isinstance(each, x509.DNSName | x509.IPAddress)]
