"""`hoopx sessions ls/show/replay/verify/export/kill`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from msgspec.structs import asdict

from hoopx_broker.api.messages import RecordingView, SessionView, Unmasked
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.people import spoken
from hoopx_cli import exports, names
from hoopx_cli.commands import BrokerCommand, group
from hoopx_cli.durations import seconds_of
from hoopx_cli.exports import ExportForm
from hoopx_cli.kit import Kit, kit_of
from hoopx_cli.output import Form, moment

if TYPE_CHECKING:  # what proves is loaded by the command that proves
    from hoopx_broker.recording.bundle import Logged
    from hoopx_broker.recording.locks import AgeIdentity

app = group("Example: hoopx sessions ls")
sessions = group("Example: hoopx sessions ls --target prod-db\n\nSessions and their recordings.")
app.add_typer(sessions, name="sessions")

SessionId = Annotated[str, typer.Argument(metavar="ID", help="A session's id, as `hoopx sessions ls` lists it.")]
IdOrFile = Annotated[str, typer.Argument(metavar="ID|FILE", help="A session's id, or an exported recording.")]


IdentityFile = Annotated[
    str, typer.Option("--identity", metavar="FILE", help="An age identity file, for a recording that is encrypted.")
]


@sessions.command(cls=BrokerCommand)
def ls(
    context: typer.Context,
    user: Annotated[str, typer.Option(metavar="USER", help="Only this user's, and those of their agents.")] = "",
    target: Annotated[str, typer.Option(metavar="TARGET", help="Only those with this target.")] = "",
    state: Annotated[str, typer.Option(metavar="STATE", help="Only those that are open, ended or unfinished.")] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 50,
) -> None:
    """Example: hoopx sessions ls --target prod-db --state open

    List sessions that you may see, the newest first.
    """
    kit = kit_of(context)
    found = kit.api.sessions(user, target, state, limit)
    names.keep(kit.settings.home, "sessions", (one.id for one in found))
    if kit.out.form is Form.JSON:
        kit.out.json(found)
        return
    if not found:
        kit.out.say("no sessions to show")
        return
    heads = ("session", "user", "target", "state", "opened", "statements", "denied", "reason")
    kit.out.table(heads, map(_row, found), spare=("statements", "denied"))


@sessions.command(cls=BrokerCommand)
def show(context: typer.Context, id_: SessionId) -> None:
    """Example: hoopx sessions show s_4k2m8q0xyz4k2m8q

    Show one session: who, where, why, how long, and how it ended.
    """
    kit = kit_of(context)
    found = kit.api.session(id_)
    if kit.out.form is Form.JSON:
        kit.out.json(found)
        return
    kit.out.fields(
        [
            ("session", found.id),
            ("user", spoken(found.user, found.on_behalf_of)),
            ("target", found.target),
            ("state", found.state),
            ("opened", moment(found.opened_at)),
            ("ended", moment(found.ended_at)),
            ("end", found.end),
            ("reason", found.reason),
            ("ticket", found.ticket),
            ("statements", str(found.statements)),
            ("denied", str(found.denied)),
            ("unmasked", "\n".join(map(_seen_raw, found.unmasked))),
            ("recording", _whereabouts(found.recording)),
        ]
    )


@sessions.command(cls=BrokerCommand)
def replay(
    context: typer.Context,
    recording: IdOrFile,
    speed: Annotated[
        float, typer.Option(metavar="FACTOR", min=0, help="1 is as it happened, 2 twice as fast, 0 all at once.")
    ] = 1,
    idle: Annotated[str, typer.Option(metavar="DURATION", help="No pause is longer than this.")] = "2s",
    at: Annotated[str, typer.Option("--at", metavar="DURATION", help="Begin so long after the opening: 1m30s.")] = "",
    statement: Annotated[
        str, typer.Option(metavar="N", help="Begin with the statement that is shown with this number: 17, t_1#17.")
    ] = "",
    identity: IdentityFile = "",
) -> None:
    """Example: hoopx sessions replay s_4k2m8q0xyz4k2m8q --speed 4

    Show what happened in a session, as the client saw it. On a terminal keys pause it, step, seek and change its
    speed. With --speed 0, into a pipe or file everything comes at once; with `-o json` as one JSON object an entry.
    """
    kit = kit_of(context)
    # Reading recordings takes cryptography.
    from hoopx_broker.recording.bundle import read_part
    from hoopx_cli.replay_screen import Wanted, replay_file

    if at and statement:
        raise BadInput("--at and --statement both say where to begin", "give one of them")
    begin = float(seconds_of(at, "--at")) if at else None
    wanted = Wanted(begin, statement, speed, seconds_of(idle, "--idle"), age_identity(identity))
    with _opened(kit, recording) as file:
        read_part(file)
        replay_file(kit, file, wanted)


@sessions.command(cls=BrokerCommand)
def verify(
    context: typer.Context,
    recording: IdOrFile,
    key: Annotated[
        str, typer.Option(metavar="KEY", help="The broker's public evidence key (`hoopx broker keys`).")
    ] = "",
    witness: Annotated[
        list[str] | None, typer.Option(metavar="VKEY", help="A witness that must have cosigned; may be repeated.")
    ] = None,
) -> None:
    """Example: hoopx sessions verify s_4k2m8q0xyz4k2m8q.hoopx --key 'hoopx.example+1a2b3c4d+AQ…'

    Prove that a recording is whole and unchanged, and that it is in the broker's log if it was exported with that
    proof. A file and a key need no broker; without --key the broker is asked for its key, which proves nothing about
    the broker itself.
    """
    kit = kit_of(context)
    from hoopx_broker.recording.bundle import verify_file
    from hoopx_broker.recording.failures import BrokenEvidence
    from hoopx_broker.tlog.cosignatures import parse_witness

    witnesses = tuple(map(parse_witness, witness or ()))
    public = key or _key_of_broker(kit)
    with _opened(kit, recording) as file:
        verified = verify_file(file, public, witnesses)
    proof, logged = verified.recording, verified.logged
    if not _is_path(recording) and proof.session != recording:
        # Whole and sealed, but of another session: files were exchanged where the broker keeps them.
        raise BrokenEvidence(1, f"it is the recording of `{proof.session}`, not of `{recording}`")
    if kit.out.form is Form.JSON:
        kit.out.json(asdict(proof) | {"log": _told(logged)})
        return
    state = "whole and unchanged, but the broker crashed: sealed later" if proof.unfinished else "whole and unchanged"
    kit.out.fields(
        [
            ("recording", state),
            ("session", proof.session),
            ("user", spoken(proof.user, proof.on_behalf_of)),
            ("target", proof.target),
            ("entries", str(proof.entries)),
            ("bytes", str(proof.bytes)),
            ("root", proof.root),
            ("key", proof.key),
            *_in_log(logged),
        ]
    )


@sessions.command(cls=BrokerCommand)
def export(
    context: typer.Context,
    id_: IdOrFile,
    to: Annotated[str, typer.Option(metavar="FILE", help="A new file; else standard output.")] = "",
    form: Annotated[
        ExportForm,
        typer.Option("--format", help="`recording` can be verified; the others are for programs, sheets and players."),
    ] = ExportForm.RECORDING,
    identity: IdentityFile = "",
) -> None:
    """Example: hoopx sessions export s_4k2m8q0xyz4k2m8q --to evidence.hoopx

    Take a recording out: as it is, for `hoopx sessions verify`; as one JSON object an entry; as CSV with a row a
    statement; as an asciicast, for players of terminals; or as OCSF events, for what collects those.
    """
    kit = kit_of(context)
    if form is ExportForm.RECORDING and not to and kit.out.is_terminal:
        raise BadInput("a recording is not for a terminal", "give --to FILE, or --format jsonl")
    from hoopx_broker.recording.bundle import read_part

    who = age_identity(identity)
    with _opened(kit, id_) as file, _sink(kit, to) as write:
        if form is ExportForm.RECORDING:
            while chunk := file.read(1 << 18):
                write(chunk)
        else:
            read_part(file)
            for line in exports.lines(file, form, who):
                write(line.encode("utf-8", "backslashreplace"))
    if to:
        kit.out.say(f"written to {to}")


@sessions.command(cls=BrokerCommand)
def kill(context: typer.Context, id_: SessionId) -> None:
    """Example: hoopx sessions kill s_4k2m8q0xyz4k2m8q

    End a session now: its connections are cut and its credential is revoked.
    """
    kit = kit_of(context)
    kit.api.kill(id_)
    kit.out.say(f"session {id_} is being ended")


def _in_log(logged: Logged | None) -> Iterator[tuple[str, str]]:
    """What is proved beyond the seal, or that nothing is."""
    if logged is None:
        yield "log", "not proved: this is a bare recording; export it again for the proof that it is in the log"
        return
    yield "log", f"leaf {logged.index} of {logged.size} of {logged.origin}"
    yield "checkpoint", f"signed by {logged.signed_by}"
    if logged.sealed_by != logged.signed_by:
        yield "sealed by", f"{logged.sealed_by}, an older key"
    yield (
        "cosigned",
        "\n".join(f"by {one.witness.name} at {moment(one.at)}" for one in logged.cosigned) or "not asked for",
    )


def _told(logged: Logged | None) -> dict[str, object] | None:
    if logged is None:
        return None
    cosigned = [{"witness": one.witness.name, "at": one.at} for one in logged.cosigned]
    keys = {"signed_by": str(logged.signed_by), "sealed_by": str(logged.sealed_by)}
    return {"origin": logged.origin, "index": logged.index, "size": logged.size, **keys, "cosigned": cosigned}


def _row(session: SessionView) -> tuple[str, ...]:
    return (
        session.id,
        spoken(session.user, session.on_behalf_of),
        session.target,
        session.state,
        moment(session.opened_at),
        str(session.statements),
        str(session.denied),
        session.reason,
    )


def _seen_raw(unmasked: Unmasked) -> str:
    ended = f" to {moment(unmasked.ended_at)}" if unmasked.ended_at else ", still"
    return f"{', '.join(unmasked.classes)} from {moment(unmasked.began_at)}{ended}, request {unmasked.request}"


def _each_line(kit: Kit, lines: Iterator[str]) -> None:
    """The recording room made these lines inert."""
    for line in lines:
        kit.out.data(line)


def _key_of_broker(kit: Kit) -> str:
    public = kit.api.about().evidence_key
    kit.out.say(f"taking the key that {kit.settings.broker} gives; to depend on no broker, give it by --key")
    return public


def age_identity(named: str) -> AgeIdentity | None:
    """Who reads what is encrypted; None where nobody was named."""
    from hoopx_broker.recording.locks import AgeIdentity

    return AgeIdentity.load(Path(named)) if named else None


@contextmanager
def _opened(kit: Kit, named: str) -> Iterator[BinaryIO]:
    """A recording by the path of a file, or by its session's id from the broker, kept for as long as it is read."""
    path = Path(named)
    if _is_path(named):
        try:
            file: BinaryIO = path.open("rb")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BadInput(f"`{named}` cannot be read: {reason}", "name a session or an exported recording") from None
        with file:
            yield file
        return
    with tempfile.TemporaryFile() as kept:
        kit.api.recording(named, kept.write)
        kept.seek(0)
        yield kept


def _is_path(named: str) -> bool:
    path = Path(named)
    return os.sep in named or path.suffix == ".hoopx" or path.is_file()


@contextmanager
def _sink(kit: Kit, to: str) -> Iterator[Callable[[bytes], object]]:
    """Where an export goes. Evidence is never written over something that is there."""
    if not to:
        yield kit.out.raw
        return
    try:
        handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInput(f"`{to}` cannot be made: {(error.strerror or '').lower()}", "give --to a new file") from None
    with os.fdopen(handle, "wb") as file:
        yield file.write


def _whereabouts(recording: RecordingView | None) -> str:
    if recording is None:
        return ""
    if recording.state == "deleted":
        when = moment(recording.deleted_at)
        return f"deleted {when} by {recording.deleted_by}: the time of the class `{recording.retention}` was over"
    until = f"until {moment(recording.kept_until)}" if recording.kept_until else "for good"
    held = ", and held beyond that" if recording.held else ""
    where = f"{recording.state}, {recording.store}; kept {until} (`{recording.retention}`){held}"
    return f"{where}\n{recording.error}" if recording.error else where
