"""The detectors: which values each built-in one finds, and those whose pattern somebody wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hoopx_broker.masking import contacts, keys, money, national_ids
from hoopx_broker.masking.expressions import Chooser, checked, over_bytes
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


def built_in_search(pattern: Pattern) -> Search:
    return Search(over_bytes(pattern.exact), pattern.check, pattern.skips)


def own_search(pattern: str) -> Search:
    """Raises `BadPattern` where it cannot be used."""
    return Search(checked(pattern))


def loose_patterns(detectors: Sequence[Detector]) -> list[str]:
    """What is looked for in whole rows, for the built-in detectors among these; each pattern once."""
    found = [each.loose for detector in detectors if not detector.pattern for each in BUILT_IN[detector.name]]
    return list(dict.fromkeys(found))


class Looks:
    """All searches of some detectors, each with the place of its detector."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        """Raises `BadPattern` where a detector's own pattern cannot be used."""
        built_in = [
            (place, pattern)
            for place, detector in enumerate(detectors)
            if not detector.pattern
            for pattern in BUILT_IN[detector.name]
        ]
        self._built_in = [(place, built_in_search(pattern)) for place, pattern in built_in]
        self._own = [(at, own_search(each.pattern)) for at, each in enumerate(detectors) if each.pattern]
        self._chooser = Chooser([pattern.loose for _, pattern in built_in])

    def worth_it(self, cell: bytes) -> Iterator[tuple[int, Search]]:
        """Those that may find something in this cell."""
        for which in self._chooser.among(cell):
            yield self._built_in[which]
        yield from self._own
