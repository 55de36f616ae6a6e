"""Lanes of the wire: frames, the engine between any two peers, and the engine in front of a model of a server."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import cast

from msgspec import structs

from hoopx_broker.terms import entries
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Judge, Passage, Side
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.engine import Phase
from hoopx_broker.wire.postgres.frames import MAX_LARGE, Frame, Framer
from tests.fuzz.lane import Case
from tests.fuzz.mutate import cut, damaged
from tests.fuzz.scenes import CLIENT, HELLO, Part, part, scene
from tests.laws.test_wire_laws import careful, play
from tests.laws.wire_model import SECRET
from tests.unit import wire_stage as say
from tests.unit.wire_stage import REFUSED, Stage

Said = tuple[bytes, list[tuple[int, int]]]


class FramesLane:
    """Any bytes, cut in any way, give the same frames or the same breach; nothing is held that was not sent."""

    name = "frames"

    def draw(self, random: Random) -> Case:
        side = random.choice(list(Side)).value
        said = b"".join(part(random, side)[1] for _ in range(random.randint(1, 8)))
        if side == CLIENT:
            said = HELLO[0][1] + said
        return (side, damaged(random, said, said) if random.random() < 0.8 else said, random.getrandbits(32))

    def check(self, case: Case) -> None:
        side, data, seed = cast("tuple[str, bytes, int]", case)
        whole, pieces = self._fed(side, [data]), self._fed(side, cut(Random(seed), data))
        assert (whole is None) == (pieces is None), "cutting decides whether it is a breach"
        if whole is not None:
            assert whole == pieces, "cutting changes the frames"

    def _fed(self, side: str, pieces: list[bytes]) -> Said | None:
        """All bytes of the frames in order, and how many messages of which kind; None for a breach."""
        framer = Framer(Side(side))
        found: list[tuple[int, int]] = []
        data = b""
        try:
            for piece in pieces:
                for frame in framer.feed(piece):
                    assert len(frame.data) <= max(MAX_LARGE, len(piece))
                    data += frame.data
                    if found and found[-1][0] == frame.kind:
                        found[-1] = (frame.kind, found[-1][1] + frame.count)
                    else:
                        found.append((frame.kind, frame.count))
        except BrokenPeer:
            return None
        return data, found

    def close(self) -> None:
        """Nothing is open."""


class EngineLane:
    """A client and a server that say anything, in any order, cut in any way."""

    name = "engine"

    def draw(self, random: Random) -> Case:
        return tuple(scene(random))

    def check(self, case: Case) -> None:
        parts = [(side, data) for side, data in cast("tuple[Part, ...]", case)]
        whole, cut_up = Played(), Played()
        random = Random(len(parts))
        for side, data in parts:
            whole.hear(side, [data])
            cut_up.hear(side, cut(random, data))
        assert whole.broken == cut_up.broken, "cutting decides whether it is a breach"
        if not whole.broken:
            assert whole.effects() == cut_up.effects(), "cutting changes the effects"
        cut_up.check()

    def close(self) -> None:
        """Nothing is open."""


class Played:
    """A stream up to its end or its breach, and what both sides heard."""

    def __init__(self) -> None:
        self.allowed: set[bytes] = set()
        self.stage = Stage(self._rule)
        self.broken = False
        self.heard = dict.fromkeys(Side, b"")

    def _rule(self, asked: Judge) -> Passage | Deny:
        text = asked.text.decode(errors="replace").encode()
        ruling = careful(structs.replace(asked, text=text))
        if isinstance(ruling, Passage):
            self.allowed.add(asked.text)
        return ruling

    def hear(self, side: str, pieces: list[bytes]) -> None:
        """As the pump does: a breach ends the stream, and what comes later is not looked at."""
        for piece in pieces:
            if self.broken:
                return
            try:
                (self.stage.client_says if side == CLIENT else self.stage.backend_says)(piece)
            except BrokenPeer as breach:
                self.broken = True
                self.stage.perform(self.stage.engine.fail(str(breach)))
                assert self.stage.engine.phase is Phase.CLOSED
            self.heard[Side.CLIENT] += self.stage.client_heard
            self.heard[Side.BACKEND] += self.stage.backend_heard

    def effects(self) -> tuple[dict[Side, bytes], list[str], dict[int, bytes]]:
        """What each side heard, and the entries: in any order between the two directions, runs of rows as one."""
        rows: dict[int, bytes] = defaultdict(bytes)
        others = []
        for note in self.stage.notes:
            if isinstance(note, entries.Rows | entries.CopyData):
                rows[note.n] += note.data
            else:
                others.append(repr(note))
        return self.heard, sorted(others), rows

    def check(self) -> None:
        """What each side heard is whole, and what the server heard was judged."""
        assert _whole(Side.BACKEND, self.heard[Side.CLIENT]) is not None, "the client hears half a message"
        found = _whole(Side.CLIENT, self.heard[Side.BACKEND])
        assert found is not None, "the server hears half a message"
        statements = 0
        for frame in found:
            match frame.kind:
                case frames.QUERY:
                    self._judged(messages.query_text(frame))
                    statements += 1
                case frames.PARSE:
                    self._judged(messages.parse_text(frame)[1])
                    statements += 1
                case frames.FUNCTION_CALL:
                    statements += 1
                case _:
                    pass
        noted = sum(isinstance(note, entries.Statement) for note in self.stage.notes)
        assert statements <= noted, "a statement went out that is in no entry"

    def _judged(self, text: bytes) -> None:
        assert text in self.allowed or REFUSED in text, f"{text!r} was not judged"
        assert b"deny" not in text


def _whole(side: Side, said: bytes) -> list[Frame] | None:
    """All messages in `said`, None when there is something else too."""
    found = Framer(side).feed(said)
    return found if sum(len(frame.data) for frame in found) == len(said) else None


class PipelineLane:
    """Pipelines of any kind in front of a model of a server that answers when it likes: masks and rulings hold."""

    name = "pipelines"

    def draw(self, random: Random) -> Case:
        turns: list[tuple[int, bytes]] = []
        for _ in range(random.randint(1, 40)):
            _, said = part(random, CLIENT)
            # What the model of a server does not know: COPY, and an end of the stream.
            if said[:1] not in (b"d", b"c", b"f", b"X"):
                turns.append((random.choice((0, 0, 0, random.randint(1, 80), 9999)), said))
        return (*turns, (0, say.sync()))

    def check(self, case: Case) -> None:
        model, heard, notes = play(list(cast("tuple[tuple[int, bytes], ...]", case)))
        assert not any(b"ask" in text or b"deny" in text for text in model.ran), "what was not allowed ran"
        assert SECRET.encode() not in heard, "a hidden value left"
        assert SECRET not in repr(notes), "a hidden value is in the recording"

    def close(self) -> None:
        """Nothing is open."""
