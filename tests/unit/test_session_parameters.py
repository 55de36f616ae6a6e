"""Rules that look at the values of prepared statements see them as text, and are asked anew for other values."""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence

import pytest

from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session.court import Bench, Court
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.parameters import as_text
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Deny, Ruling
from hoopx_broker.terms.targets import ColumnName, Target
from hoopx_broker.wire.effects import Judge, Passage
from tests.unit.court_scene import ANN, SHOP, Bookkeeper, nobody, with_reader

INT4, TEXT, BOOL = 23, 25, 16


@pytest.mark.parametrize(
    ("value", "oid", "form", "expected"),
    [
        (b"42", INT4, 0, "42"),
        (struct.pack("!i", 42), INT4, 1, "42"),
        (b"\1", BOOL, 1, "t"),
        ("zw\u00f6lf\n".encode(), TEXT, 0, "zw\u00f6lf\n"),
        (b"text", TEXT, 1, "text"),
        (None, INT4, 1, None),
        (b"\0\0\0\x2a", 0, 1, "\\x0000002a"),
        (b"\0\0", INT4, 1, "\\x0000"),
        (b"\xff", TEXT, 0, "\\xff"),
    ],
)
def test_a_value_is_told_as_text(value: bytes | None, oid: int, form: int, expected: str | None) -> None:
    asked = Judge(b"", executes=True, parameters=(value,), formats=(form,), types=(oid,))
    assert as_text(asked) == (expected,)


def test_a_type_that_was_never_told_is_unknown() -> None:
    asked = Judge(b"", executes=True, parameters=(b"\0\1", b"x"), formats=(1, 0))
    assert as_text(asked) == ("\\x0001", "x")


class Guardian(Bookkeeper):
    """Lets everything pass but the value `secret`."""

    asks_parameters = True

    def statements(
        self,
        who: Principal,
        target: Target,
        facts: Sequence[StatementFacts],
        circumstances: Circumstances,
        hidden: Collection[ColumnName] | None = None,
    ) -> Ruling:
        self.asked += 1
        return Deny("not that one", "no-secret") if "secret" in circumstances.parameters else Allow(("reading",))


def test_a_ruling_about_values_holds_for_these_values_alone() -> None:
    async def act(reader: StatementReader) -> None:
        policy = Guardian()
        bench = Bench(lambda: policy, reader, _catalog, nobody, Ground(), lambda: 600.0)
        court = Court(bench, ANN, SHOP, Catalog()).hear()

        async def says(*values: bytes) -> Passage | Deny:
            asked = Judge(b"SELECT $1", executes=True, parameters=values)
            return court.known(asked) or await court.rule(asked, lambda *_: None)

        assert isinstance(await says(), Passage)
        for value, kind in ((b"a", Passage), (b"secret", Deny), (b"a", Passage), (b"secret", Deny)):
            assert isinstance(await says(value), kind)
        assert policy.asked == 5
        policy.asks_parameters = False
        assert isinstance(await says(b"a"), Passage)
        assert policy.asked == 5

    with_reader(act)


class Patient(Guardian):
    """Lets a statement be prepared, and run with the value `7`."""

    def statements(
        self,
        who: Principal,
        target: Target,
        facts: Sequence[StatementFacts],
        circumstances: Circumstances,
        hidden: Collection[ColumnName] | None = None,
    ) -> Ruling:
        runs = circumstances.pending or circumstances.parameters == ("7",)
        return Allow(("reading",)) if runs else Deny("only 7", "seven")


def test_what_was_let_through_to_be_prepared_is_asked_about_again_when_it_runs() -> None:
    async def act(reader: StatementReader) -> None:
        bench = Bench(Patient, reader, _catalog, nobody, Ground(), lambda: 600.0)
        court = Court(bench, ANN, SHOP, Catalog()).hear()

        async def says(text: bytes, *values: bytes, executes: bool) -> Passage | Deny:
            asked = Judge(text, executes=executes, parameters=values)
            return court.known(asked) or await court.rule(asked, lambda *_: None)

        prepared = await says(b"SELECT $1", executes=False)
        assert isinstance(prepared, Passage)
        assert prepared.is_pending  # so that EXECUTE and FETCH do not run it by its name
        assert isinstance(await says(b"SELECT $1", b"7", executes=True), Passage)
        assert isinstance(await says(b"SELECT $1", b"8", executes=True), Deny)
        assert isinstance(await says(b"SELECT '8'", executes=False), Passage)
        assert isinstance(await says(b"SELECT '8'", executes=True), Deny)
        assert isinstance(await says(b"SELECT '8'", executes=False), Passage)

    with_reader(act)


async def _catalog(before: Catalog | None) -> Catalog:
    return Catalog()
