"""Read the section `targets`: which backends there are, how to log in to them and what their columns hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never, cast, get_args

from msgspec.structs import replace

from hoopx_broker.daemon import values
from hoopx_broker.daemon.config_aws import read_aws
from hoopx_broker.daemon.config_detect import read_detectors
from hoopx_broker.daemon.config_masks import read_masks
from hoopx_broker.daemon.pem import certificates_in
from hoopx_broker.daemon.plugins import issuer_class
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.seams.issuer import Issuer, Renews
from hoopx_broker.terms.targets import ColumnName, Target, TargetKind, TlsModeName, UpstreamTls

# A system's whole bundle of roots is a quarter of this.
MAX_CA = 1024 * 1024

_KINDS = "this version knows `postgres` and `aws`"
_LATER_KINDS = ("mysql", "mariadb", "ssh", "http", "kubernetes", "redis")


def read_targets(top: Section, shared: Mapping[str, Any]) -> dict[str, Target]:
    """The targets by their names. `shared` are the sections that their credential sources share."""
    return {name: _target(name, section, shared) for name, section in top.sections("targets", values.name)}


def _target(name: str, section: Section, shared: Mapping[str, Any]) -> Target:
    kind = section.parsed("kind", _kind)
    match kind:
        case "aws":
            target = read_aws(name, section, _common(section, kind, shared))
        case "postgres" | None:  # of no known kind: the rest is read all the same, for its problems
            target = _database(name, section, _common(section, kind, shared))
        case _:
            assert_never(kind)
    section.close()
    return target


def _database(name: str, section: Section, common: dict[str, Any]) -> Target:
    host, port = section.parsed("address", values.postgres_address) or (HOLE, HOLE)
    return Target(
        name=name,
        host=host,
        port=port,
        database=section.text("database"),
        tls=_tls(section.section_or_none("tls")),
        classify=_classes(section.section_or_none("classify")),
        masks=replace(read_masks(section), detectors=read_detectors(section)),
        idle=section.parsed_or("idle", values.idle, None),
        **common,
    )


def _common(section: Section, kind: TargetKind, shared: Mapping[str, Any]) -> dict[str, Any]:
    """What a target of any kind has: its credentials, how long they last, its labels."""
    source, ttl, credentials = _credentials(section.section("credentials"), kind, shared)
    return {
        "kind": kind,
        "source": source,
        "credentials": credentials,
        "ttl": ttl,
        "session": _session(section, source, ttl),
        "labels": _labels(section.section_or_none("labels")),
        "retention": section.parsed_or("retention", values.name, "default"),
    }


def _session(section: Section, source: str, ttl: int) -> int | None:
    """Beyond the life of one lease only where the source can renew it."""
    session = section.parsed_or("session", values.session, None)
    if session is None or session is HOLE or source is HOLE or ttl is HOLE:
        return session
    if session > ttl and not issubclass(issuer_class(source), Renews):
        section.note(
            "session",
            f"is longer than `credentials.ttl`, and `{source}` cannot renew what it gives",
            "make `credentials.ttl` as long, or the session shorter",
        )
    return session


def _kind(text: str) -> TargetKind:
    if text in _LATER_KINDS:
        raise Wrong("is a kind of target that is not available yet", _KINDS)
    if text not in get_args(TargetKind):
        raise Wrong("is not a kind of target", _KINDS)
    return cast(TargetKind, text)


def _tls(section: Section | None) -> UpstreamTls:
    if section is None:
        return UpstreamTls()
    mode = section.parsed_or("mode", _mode, UpstreamTls().mode)
    tls = UpstreamTls(mode=mode, ca=_ca(section, mode))
    section.close()
    return tls


def _mode(text: str) -> TlsModeName:
    if text not in get_args(TlsModeName):
        raise Wrong("is not a TLS mode", "write `verify-full`, `verify-ca`, `require` or `disable`")
    return cast(TlsModeName, text)


def _ca(section: Section, mode: TlsModeName) -> str | None:
    if mode in ("require", "disable"):
        if section.has("ca"):
            remedy = "write `mode: verify-full`, or take `ca` out"
            section.refuse("ca", f"is never looked at in the mode `{mode}`", remedy)
        return None
    path, _ = section.path_or_none("ca", MAX_CA, certificates_in)
    if mode == "verify-ca" and not section.has("ca"):
        # Any public authority signs for any host: without the name, only an authority of one's own proves anything.
        section.note("ca", "is missing", "`verify-ca` needs the authority's certificate; or use `verify-full`")
    return str(path) if path else None


def _credentials(section: Section, kind: TargetKind, shared: Mapping[str, Any]) -> tuple[str, int, Any]:
    """The issuer's name, the longest life of its leases, and its options as its own Struct."""
    ttl = section.parsed_or("ttl", values.ttl, 3600)
    source, issuer = section.parsed("from", _named_plugin) or (HOLE, None)
    if issuer is None:
        return HOLE, ttl, HOLE
    if kind is not HOLE and kind not in issuer.kinds:
        served = ", ".join(f"`{each}`" for each in sorted(issuer.kinds))
        section.note("from", f"`{source}` makes no logins for a target of kind `{kind}`", f"it is for {served}")
    options = section.options(issuer.Options, ("from", "ttl"), shared)
    section.close()
    return source, ttl, options


def _named_plugin(text: str) -> tuple[str, type[Issuer]]:
    return text, issuer_class(text)


def _labels(section: Section | None) -> dict[str, str]:
    return {key: value for _, key, value in section.pairs(values.name, str)} if section else {}


def _classes(section: Section | None) -> dict[ColumnName, str]:
    classes: dict[ColumnName, str] = {}
    spelled: dict[ColumnName, str] = {}
    for written, column, held in section.pairs(values.column, values.data_class) if section else ():
        if section and column is not HOLE and column in classes:
            section.note(written, f"is the same column as `{spelled[column]}`", "keep one of the two")
        classes[column], spelled[column] = held, written
    return classes
