"""Read `recordings` and `evidence`: where recordings go, how safely they are written, and how long they stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from hoopx_broker.daemon import values
from hoopx_broker.daemon.pem import certificates_in
from hoopx_broker.daemon.plugins import store_class
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.locks import check_recipient
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import EvidenceConfig, StorePlace, WitnessConfig
from hoopx_broker.tlog.cosignatures import parse_witness

DEFAULT_PLACE = "file:recordings"
DEFAULT_SPOOL = "spool"
DEFAULT_SPOOL_LIMIT = 20 << 30

MAX_CA = 1024 * 1024

_AGE = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_SIZE = re.compile(r"([1-9][0-9]{0,9}) ?([KMGT]iB)")
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
# Less than one large answer could never be written.
_MIN_SPOOL = 1 << 30


def read_evidence(top: Section, home: Path, shared: Mapping[str, Any]) -> tuple[Path, EvidenceConfig]:
    """The directory in which recordings are written, and everything else about them.

    `shared` are sections of the whole file that stand in for what the store does not say itself.
    """
    place = top.unfollowed_or("recordings", lambda text: _place(text, home), DEFAULT_PLACE)
    store, directory = (place, home / DEFAULT_SPOOL) if isinstance(place, StorePlace) else (None, place)
    section = top.section_or_none("evidence")
    if section is None:
        return directory, EvidenceConfig(store=store, options=_no_options(top, store, shared))
    spool = section.unfollowed_or("spool", lambda text: home / text, DEFAULT_SPOOL)
    config = EvidenceConfig(
        durability=section.parsed_or("durability", _durability, "process"),
        encrypt_to=section.texts_or("encrypt_to", (), _age_recipient),
        key=_key(section),
        retention=_retention(section.section_or_none("retention")),
        store=store,
        spool_limit=section.parsed_or("spool_limit", _spool_limit, DEFAULT_SPOOL_LIMIT),
        options=_options(section, store, shared),
        witnesses=_witnesses(section),
    )
    section.close()
    return (spool if store else directory), config


def check_retention(top: Section, classes: dict[str, int], named: dict[str, str]) -> None:
    """A target whose class nobody has described is a slip: it would be kept for good, and nobody would know why."""
    for target, name in named.items():
        if HOLE not in (target, name) and name not in ("default", *classes):
            known = ", ".join(f"`{each}`" for each in sorted({"default", *classes}))
            top.note("targets", f"has `{target}` with the retention `{name}`, which is no class", f"known are {known}")


def _place(text: str, home: Path) -> Path | StorePlace:
    scheme, _, rest = text.partition(":")
    if scheme == "file":
        if not rest or "\0" in rest:
            raise Wrong("is not a place for recordings", "write `file:DIRECTORY`, for example `file:recordings`")
        if (home / rest).exists() and not (home / rest).is_dir():
            raise Wrong("is not a directory", "name a directory, for example `file:recordings`")
        return home / rest
    if not rest:
        raise Wrong("is not a place for recordings", "write `file:DIRECTORY` or `s3://BUCKET/PREFIX`")
    try:
        store_class(scheme).check_place(rest)
    except ValueError as error:
        raise Wrong("is not a place for recordings", str(error)) from None
    return StorePlace(scheme, rest)


def _options(section: Section, store: StorePlace | None, shared: Mapping[str, Any]) -> Any:
    if store is None:
        if section.has("store"):
            section.refuse("store", "is for an object store", "say where it is: `recordings: s3://BUCKET/PREFIX`")
        return None
    own = section.section_or_none("store")
    if own is None:
        return _no_options(section, store, shared)
    options = own.options(_shape(store), (), shared)
    own.close()
    return options


def _no_options(section: Section, store: StorePlace | None, shared: Mapping[str, Any]) -> Any:
    """Everything as the store has it by itself."""
    if store is None:
        return None
    shape = _shape(store)
    names = {field.name for field in msgspec.structs.fields(shape)}
    try:
        return shape(**{name: section for name, section in shared.items() if name in names})
    except (TypeError, ValueError) as error:
        why = f": it {error}" if type(error) is ValueError else ""
        section.note("evidence", f"says nothing of the `store`{why}", "docs/stores.md tells what it needs")
        return HOLE


def _shape(store: StorePlace) -> type[Any]:
    return store_class(store.scheme).Options


def _durability(text: str) -> Literal["process", "disk"]:
    if text == "process":
        return "process"
    if text == "disk":
        return "disk"
    raise Wrong("is no level of durability", "write `process` (survives kill -9) or `disk` (survives a power cut)")


def _age_recipient(text: str) -> str:
    if not _AGE.fullmatch(text):
        raise Wrong("is not an age recipient", "write what `age-keygen -y KEYFILE` prints: `age1` and 58 characters")
    try:
        check_recipient(text)
    except BadInput as error:  # a slip in a character, or the package that encrypts is not installed
        raise Wrong(f"cannot be encrypted to: {error.message}", error.hint) from None
    return text


def _key(section: Section) -> Secret | None:
    key = section.secret_or_none("key")
    if key is None or key is HOLE:
        return key
    try:
        EvidenceKey.parse(key, "evidence.key")
    except BadInput:
        section.note("key", "is not an evidence key", "give the one line of the file `keys/evidence.key`")
        return cast(Secret, HOLE)
    return key


def _witnesses(section: Section) -> tuple[WitnessConfig, ...]:
    items = section.items("witnesses") if section.asks("witnesses") else []
    found = tuple(_witness(item) for item in items)
    for item, witness in zip(items, found, strict=True):
        if witness.key is not HOLE and [each.key for each in found].count(witness.key) > 1:
            item.note("key", "is that of another witness too", "each witness counts once: take one of them out")
    return found


def _witness(item: Section) -> WitnessConfig:
    key, url = item.parsed("key", _witness_key), item.parsed("url", values.witness_url)
    ca, _ = item.path_or_none("ca", MAX_CA, certificates_in)
    item.close()
    return WitnessConfig(key, url, ca)


def _witness_key(text: str) -> str:
    try:
        return str(parse_witness(text))
    except BadInput as error:
        raise Wrong(f"is not the key of a witness: {error.message}", error.hint) from None


def _retention(section: Section | None) -> dict[str, int]:
    return {name: seconds for _, name, seconds in section.pairs(values.name, values.duration)} if section else {}


def _spool_limit(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise Wrong("is not a size", "write for example `20GiB`")
    size = int(found[1]) * _UNITS[found[2]]
    if size < _MIN_SPOOL:
        raise Wrong("is too little", "the spool holds what the store does not have yet: at least `1GiB`")
    return size
