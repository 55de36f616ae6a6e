"""The lane of canaries: scenes over one schema, played through the broker, and all that they brought is searched."""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import cast

from tests.canaries.harness import Broker
from tests.canaries.scenes import Scenes
from tests.canaries.turns import Heard, Turn, Way
from tests.fuzz.lane import Case

_CHANGES = re.compile(r"\b(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|MERGE|INTO|DO|CALL|ANALYZE)\b")


class CanaryLane:
    """A case is a scene: (way, text) of each turn. `counts` are turns: all, those allowed, those without an error."""

    name = "canaries"

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.counts: Counter[str] = Counter()
        self._is_stained = False

    def draw(self, random: Random) -> Case:
        scene = Scenes(random, self.broker.schema).draw()
        return tuple((turn.way, turn.text.encode()) for turn in scene)

    def check(self, case: Case) -> None:
        """On a stream of its own. Raises `AssertionError` with what gave a canary away."""
        if self._is_stained:
            self.broker.renew()
        scene = [Turn(text.decode(errors="replace"), way) for way, text in cast("tuple[tuple[Way, bytes], ...]", case)]
        self._is_stained = _leaves_something(scene)
        try:
            for turn in (*scene, *(self._looks() if self._is_stained else ())):
                self._search(turn, self.broker.say(turn))
        except BaseException:
            self._is_stained = True
            raise
        finally:
            self.broker.hang_up()

    def _search(self, turn: Turn, heard: Heard) -> None:
        self.counts["turns"] += 1
        self.counts["allowed"] += heard.is_allowed
        self.counts["done"] += heard.is_done
        found = next(filter(None, map(self.broker.watch.find, heard.everything())), None)
        assert found is None, f"{found} came out of {turn.text!r} ({turn.way})"
        failures, self.broker.failures = self.broker.failures, []
        assert not failures, f"hoopx failed inside at {turn.text!r} ({turn.way}): {failures}"

    def _looks(self) -> list[Turn]:
        """What was kept in a table that nobody hides is there for everybody to read."""
        plain = [table for table in self.broker.schema.tables if table.is_base and not table.is_classified]
        return [Turn("ROLLBACK"), *(Turn(f"SELECT * FROM {table.written}") for table in plain)]

    def close(self) -> None:
        self.broker.close()


def _leaves_something(scene: list[Turn]) -> bool:
    """Whether the database may be another one afterwards; what is never committed leaves nothing."""
    texts = [turn.text for turn in scene]
    is_undone = bool(texts) and texts[0] == "BEGIN" and "COMMIT" not in texts
    return not is_undone and any(_CHANGES.search(text) for text in texts)
