"""`hoopx sessions ls/show/tail/replay/verify/export/kill`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

from msgspec.structs import asdict

from hoopx_broker.api.messages import SessionView
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.people import spoken
from hoopx_cli import exports, names
from hoopx_cli.commands import group
from hoopx_cli.durations import asked_time, seconds_of
from hoopx_cli.exports import ExportForm
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Argument, Option

if TYPE_CHECKING:  # what proves is loaded by the command that proves
    from hoopx_broker.recording.bundle import Logged
    from hoopx_broker.recording.locks import AgeIdentity
    from hoopx_broker.recording.verify import Proof

app = group("Example: hoopx sessions ls")
sessions = group("Example: hoopx sessions ls --target prod-db\n\nSessions and their recordings.")
app.add(sessions, "sessions")

SessionId = Annotated[str, Argument(metavar="ID", help="A session's id, as `hoopx sessions ls` lists it.")]
IdOrFile = Annotated[str, Argument(metavar="ID|FILE", help="A session's id, or an exported recording.")]


IdentityFile = Annotated[
    str, Option("--identity", metavar="FILE", help="An age identity file, for a recording that is encrypted.")
]


ROOMY = 80  # columns of a terminal
_TO_THE_MINUTE = len("2026-01-31 09:30")
_UNSEARCHED = {
    "encrypted": "{0} cannot be searched: their recordings are encrypted, and no words of them are kept",
    "elsewhere": "{0} would have to be read to know, and their recordings are with another broker: ask that one",
    "unreadable": "{0} would have to be read to know, and their recordings cannot be read",
    "slow": "{0} would have to be read to know, and are too long for that: look into them by `hoopx sessions show`",
}


@sessions.command()
def ls(
    kit: Kit,
    user: Annotated[str, Option(metavar="USER", help="Of this user, and of their agents.")] = "",
    target: Annotated[str, Option(metavar="TARGET", help="With this target.")] = "",
    state: Annotated[str, Option(metavar="STATE", help="That are open, ended or unfinished.")] = "",
    since: Annotated[str, Option(metavar="TIME", help="Opened since: 2h or 7d ago, or 2026-01-31.")] = "",
    until: Annotated[str, Option(metavar="TIME", help="Opened until then.")] = "",
    table: Annotated[str, Option(metavar="TABLE", help="That touched it: customers, public.customers.")] = "",
    effect: Annotated[str, Option(metavar="EFFECT", help="With such a statement: read, update, ddl, …")] = "",
    rule: Annotated[str, Option(metavar="RULE", help="In which this rule allowed or denied something.")] = "",
    denied: Annotated[bool, Option("--denied", help="In which something was denied.")] = False,
    ticket: Annotated[str, Option(metavar="TICKET", help="For this ticket.")] = "",
    text: Annotated[str, Option(metavar="TEXT", help="With all these words in its statements.")] = "",
    reason: Annotated[str, Option(metavar="TEXT", help="With all these words in its reason.")] = "",
    approved_by: Annotated[str, Option(metavar="USER", help="To which this person agreed.")] = "",
    request: Annotated[str, Option(metavar="ID", help="In which this request played a part.")] = "",
    limit: Annotated[int, Option(metavar="N", least=1, most=10_000, help="At most so many.")] = 50,
) -> None:
    """Example: hoopx sessions ls --target prod-db --table customers --since 7d

    List sessions that you may see, the newest first. Of several filters all must hold.
    """
    now = time.time()
    answer = kit.api.sessions(
        limit,
        user=user,
        target=target,
        state=state,
        since=asked_time(since, "--since", now),
        until=asked_time(until, "--until", now),
        table=table,
        effect=effect,
        rule=rule,
        denied="true" if denied else "",
        ticket=ticket,
        text=text,
        reason=reason,
        approved_by=approved_by,
        request=request,
    )
    found = answer.sessions
    for why, number in sorted(answer.unsearched.items()):
        kit.out.insist(_UNSEARCHED.get(why, f"{{0}} could not be searched: {why}").format(_counted(number)))
    names.keep(kit.settings, "sessions", (one.id for one in found))
    names.keep(kit.settings, "users", (one.user for one in found), adding=True)
    if kit.out.form is Form.JSON:
        kit.out.json(found)
        return
    if not found:
        kit.out.say("no sessions to show")
        return
    heads = ("session", "user", "target", "state", "opened", "statements", "denied", "reason")
    room = kit.out.columns
    rows = (_row(one, is_narrow=room is not None and room < ROOMY) for one in found)
    kit.out.table(heads, rows, spare=("statements", "denied"))


@sessions.command()
def show(
    kit: Kit,
    session: IdOrFile,
    statements: Annotated[bool, Option("--statements", help="Each statement, with what became of it.")] = False,
    identity: IdentityFile = "",
) -> None:
    """Example: hoopx sessions show s_4k2m8q0xyz4k2m8q --statements

    Show one session: who, for whom and why, who agreed, what was done, how it ended, where its recording is. With
    --statements each statement instead, with its ruling, rule, rows and time.
    """
    # Reading recordings takes cryptography.
    from hoopx_cli.session_show import Asked, show, show_statements

    view = None if _is_path(session) else kit.api.session(session)
    asked = Asked(view, opened_recording(kit, session, "show"), age_identity(identity))
    (show_statements if statements else show)(kit, asked)


@sessions.command()
def replay(
    kit: Kit,
    recording: IdOrFile,
    speed: Annotated[
        float, Option(metavar="FACTOR", least=0, help="1 is as it happened, 2 twice as fast, 0 all at once.")
    ] = 1,
    idle: Annotated[str, Option(metavar="DURATION", help="No pause is longer than this.")] = "2s",
    at: Annotated[str, Option("--at", metavar="DURATION", help="Begin so long after the opening: 1m30s.")] = "",
    statement: Annotated[
        str, Option(metavar="N", help="Begin with the statement that is shown with this number: 17, t_1#17.")
    ] = "",
    identity: IdentityFile = "",
) -> None:
    """Example: hoopx sessions replay s_4k2m8q0xyz4k2m8q --speed 4

    Show what happened in a session, as the client saw it. On a terminal keys pause it, step, seek and change its
    speed. With --speed 0, into a pipe or file everything comes at once; with `-o json` as one JSON object an entry.
    """
    # Reading recordings takes cryptography.
    from hoopx_broker.recording.bundle import read_part
    from hoopx_cli.replay_screen import Wanted, replay_file

    if at and statement:
        raise BadInput("--at and --statement both say where to begin", "give one of them")
    begin = float(seconds_of(at, "--at")) if at else None
    wanted = Wanted(begin, statement, speed, seconds_of(idle, "--idle"), age_identity(identity))
    with opened_recording(kit, recording, "replay") as file:
        read_part(file)
        replay_file(kit, file, wanted)


@sessions.command()
def tail(
    kit: Kit,
    recording: IdOrFile,
    follow: Annotated[bool, Option("--follow", "-f", help="Go on while the session lasts.")] = False,
    last: Annotated[int, Option("--last", "-n", metavar="N", least=0, help="Begin with the last N entries.")] = 20,
    identity: IdentityFile = "",
) -> None:
    """Example: hoopx sessions tail s_4k2m8q0xyz4k2m8q -f

    Show the last entries of a recording, and with -f all that come, until the session is over. Ctrl-C ends the watching
    alone.
    """
    if follow and _is_path(recording):
        raise BadInput("a file does not grow", "follow a session by its id")
    from hoopx_cli.session_tail import growing, tail

    who = age_identity(identity)
    opener = (lambda hear: growing(kit, recording, hear)) if follow else (lambda _: _bare(kit, recording))
    tail(kit, opener, who, last, grows=not _is_path(recording))


@sessions.command()
def verify(
    kit: Kit,
    recording: IdOrFile,
    key: Annotated[str, Option(metavar="KEY", help="The broker's public evidence key (`hoopx broker keys`).")] = "",
    witness: Annotated[
        list[str] | None, Option(metavar="VKEY", help="A witness that must have cosigned; may be repeated.")
    ] = None,
    identity: IdentityFile = "",
) -> None:
    """Example: hoopx sessions verify s_4k2m8q0xyz4k2m8q.hoopx --key 'hoopx.example+1a2b3c4d+AQ…'

    Prove that a recording is whole and unchanged, and that it is in the broker's log if it was exported with that
    proof. A file and a key need no broker; without --key the broker is asked for its key, which proves nothing about
    the broker itself. An encrypted recording is proved without its key; --identity names its user and target.
    """
    from hoopx_broker.recording.bundle import verify_file
    from hoopx_broker.recording.failures import BrokenEvidence
    from hoopx_broker.tlog.cosignatures import parse_witness

    witnesses = tuple(map(parse_witness, witness or ()))
    who = age_identity(identity)
    with opened_recording(kit, recording, "verify", proof=True) as file:  # a file that is not there needs no broker
        verified = verify_file(file, key or _key_of_broker(kit), witnesses, who)
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
            *_whose(proof),
            ("entries", str(proof.entries)),
            ("bytes", str(proof.bytes)),
            ("root", proof.root),
            ("key", proof.key),
            *_in_log(logged),
        ]
    )


@sessions.command()
def export(
    kit: Kit,
    id_: IdOrFile,
    to: Annotated[str, Option(metavar="FILE", help="A new file; else standard output.")] = "",
    form: Annotated[
        ExportForm,
        Option("--format", help="`recording` can be verified; the others are for programs, sheets and players."),
    ] = ExportForm.RECORDING,
    identity: IdentityFile = "",
) -> None:
    """Example: hoopx sessions export s_4k2m8q0xyz4k2m8q --to evidence.hoopx

    Take a recording out: with the proof that the broker's log has it, for `hoopx sessions verify`; as one JSON object
    an entry; as CSV with a row a statement; as an asciicast, for players of terminals; or as OCSF events, for what
    collects those.
    """
    if form is ExportForm.RECORDING and not to and kit.out.is_terminal:
        raise BadInput("a recording is not for a terminal", "give --to FILE, or --format jsonl")
    from hoopx_broker.recording.bundle import read_part

    who = age_identity(identity)
    whole = form is ExportForm.RECORDING
    with opened_recording(kit, id_, "export", proof=whole) as file, _sink(kit, to) as write:
        if whole:
            while chunk := file.read(1 << 18):
                write(chunk)
        else:
            read_part(file)
            for line in exports.lines(file, form, who):
                write(line.encode("utf-8", "backslashreplace"))
    if to:
        kit.out.say(f"written to {to}")


@sessions.command()
def kill(kit: Kit, id_: SessionId) -> None:
    """Example: hoopx sessions kill s_4k2m8q0xyz4k2m8q

    End a session now: its connections are cut and its credential is revoked.
    """
    kit.api.kill(id_)
    kit.out.say(f"session {id_} is being ended")


def _counted(number: int) -> str:
    return "1 session" if number == 1 else f"{number} sessions"


def _whose(proof: Proof) -> Iterator[tuple[str, str]]:
    if proof.encrypted and not proof.user:
        yield "user, target", "encrypted: `--identity FILE` names them, by whose key that is"
        return
    yield "user", spoken(proof.user, proof.on_behalf_of)
    yield "target", proof.target


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


def _row(session: SessionView, *, is_narrow: bool) -> tuple[str, ...]:
    """In narrow terminals when it was opened is told to the minute."""
    opened = moment(session.opened_at)
    return (
        session.id,
        spoken(session.user, session.on_behalf_of),
        session.target,
        session.state,
        opened[:_TO_THE_MINUTE] if is_narrow else opened,
        str(session.statements),
        str(session.denied),
        session.reason,
    )


def _key_of_broker(kit: Kit) -> str:
    public = kit.api.about().evidence_key
    kit.out.say(f"taking the key that {kit.settings.broker} gives; to depend on no broker, give it by --key")
    return public


def age_identity(named: str) -> AgeIdentity | None:
    """Who reads what is encrypted; None where nobody was named."""
    from hoopx_broker.recording.locks import AgeIdentity

    return AgeIdentity.load(Path(named)) if named else None


@contextmanager
def opened_recording(kit: Kit, named: str, how: str = "", *, proof: bool = False) -> Iterator[BinaryIO]:
    """A recording by the path of a file, or by its session's id from the broker, kept for as long as it is read.

    With `proof` the broker is asked to put before it that the log has it; where it cannot, that is said.
    """
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
    from tempfile import TemporaryFile

    with TemporaryFile() as kept:
        if proof:
            unproved = kit.api.evidence(named, kept.write, how)
            if unproved:
                kit.out.insist(f"without a proof of the log: {unproved}")
        else:
            kit.api.recording(named, kept.write, how)
        kept.seek(0)
        yield kept


@contextmanager
def _bare(kit: Kit, named: str) -> Iterator[BinaryIO]:
    """Behind the proof part."""
    from hoopx_broker.recording.bundle import read_part

    with opened_recording(kit, named, "tail") as file:
        read_part(file)
        yield file


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
