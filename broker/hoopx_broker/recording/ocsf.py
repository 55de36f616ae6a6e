"""Tell a recording as events of the Open Cybersecurity Schema Framework, version 1.8.0, for what collects such events.

The schema is https://schema.ocsf.io/1.8.0/.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from msgspec import UNSET

from hoopx_broker.recording.outcomes import Fold, Ran
from hoopx_broker.recording.replay import Moment
from hoopx_broker.terms.entries import Ended, Entry, Notice, Opened, StreamOpened
from hoopx_broker.terms.people import Principal

VERSION = "1.8.0"
_AUTHENTICATION = (3, "Identity & Access Management", 3002, "Authentication")
_AUTHORIZE = (3, "Identity & Access Management", 3003, "Authorize Session")
_DATASTORE = (6, "Application Activity", 6005, "Datastore Activity")
_LOGON, _LOGOFF = (1, "Logon"), (2, "Logoff")
_ASSIGN = (1, "Assign Privileges")
_CONNECT, _OTHER = (3, "Connect"), (99, "Other")
# By the first word of the server's tag, or of the statement where it gave none.
_ACTIVITIES = {
    "SELECT": (4, "Query"), "TABLE": (4, "Query"), "VALUES": (4, "Query"), "WITH": (4, "Query"), "FETCH": (1, "Read"),
    "SHOW": (1, "Read"), "UPDATE": (2, "Update"), "MERGE": (2, "Update"), "INSERT": (6, "Create"), "COPY": (5, "Write"),
    "DELETE": (7, "Delete"), "TRUNCATE": (7, "Delete"),
}  # fmt: skip
# By what policy was asked about, the gravest first in the order of a statement's effects.
_EFFECTS = {
    "delete": (7, "Delete"), "truncate": (7, "Delete"), "insert": (6, "Create"), "update": (2, "Update"),
    "copy": (5, "Write"),
}  # fmt: skip
_INFORMATIONAL, _LOW, _MEDIUM = (1, "Informational"), (2, "Low"), (3, "Medium")
_SUCCESS, _FAILURE, _UNKNOWN = (1, "Success"), (2, "Failure"), (0, "Unknown")
_RULINGS = {  # action and disposition of the profile `security_control`
    "allow": {"action_id": 1, "action": "Allowed", "disposition_id": 1, "disposition": "Allowed"},
    "deny": {"action_id": 2, "action": "Denied", "disposition_id": 2, "disposition": "Blocked"},
    "ask": {"action_id": 99, "action": "Held", "disposition_id": 14, "disposition": "Delayed"},
}
_USER_NAME = 4  # of observables
_KINDS = {"human": (1, "User"), "job": (4, "Service"), "agent": (4, "Service")}


def ocsf(told: Iterable[Moment]) -> Iterator[str]:
    """One event a line, pure ASCII: the session's begin and end, connections, statements, what was seen raw.

    Rows, notices and votes have no class of their own; requests and rules are named by the statements they decided.
    """
    teller, fold = _Teller(), Fold()
    for seconds, entry in told:
        for ran in fold.take(seconds, entry):
            yield _line(teller.statement(ran))
        for event in teller.events(fold.opened_at + seconds, entry):
            yield _line(event)
    for ran in fold.rest():
        yield _line(teller.statement(ran))


class _Teller:
    """Knows who the session is of, as soon as it has been opened."""

    def __init__(self) -> None:
        self._opened: Opened | None = None
        self._count = 0

    def events(self, at: float, entry: Entry) -> Iterator[dict[str, Any]]:
        match entry:
            case Opened():
                self._opened = entry
                event = self._authentication(at, _LOGON, "session opened")
                yield event | self._ruled("allow", entry.rules) | {"message": entry.reason or "session opened"}
            case StreamOpened():
                yield self._event(_DATASTORE, _CONNECT, at, _INFORMATIONAL, _SUCCESS) | self._place() | {
                    "message": f"connection {entry.stream}", "unmapped": self._unmapped(stream=entry.stream),
                }  # fmt: skip
            case Notice(unmask=unmask) if unmask is not None and not unmask.ended:
                told = {"privileges": [f"reveal:{each}" for each in unmask.classes], **self._who()}
                yield self._event(_AUTHORIZE, _ASSIGN, at, _MEDIUM, _SUCCESS) | told | {
                    "message": f"classes are shown raw by request {unmask.request}",
                    "unmapped": self._unmapped(request=unmask.request, approved_by=list(unmask.approved_by)),
                }  # fmt: skip
            case Ended():
                yield self._authentication(at, _LOGOFF, entry.reason or "session ended")
            case _:
                pass

    def statement(self, ran: Ran) -> dict[str, Any]:
        is_denied, failed = ran.ruling == "deny", bool(ran.code)
        severity = _MEDIUM if is_denied else _LOW if failed else _INFORMATIONAL
        status = _FAILURE if is_denied or failed else _SUCCESS if ran.ended_at else _UNKNOWN
        event = self._event(_DATASTORE, _activity(ran), ran.at, severity, status) | self._place()
        query = {"query_string": ran.text if ran.has_text else f"(the text of #{ran.statement})"}
        event["query_info"] = query | {"uid": f"{ran.stream}#{ran.n}"}
        if ran.tables:
            event["table"] = {"name": ran.tables[0], "uid": ran.tables[0]}
        if ran.parameters:
            event["query_info"]["data"] = {"parameters": list(ran.parameters)}
        if ran.ended_at:
            milliseconds = _ms(ran.ended_at) - _ms(ran.at)
            event |= {"start_time": _ms(ran.at), "end_time": _ms(ran.ended_at), "duration": max(milliseconds, 0)}
        if ran.code or ran.reason:
            event |= {"status_code": ran.code or "denied", "status_detail": ran.error or ran.reason}
        event["unmapped"] = self._unmapped(
            stream=ran.stream, rows=ran.rows, affected=ran.affected, tag=ran.tag, masked=list(ran.masked),
            effects=list(ran.effects), tables=list(ran.tables), request=ran.request, prepared=ran.statement,
            reason=ran.reason,
        )  # fmt: skip
        return event | self._ruled(ran.ruling, ran.rules)

    def _authentication(self, at: float, activity: tuple[int, str], message: str) -> dict[str, Any]:
        event = self._event(_AUTHENTICATION, activity, at, _INFORMATIONAL, _SUCCESS) | self._who() | self._place()
        del event["actor"], event["database"], event["type_id"], event["type"]
        return event | {"service": {"name": "hoopx"}, "is_remote": True, "message": message,
                        "unmapped": self._unmapped(ticket=self._known(lambda opened: opened.ticket))}  # fmt: skip

    def _event(
        self, kind: tuple[int, str, int, str], activity: tuple[int, str], at: float, severity: tuple[int, str],
        status: tuple[int, str],
    ) -> dict[str, Any]:  # fmt: skip
        category, category_name, uid, name = kind
        self._count += 1
        return {
            "category_uid": category, "category_name": category_name, "class_uid": uid, "class_name": name,
            "activity_id": activity[0], "activity_name": activity[1],
            "type_uid": 100 * uid + activity[0], "type_name": f"{name}: {activity[1]}",
            "time": _ms(at), "severity_id": severity[0], "severity": severity[1],
            "status_id": status[0], "status": status[1],
            "metadata": self._metadata(), "observables": self._observables(),
        }  # fmt: skip

    def _metadata(self) -> dict[str, Any]:
        session = self._known(lambda opened: opened.session)
        version = self._known(lambda opened: opened.broker).removeprefix("hoopx ")
        product = {"name": "hoopx", "vendor_name": "hoopx", "version": version}
        return {
            "version": VERSION, "product": _said(product), "profiles": ["security_control"], "log_name": "sessions",
            "sequence": self._count, "uid": f"{session}:{self._count}", "correlation_uid": session,
        }  # fmt: skip

    def _observables(self) -> list[dict[str, Any]]:
        if self._opened is None:
            return []
        who = self._opened.principal
        named = ("actor.user.name", who.user), ("unmapped.on_behalf_of", who.on_behalf_of)
        return [
            {"name": name, "type_id": _USER_NAME, "type": "User Name", "value": value} for name, value in named if value
        ]

    def _who(self) -> dict[str, Any]:
        opened = self._opened
        if opened is None:
            return {"user": {"name": "unknown"}}
        session = {
            "uid": opened.session, "issuer": opened.principal.issuer, "created_time": _ms(opened.opened_at),
            "expiration_time": _ms(opened.expires_at), "credential_uid": opened.lease,
        }  # fmt: skip
        return {"user": _user(opened.principal), "session": _said(session), "src_endpoint": _endpoint(opened.peer)}

    def _place(self) -> dict[str, Any]:
        opened = self._opened
        name = self._known(lambda opened: opened.database or opened.target) or "unknown"
        is_sql = opened is not None and bool(opened.database)
        who = self._who()
        actor = {key: who[key] for key in ("user", "session") if key in who}
        return {
            "actor": actor, "type_id": 1, "type": "Database",
            "database": {"name": name, "type_id": 1 if is_sql else 99, "type": "Relational" if is_sql else "Other"},
            "src_endpoint": _endpoint(self._known(lambda opened: opened.peer)),
            "dst_endpoint": _said({"name": self._known(lambda opened: opened.target) or "unknown",
                                   "svc_name": self._known(lambda opened: opened.kind)}),
        }  # fmt: skip

    def _ruled(self, ruling: str, rules: tuple[str, ...]) -> dict[str, Any]:
        version = self._known(lambda opened: opened.policy)
        policies = [_said({"name": rule, "version": version, "is_applied": True}) for rule in rules]
        told: dict[str, Any] = dict(_RULINGS.get(ruling, {}))
        if policies:
            told["authorizations"] = [{"decision": ruling, "policy": policy} for policy in policies]
            told["policy"] = policies[0]
        return told

    def _unmapped(self, **more: Any) -> dict[str, Any]:
        """What the schema has no place for; above all the human that an agent acts for."""
        opened = self._opened
        told: dict[str, Any] = {name: value for name, value in more.items() if value not in ("", 0, None, [])}
        if opened is not None and opened.principal.on_behalf_of:
            told["on_behalf_of"] = opened.principal.on_behalf_of
            if opened.principal.their_groups is not UNSET:
                told["their_groups"] = list(opened.principal.their_groups)
        return told

    def _known(self, of: Any) -> str:
        return str(of(self._opened)) if self._opened is not None else ""


def _activity(ran: Ran) -> tuple[int, str]:
    told = next((_EFFECTS[effect] for effect in ran.effects if effect in _EFFECTS), None)
    if told is not None:
        return told
    words = (ran.tag or ran.text).split(None, 1)
    word = words[0].upper() if words else ""
    return _ACTIVITIES.get(word, _OTHER)


def _user(who: Principal) -> dict[str, Any]:
    type_id, type_name = _KINDS.get(who.kind, (0, "Unknown"))
    groups = [{"name": each} for each in who.groups]
    told = {"name": who.user, "uid": who.subject, "domain": who.issuer, "type_id": type_id, "type": type_name}
    return _said(told | ({"groups": groups} if groups else {}))


def _endpoint(peer: str) -> dict[str, Any]:
    host, _, port = peer.rpartition(":")
    try:
        return {"ip": str(ip_address(host.strip("[]"))), "port": int(port)}
    except ValueError:
        return {"name": peer or "unknown"}


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value != ""}


def _ms(seconds: float) -> int:
    """Milliseconds since the Unix epoch."""
    return int(seconds * 1000)


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=True)
