"""What a recording tells of its session's lease: made, renewed, and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime

from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.terms.entries import LeaseNote, Notice
from hoopx_broker.terms.leases import Lease


def issued(lease: Lease) -> Notice:
    return _notice(f"the credential lasts until {moment(lease.expires_at)}", _note("issued", lease))


def handed_out(lease: Lease, keys: str) -> Notice:
    """`keys` is the id of the keys, which is no secret."""
    note = LeaseNote("handed-out", lease.id, lease.source, keys, lease.expires_at, lease.handle)
    return _notice(f"keys `{keys}` were handed out, until {moment(lease.expires_at)}", note)


def renewed(lease: Lease) -> Notice:
    return _notice(f"the credential lasts until {moment(lease.expires_at)} now", _note("renewed", lease))


def not_renewed(lease: Lease, why: str) -> Notice:
    told = f"the credential was not renewed, and ends at {moment(lease.expires_at)}: {why}"
    return _notice(told, _note("not-renewed", lease, why=why))


def concluded(lease: Lease, conclusion: Conclusion) -> Notice:
    if conclusion.is_revoked:
        seen = ", and the target was seen to refuse its login" if conclusion.is_probed else ""
        return _notice(f"the credential is revoked{seen}", _note("revoked", lease, probed=conclusion.is_probed))
    if conclusion.fades_at is not None:
        told = f"the credential cannot be called back, and ends by itself at {moment(conclusion.fades_at)}"
        return _notice(told, _note("fades", lease, expires_at=conclusion.fades_at))
    why = conclusion.why or "its source may still be at work on it"
    return _notice(f"the credential could not be revoked yet: {why}", _note("queued", lease, why=why))


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _note(event: str, lease: Lease, *, expires_at: float = 0, probed: bool = False, why: str = "") -> LeaseNote:
    ends = expires_at or lease.expires_at
    return LeaseNote(event, lease.id, lease.source, lease.user, ends, lease.handle, probed, why)


def _notice(message: str, note: LeaseNote) -> Notice:
    return Notice("", "NOTICE", "00000", message, lease=note)
