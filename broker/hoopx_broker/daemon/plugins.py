"""Find plugins by the names under which their packages announce them."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, cast

from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.seams.issuer import Issuer
from hoopx_broker.seams.notifier import Notifier
from hoopx_broker.seams.references import SecretReader
from hoopx_broker.seams.store import EvidenceStore

ISSUERS = "hoopx.issuers"
NOTIFIERS = "hoopx.notifiers"
SECTIONS = "hoopx.sections"
REFERENCES = "hoopx.references"
STORES = "hoopx.stores"


def issuer_class(name: str) -> type[Issuer]:
    """The issuer that `credentials.from` names. Raises `Wrong` where there is none, or it cannot be loaded."""
    return cast(type[Issuer], _named(ISSUERS, name, "credential plugin"))


def notifier_class(kind: str) -> type[Notifier]:
    """The notifier of this `kind`. Raises as `issuer_class` does."""
    return cast(type[Notifier], _named(NOTIFIERS, kind, "notifier"))


def store_class(scheme: str) -> type[EvidenceStore]:
    """The store of evidence whose places begin with `scheme:`. Raises as `issuer_class` does."""
    return cast(type[EvidenceStore], _named(STORES, scheme, "store of recordings"))


def section_names() -> list[str]:
    """The sections at the top of the file that plugins share."""
    return sorted(_announced(SECTIONS).names)


def section_shape(name: str) -> type[Any]:
    """The Struct of such a section's keys."""
    return cast(type[Any], _loaded(_announced(SECTIONS)[name]))


def secret_reader(scheme: str) -> type[SecretReader] | None:
    """Who follows references `scheme:…`; None where nobody does, so that such a text stands for itself."""
    announced = _announced(REFERENCES)
    return cast(type[SecretReader], _loaded(announced[scheme])) if scheme in announced.names else None


def _named(group: str, name: str, what: str) -> Any:
    announced = _announced(group)
    if name not in announced.names:
        known = sorted(announced.names)
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean `{near[0]}`?" if near else f"installed are {', '.join(f'`{each}`' for each in known)}"
        raise Wrong(f"names no installed {what}", remedy)
    return _loaded(announced[name])


@cache
def _announced(group: str) -> EntryPoints:
    """Looking through all installed packages takes milliseconds, and they do not change while the broker runs."""
    return entry_points(group=group)


def _loaded(announced: EntryPoint) -> Any:
    try:
        return announced.load()
    except ImportError as error:
        raise Wrong(f"names a plugin that cannot be loaded ({error})", "install what it needs") from None
