"""Laws of the PostgreSQL engine: what holds for every dialogue, every cutting and every kind of garbage."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoopx_broker.terms import entries
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Judge, Passage, Side
from hoopx_broker.wire.postgres import messages
from hoopx_broker.wire.postgres.frames import Frame, Framer, message
from tests.laws.depth import examples
from tests.laws.wire_model import SECRET, Model
from tests.unit.wire_stage import (
    DERIVED,
    EMAIL_COLUMN,
    NAME_COLUMN,
    PLAIN,
    Stage,
    allow,
    authentication,
    bind,
    bound,
    but,
    called,
    close,
    columns,
    copy_data,
    copy_done,
    copy_in,
    deny,
    describe,
    done,
    error,
    everything,
    execute,
    flush,
    notice,
    parse,
    parsed,
    query,
    ready,
    row,
    startup,
    status,
    sync,
)

CLIENT, BACKEND = Side.CLIENT, Side.BACKEND

# Any cutting of a stream gives the same effects.

DIALOGUES: list[list[tuple[Side, bytes]]] = [
    [
        (CLIENT, query("select name, email from customers; drop it; select 1")),
        (CLIENT, query("select name, email from customers")),
        (BACKEND, error() + ready()),
        (BACKEND, columns(NAME_COLUMN, EMAIL_COLUMN) + row("Ann", "x") * 3 + row(None, "y") * 2 + done("SELECT 5")),
        (BACKEND, notice("hm") + ready()),
    ],
    [
        (CLIENT, parse("select email", "s") + bind("s") + execute() + parse("drop it") + bind() + execute() + sync()),
        (BACKEND, parsed() + bound() + columns(EMAIL_COLUMN) + row("secret") * 4 + done("SELECT 4") + error()),
        (BACKEND, ready() + status("TimeZone", "UTC")),
        (CLIENT, bind("s") + describe() + execute() + sync() + query("drop it")),
        (BACKEND, bound() + columns(EMAIL_COLUMN) + row("secret") + done("SELECT 1") + ready() + error() + ready()),
    ],
    [
        (CLIENT, query("copy t from stdin")),
        (BACKEND, copy_in()),
        (CLIENT, copy_data(b"1\n") * 5 + copy_done()),
        (BACKEND, done("COPY 5") + ready()),
        (CLIENT, query("copy t to stdout")),
        (BACKEND, message(ord("H"), b"\0\0\0") + copy_data(b"2\n") * 5 + copy_done() + done("COPY 5") + ready()),
    ],
]


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def outcome(stage: Stage) -> tuple[bytes, bytes, list[entries.Entry]]:
    return stage.client_heard, stage.backend_heard, merged(stage.notes)


def merged(notes: list[entries.Entry]) -> list[entries.Entry]:
    """Runs of rows and of COPY data count as one, however the stream was cut."""
    found: list[entries.Entry] = []
    for note in notes:
        last = found[-1] if found else None
        if isinstance(note, entries.Rows) and isinstance(last, entries.Rows) and last.n == note.n:
            found[-1] = entries.Rows(note.stream, note.n, last.count + note.count, last.data + note.data)
        elif isinstance(note, entries.CopyData) and isinstance(last, entries.CopyData) and last.n == note.n:
            found[-1] = entries.CopyData(note.stream, note.n, note.direction, last.data + note.data)
        else:
            found.append(note)
    return found


@given(st.sampled_from(DIALOGUES), st.lists(st.integers(0, 10_000), max_size=30))
@example(DIALOGUES[0], list(range(2000)))
@example(DIALOGUES[1], list(range(2000)))
@example(DIALOGUES[2], list(range(2000)))
def test_any_cutting_gives_the_same_effects(dialogue: list[tuple[Side, bytes]], cuts: list[int]) -> None:
    whole, cut = Stage.ready(but(b"drop", PLAIN)), Stage.ready(but(b"drop", PLAIN))
    for side, data in dialogue:
        (whole.client_says if side is CLIENT else whole.backend_says)(data)
        for piece in pieces(data, cuts):
            (cut.client_says if side is CLIENT else cut.backend_says)(piece)
    assert outcome(cut) == outcome(whole)
    assert b"secret" not in whole.client_heard


frames_of = {
    CLIENT: st.builds(message, st.sampled_from(list(b"QPBDECHSFXpdcf")), st.binary(max_size=20)),
    BACKEND: st.builds(message, st.sampled_from(list(b"RKSZvTDCIsn123tGHWdcENAV")), st.binary(max_size=20)),
}


@given(st.sampled_from(list(Side)), st.data(), st.lists(st.integers(0, 10_000), max_size=20))
def test_the_framer_gives_back_what_it_was_fed(side: Side, data: st.DataObject, cuts: list[int]) -> None:
    said = data.draw(st.lists(frames_of[side], max_size=12))
    framer = Framer(side)
    if side is CLIENT:
        framer.feed(startup())
    found = [frame for piece in pieces(b"".join(said), cuts) for frame in framer.feed(piece)]
    assert b"".join(frame.data for frame in found) == b"".join(said)
    assert sum(frame.count for frame in found) == len(said)
    assert all(frame.data[0] == frame.kind for frame in found)


# Garbage gives `BrokenPeer` or nothing.


@given(st.sampled_from(list(Side)), st.booleans(), st.lists(st.binary(max_size=64), max_size=8))
def test_garbage_is_no_frame_or_a_broken_peer(side: Side, answer: bool, chunks: list[bytes]) -> None:
    framer = Framer(side)
    if answer:
        framer.expect_tls_answer()
    with suppress(BrokenPeer):
        for chunk in chunks:
            framer.feed(chunk)


READERS = [
    messages.parse_startup,
    messages.query_text,
    messages.parse_text,
    messages.bind,
    messages.described,
    messages.executed,
    messages.function_call,
    messages.function_result,
    messages.parameter_types,
    messages.fields,
    messages.error_fields,
]


@given(st.sampled_from(READERS), st.binary(max_size=80))
def test_garbage_in_a_message_is_a_broken_peer(reader: object, body: bytes) -> None:
    assert callable(reader)
    with suppress(BrokenPeer):
        reader(Frame(ord("Q"), message(ord("Q"), body)))


def stages() -> list[Stage]:
    """One in each phase."""
    start, settings_phase, tls, login, scram, ready_ = (
        Stage(),
        Stage(),
        Stage(tls=True),
        Stage(),
        Stage(),
        Stage.ready(everything(DERIVED)),
    )
    settings_phase.client_says(startup(user="me", work_mem="1MB"))
    for stage in (tls, login, scram):
        stage.client_says(startup(user="me"))
    scram.backend_says(authentication(10, b"SCRAM-SHA-256\0\0"))
    busy = Stage.ready(everything(DERIVED))
    busy.client_says(parse("a", "s"), bind("s"), execute(), sync(), query("b"))
    copying = Stage.ready(everything(DERIVED))
    copying.client_says(query("copy"))
    copying.backend_says(copy_in())
    over = Stage.ready(everything())
    over.perform(over.engine.end("over"))
    return [start, settings_phase, tls, login, scram, ready_, busy, copying, over]


@given(st.data(), st.integers(0, 8), st.lists(st.sampled_from(list(Side)), max_size=10))
@settings(max_examples=examples(150))
def test_garbage_in_any_phase_is_a_broken_peer(data: st.DataObject, phase: int, sides: list[Side]) -> None:
    stage = stages()[phase]
    try:
        for side in sides:
            said = data.draw(frames_of[side] | st.binary(max_size=20))
            (stage.client_says if side is CLIENT else stage.backend_says)(said)
    except BrokenPeer as broken:
        stage.perform(stage.engine.fail(str(broken)))
        stage.forget()
    for effects in (stage.engine.end("over"), stage.engine.tell("hello")):
        stage.perform(effects)


# What is written is read back.

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
names = st.text("abcxyz_", max_size=8)


@given(st.dictionaries(texts.filter(bool), texts, max_size=5))
def test_a_hello_is_read_back(parameters: dict[str, str]) -> None:
    said = messages.startup(parameters)
    (frame,) = Framer(CLIENT).feed(said)
    read = messages.parse_startup(frame)
    assert (read.major, read.minor, read.parameters) == (3, 0, parameters)


@given(texts, names, st.lists(st.none() | st.binary(max_size=9), max_size=5))
def test_statements_are_read_back(text: str, name: str, values: list[bytes | None]) -> None:
    assert messages.query_text(_frame(messages.query(text.encode()))) == text.encode()
    assert messages.parse_text(_frame(messages.parse(name.encode(), text.encode()))) == (name.encode(), text.encode())
    assert messages.described(_frame(messages.describe_portal(name.encode()))) == (ord("P"), name.encode())
    read = messages.bind(_frame(bind(name, "p", *values)))
    assert (read.statement, read.portal, read.parameters) == (name.encode(), b"p", tuple(values))


@given(texts, texts)
def test_errors_are_read_back(text: str, detail: str) -> None:
    read = messages.error_fields(_frame(messages.error("ERROR", "42501", text, detail)))
    assert (read.severity, read.code, read.message) == ("ERROR", "42501", text)


def _frame(said: bytes) -> Frame:
    return Frame(said[0], said)


# What runs was judged, and what is hidden stays hidden: against a model of a server, whatever the pipeline.

TEXTS = ["plain", "ask", "secret", "broken", "plain fails", "begin", "rollback", "commit"]
TEXTS += ["prepare s", "prepare t", "declare p", "deallocate s", "deny"]
statement_names = st.sampled_from(["", "s", "t"])
portal_names = st.sampled_from(["", "p"])
said_by_clients = st.one_of(
    st.builds(query, st.sampled_from(TEXTS)),
    st.builds(parse, st.sampled_from(TEXTS), statement_names),
    st.builds(bind, statement_names, portal_names),
    st.builds(describe, portal_names),
    st.builds(describe, statement_names, st.just("S")),
    st.builds(execute, portal_names),
    st.builds(close, statement_names),
    st.builds(close, portal_names, st.just("P")),
    st.just(sync()),
    st.just(sync()),
    st.just(flush()),
    st.just(called(957, b"1")),
    st.just(called(958)),
)
# A turn: what the client says next, and how many bytes of the server's answers arrive before that.
turns = st.lists(st.tuples(st.integers(0, 60) | st.just(0), said_by_clients), max_size=25)


def careful(asked: Judge) -> Passage | Deny:
    """`deny` is never allowed, `ask` may be prepared but not run."""
    if b"deny" in asked.text or (b"ask" in asked.text and asked.executes):
        return deny()
    verb, _, name = asked.text.decode().partition(" ")
    defines = (name,) if verb in ("prepare", "declare") else ()
    return allow(DERIVED if b"secret" in asked.text or b"creat" in asked.text else PLAIN, *defines)


def play(said: list[tuple[int, bytes]]) -> tuple[Model, bytes, list[entries.Entry]]:
    model, stage = Model(), Stage.ready(careful)
    stage.engine.doubt = DERIVED
    heard = bytearray()
    for size, part in [*said, (0, sync()), (1 << 30, b"")]:
        _deliver(model, stage, size)
        if part:
            stage.client_says(part)
        heard += stage.client_heard
    while model.said:
        _deliver(model, stage, 1 << 30)
    heard += stage.client_heard
    assert not stage.waiting, "a message waits for an answer that never comes"
    return model, bytes(heard), stage.notes


def _deliver(model: Model, stage: Stage, size: int) -> None:
    model.hear(stage.backend_heard)
    now, model.said = bytes(model.said[:size]), model.said[size:]
    stage.backend_says(now)
    model.hear(stage.backend_heard)


FIRST = [(0, parse("ask", "s")), (0, sync()), (999, sync())]


@given(turns)
@settings(max_examples=examples(400), deadline=None)
@example([*FIRST, (0, parse("broken")), (0, parse("plain", "s")), (0, sync()), (0, bind("s")), (0, execute())])
@example([*FIRST, (0, parse("broken")), (0, close("s")), (0, sync()), (0, bind("s")), (0, execute())])
@example([*FIRST, (0, parse("plain", "s")), (0, sync()), (0, parse("plain", "s")), (0, sync()), (99, bind("s"))])
@example([*FIRST, (0, query("prepare s")), (0, bind("s")), (0, execute())])
@example([(0, query("prepare s")), (0, parse("plain", "s")), (0, sync()), (0, bind("s")), (0, execute())])
@example(
    [
        *[(0, parse("plain", "s")), (0, sync()), (999, query("deallocate s")), (0, query("prepare s"))],
        *[(0, bind("s")), (0, execute())],
    ]
)
@example([(0, query("begin")), (0, query("declare p")), (0, execute("p"))])
def test_what_runs_was_judged_and_what_is_hidden_stays_hidden(said: list[tuple[int, bytes]]) -> None:
    model, heard, notes = play(said)
    assert not any(b"ask" in text or b"deny" in text for text in model.ran)
    assert SECRET.encode() not in heard
    assert SECRET not in repr(notes)


@given(turns)
@settings(max_examples=examples(150), deadline=None)
def test_the_client_hears_whole_messages_and_one_ready_for_each_of_the_servers(said: list[tuple[int, bytes]]) -> None:
    _, heard, _ = play(said)
    framer = Framer(BACKEND)
    found = framer.feed(heard)
    assert b"".join(frame.data for frame in found) == heard
