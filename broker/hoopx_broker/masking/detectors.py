"""The detectors: which values each built-in one finds, and those whose pattern somebody wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hoopx_broker.masking import contacts, keys, money, national_ids
from hoopx_broker.masking.expressions import checked, over_bytes
from hoopx_broker.masking.patterns import Pattern, Search
from hoopx_broker.terms.masks import Detector

# The name of each is that of the class of data that it finds.
BUILT_IN: Mapping[str, tuple[Pattern, ...]] = {
    "private-key": keys.PRIVATE_KEYS,
    "jwt": keys.JWTS,
    "cloud-key": keys.CLOUD_KEYS,
    "token": keys.TOKENS,
    "email": contacts.EMAILS,
    "iban": money.IBANS,
    "card": money.CARDS,
    "national-id": national_ids.PATTERNS,
    "phone": contacts.PHONES,
    "ip": contacts.ADDRESSES,
}

# Those that look for runs of digits.
NUMERIC = frozenset({"national-id", "iban", "card"})


def searches_of(detector: Detector) -> tuple[Search, ...]:
    """Raises `BadPattern` where the detector's own pattern cannot be used."""
    if detector.pattern:
        return (Search(checked(detector.pattern)),)
    return tuple(Search(over_bytes(each.exact), each.check, each.skips) for each in BUILT_IN[detector.name])


def loose_patterns(detectors: Sequence[Detector]) -> list[str]:
    """What is looked for in whole rows, for the built-in detectors among these; each pattern once."""
    found = [each.loose for detector in detectors if not detector.pattern for each in BUILT_IN[detector.name]]
    return list(dict.fromkeys(found))
