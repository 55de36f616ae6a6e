"""Where evidence is kept, and by which name it is signed, as the configuration has it."""

from __future__ import annotations

from urllib.parse import urlsplit

from hoopx_broker.daemon.plugins import store_class
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.seams.store import EvidenceStore
from hoopx_broker.terms.settings import BrokerConfig


def store_of(settings: BrokerConfig) -> EvidenceStore:
    """Where evidence is kept."""
    place = settings.evidence.store
    if place is None:
        return LocalStore(settings.recordings)
    made: EvidenceStore = store_class(place.scheme)(place.place, settings.evidence.options)  # type: ignore[call-arg]
    return made


def host_of(public_url: str) -> str:
    """By which the evidence key and a new log are called."""
    return urlsplit(public_url).hostname or "hoopx"
