"""What `hoopx classify` proposes of columns, and how it writes them down: less rather than wrong."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from hoopx_broker.daemon.values import column as read_column
from hoopx_broker.terms.targets import ColumnName
from hoopx_cli.columns import as_yaml, written
from hoopx_cli.proposals import Column, Kind, Proposal, Sample, propose


def classes(value: str) -> Iterable[str]:
    """Detectors of a play: a value says itself what it looks like."""
    return value.split("+") if value else ()


def proposed(column: str, values: Iterable[str] = (), kind: Kind = "text", table: str = "things") -> str | None:
    sample = Sample()
    for value in values:
        sample.add(value, classes)
    found = propose(Column(ColumnName("public", table, column), kind), sample)
    return None if found is None else f"{found.data_class}: {found.why}"


def test_a_class_that_most_values_look_like_is_proposed_with_the_count() -> None:
    values = ["email"] * 187 + [""] * 13
    assert proposed("contact", values) == "email: 187 of 200 values look like an e-mail address"


@pytest.mark.parametrize("values", [["email"] * 2, ["email"] * 99 + [""] * 101, [""] * 200, []])
def test_a_few_hits_propose_nothing(values: list[str]) -> None:
    assert proposed("contact", values) is None


def test_of_several_classes_the_one_with_most_hits_is_proposed_and_then_the_surest() -> None:
    assert proposed("x", ["card", "phone+card", "phone+card", "phone+card"]) == (
        "card: 4 of 4 values look like a card number"
    )
    assert proposed("x", ["phone+card"] * 4) == "card: 4 of 4 values look like a card number"
    assert proposed("x", ["phone+iban"] * 4) == "iban: 4 of 4 values look like an IBAN"
    assert proposed("x", ["badge+phone"] * 4) == "phone: 4 of 4 values look like a phone number"


def test_of_a_number_only_a_card_is_believed_and_of_a_date_nothing() -> None:
    assert proposed("x", ["phone+national-id"] * 9, "number") is None
    assert proposed("x", ["phone+card"] * 9, "number") == "card: 9 of 9 values look like a card number"
    assert proposed("x", ["phone"] * 9, "date") is None
    assert proposed("x", ["ip+phone"] * 9, "address") == "ip: 9 of 9 values look like an IP address"


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        ("first_name", "text", "name"),
        ("lastName", "text", "name"),
        ("Family-Name", "text", "name"),
        ("date_of_birth", "date", "birth-date"),
        ("dateOfBirth", "date", "birth-date"),
        ("birthday", "text", "birth-date"),
        ("street", "text", "address"),
        ("password_hash", "text", "password"),
        ("email", "text", "email"),
        ("ssn", "number", "national-id"),
        ("client_ip", "address", "ip"),
    ],
)
def test_a_column_may_be_known_by_its_whole_name(column: str, kind: Kind, expected: str) -> None:
    assert proposed(column, kind=kind) == f"{expected}: by its name"


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("file_name", "text"),
        ("email_verified_at", "date"),
        ("email", "date"),
        ("birthday_greeting", "text"),
        ("address_count", "number"),
        ("street", "number"),
        ("password_changed_at", "date"),
        ("name", "text"),
        ("pan_handle", "text"),
    ],
)
def test_a_name_that_only_resembles_proposes_nothing(column: str, kind: Kind) -> None:
    assert proposed(column, kind=kind) is None


def test_a_plain_name_is_of_a_person_where_the_table_is_about_people() -> None:
    assert proposed("name", table="customers") == "name: by its name"
    assert proposed("name", table="Employee") == "name: by its name"
    assert proposed("name", table="products") is None


def test_values_say_more_than_the_name() -> None:
    assert proposed("street", ["email"] * 5) == "email: 5 of 5 values look like an e-mail address"


def test_a_sample_keeps_counts_and_no_values() -> None:
    sample = Sample()
    sample.add("person1@example.com", lambda text: {"email"})
    assert "example.com" not in repr(sample)


def test_a_column_whose_values_come_masked_is_known_as_such() -> None:
    sample = Sample()
    for value in ("*****", '"*****"', "pe*****om", "plain"):
        sample.add(value, classes)
    assert sample.is_masked
    assert not Sample(values=2, masked=1).is_masked
    assert not Sample().is_masked


def test_the_block_can_be_pasted_below_a_target() -> None:
    proposals = [
        Proposal(ColumnName("public", "customers", "email"), "email", "by its name"),
        Proposal(ColumnName("billing", "Card.Data", "number"), "card", "4 of 4 values look like a card number"),
    ]
    assert as_yaml(proposals) == (
        "    classify:\n"
        "      public.customers.email: email  # by its name\n"
        "      'billing.\"Card.Data\".number': card  # 4 of 4 values look like a card number"
    )
    target = f"targets:\n  prod-db:\n    kind: postgres\n{as_yaml(proposals)}\n    database: app\n"
    read = yaml.safe_load(target)["targets"]["prod-db"]
    assert read["database"] == "app"
    assert {read_column(name): kind for name, kind in read["classify"].items()} == {
        one.column: one.data_class for one in proposals
    }


def test_nothing_to_propose_is_yaml_too() -> None:
    assert yaml.safe_load(as_yaml([])) == {"classify": {}}


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=15)


@given(NAMES, NAMES, NAMES)
@example("public", "x: y # z", "'a'")
@example("public", "a\nb: c", "\x1b[31m\u202e")
@example("no", "1", "\U0001f600\x7f\x85\ufeff\ud7ff")
@example('"', '""', ".")
@example("é", "straße", "日本")
def test_any_name_is_read_back_as_itself_and_acts_on_no_terminal(schema: str, table: str, column: str) -> None:
    name = ColumnName(schema, table, column)
    assert read_column(written(name)) == name
    block = as_yaml([Proposal(name, "email", "by its name")])
    (key,) = yaml.safe_load(block)["classify"]
    assert read_column(key) == name
    assert block.count("\n") == 1
    assert not any(control in block for control in "\x1b\x7f\x85\u202e\r")
