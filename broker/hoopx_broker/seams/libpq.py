"""What libpq is told of a target, by the broker and by plugins alike: all of it, so that it asks nobody else."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from hoopx_broker.terms.targets import Target

# Where systems keep their bundle of public authorities: libpq's own default is the place on its builder's machine.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def keywords(target: Target) -> dict[str, Any]:
    """Where and how to connect, without database, login and time limits.

    Whatever libpq would otherwise take from the broker's environment and home directory is given here.
    """
    verified = target.tls.mode in ("verify-ca", "verify-full")
    return {
        "host": target.host,
        "hostaddr": "",
        "port": target.port,
        "passfile": "",
        "sslmode": target.tls.mode,
        "sslrootcert": (target.tls.ca or _public_authorities()) if verified else "",
        "sslcert": "",
        "sslkey": "",
        "gssencmode": "disable",
        # A server that nobody has verified is not told the password, whatever it asks for.
        "require_auth": "password,md5,scram-sha-256,none" if verified else "!password",
        "target_session_attrs": "any",
    }


def _public_authorities() -> str:
    candidates = (ssl.get_default_verify_paths().cafile, *_BUNDLES)
    return next((each for each in candidates if each and Path(each).is_file()), "system")
