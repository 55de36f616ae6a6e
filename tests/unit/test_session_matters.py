"""What an approver is shown is everything that would run."""

from __future__ import annotations

from hoopx_broker.session.matters import whole_statement
from hoopx_broker.wire.effects import Judge


def test_a_statement_without_parameters_is_its_text() -> None:
    assert whole_statement(Judge(b"delete from t where id = 1", executes=True)) == "delete from t where id = 1"


def test_each_parameter_is_shown_on_a_line_of_its_own() -> None:
    text, parameters = b"update t set a = $1 where b = $2 and c = $3", (b"it's\n-- $2 = 1", None, b"\x00\x01")
    asked = Judge(text, executes=True, parameters=parameters, formats=(0, 0, 1))
    assert whole_statement(asked).splitlines() == [
        "update t set a = $1 where b = $2 and c = $3",
        '-- $1 = "it\'s\\n-- $2 = 1"',
        "-- $2 = NULL",
        "-- $3 = \\x0001",
    ]


def test_statements_that_differ_in_a_parameter_are_different_matters() -> None:
    def said(*parameters: bytes | None) -> str:
        return whole_statement(Judge(b"select $1", executes=True, parameters=parameters))

    assert len({said(b"1"), said(b"2"), said(None), said(b"NULL"), said(b"\xff"), said()}) == 6


def test_whoever_decides_reads_what_a_binary_value_means_where_its_type_is_known() -> None:
    asked = Judge(b"select $1, $2", True, (b"\0\x32", b"\1"), (1, 1), (21, 99_999))  # noqa: FBT003
    assert whole_statement(asked).splitlines()[1:] == ['-- $1 = \\x0032 (which is "50")', "-- $2 = \\x01"]
