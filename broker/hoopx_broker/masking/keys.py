"""Secrets of machines: tokens, keys of clouds and services, private keys, and passwords behind their names."""

from __future__ import annotations

from hoopx_broker.masking.checksums import Span
from hoopx_broker.masking.patterns import Pattern

# A header, and what follows it: three parts where it is signed, five where it is encrypted.
JWTS = (
    Pattern(
        r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*\.[A-Za-z0-9_\-]*(?:\.[A-Za-z0-9_\-]*){0,2}",
        r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*\.",
    ),
)

# Each begins as its service says it does, so that it can be found.
_MARKED = (
    r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}",  # AWS
    r"AIza[A-Za-z0-9_\-]{35}",  # Google
    r"ya29\.[A-Za-z0-9_\-]{20,}",
    r"GOCSPX-[A-Za-z0-9_\-]{28}",
    r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9\-]{10,}",  # Slack
    r"xapp-[A-Za-z0-9\-]{10,}",
    r"gh[pousr]_[A-Za-z0-9]{36,}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_\-]{20,}",  # GitLab
    r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"whsec_[A-Za-z0-9+/=]{24,}",
    r"SG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}",  # SendGrid
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-AgE[A-Za-z0-9_\-]{50,}",
    r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"sk-[A-Za-z0-9_\-]{20,}",  # OpenAI and Anthropic
    r"dop_v1_[a-f0-9]{64}",  # DigitalOcean
    r"hv[sbr]\.[A-Za-z0-9_\-]{24,}",  # HashiCorp Vault
    r"age-secret-key-1[a-z0-9]{58}|AGE-SECRET-KEY-1[A-Z0-9]{58}",
)
# The beginnings are enough for whole rows: to count so many characters from every place would cost far too much.
_BEGINNINGS = (
    r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{4}|AIza|ya29\.|GOCSPX-|xox[a-z][.\-]|xapp-|gh[pousr]_|github_pat_|glpat-|"
    r"[srp]k_(?:live|test)_|whsec_|SG\.[A-Za-z0-9_\-]{8}|npm_[A-Za-z0-9]{8}|pypi-AgE|hf_[A-Za-z0-9]{8}|"
    r"sk-[A-Za-z0-9_\-]{8}|dop_v1_|hv[sbr]\.[A-Za-z0-9_\-]{8}|age-secret-key-1|AGE-SECRET-KEY-1"
)
# Azure's keys of accounts have no mark of their own: 64 bytes in base64.
_AZURE = r"(?:^|[^A-Za-z0-9+/])([A-Za-z0-9+/]{86}==)"

CLOUD_KEYS = (Pattern("|".join(_MARKED), _BEGINNINGS), Pattern(_AZURE, r"[A-Za-z0-9+/]{4}=="))

_BEGIN = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
_END = r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
# One whose end is missing goes on to the end of the cell; of one whose beginning is missing the lines are found.
PRIVATE_KEYS = (
    Pattern(rf"(?s){_BEGIN}(?:.*?{_END}|.*)", "PRIVATE KEY"),
    Pattern(rf"[A-Za-z0-9+/=\s\\]*{_END}", "PRIVATE KEY"),
    Pattern(r"(?s)PuTTY-User-Key-File-[0-9].*", "PuTTY-User-Key-File-"),
)

_WORDS = (
    r"(?:password|passwd|passphrase|pwd|secret|api[_ \-]?key|access[_ \-]?key|account[_ \-]?key|token|credential)s?"
)
_IS = r"""["'\\]{0,4}\s{0,4}(?:[:=]=?>?|>)"""
_VALUE = r"[A-Za-z0-9+/_.~!@#$%^&*\-]"

_NAMED = rf"""(?i){_WORDS}["'\\]{{0,4}}\s*[:=>]"""

# A key of JSON below which a text is a secret, whatever it looks like.
SECRET_KEY = rf"(?i){_WORDS}$"


def _unlike_a_word(cell: bytes, start: int, end: int) -> Span | None:
    """With a digit, or with small and capital letters as no word has them: `token: required` is prose."""
    value = cell[start:end]
    letters = value.decode("latin-1")
    mixed = letters != letters.lower() and letters[1:] not in (letters[1:].lower(), letters[1:].upper())
    return (start, end) if mixed or any(48 <= byte <= 57 for byte in value) else None


TOKENS = (
    Pattern(rf"""(?i){_WORDS}{_IS}\s{{0,4}}["'\\]{{0,4}}({_VALUE}{{8,}}={{0,2}})""", _NAMED, _unlike_a_word),
    Pattern(
        r"(?i)(?:bearer|basic)\s+([A-Za-z0-9._~+/\-]{16,}={0,2})", r"(?i)(?:bearer|basic)\s+[A-Za-z0-9._~+/\-]{16}"
    ),
    Pattern(r"://[^/\s@:\"]*:([^/\s@\"]+)@", r"://[^/\s@:\"]*:[^/\s@\"]"),
)
