"""A column's class is said in its comment or security label, and what was badly said still hides it."""

from __future__ import annotations

import pytest

from hoopx_broker.masking.labels import MASKED, MAX_TEXT, UNREADABLE, Label, class_of


def commented(text: str) -> str | None:
    return class_of([Label("", text)])


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("hoopx:email", "email"),
        ("Contact address. hoopx:email", "email"),
        ("Contact address (hoopx:email).", "email"),
        ("`hoopx:national-id`, see the handbook", "national-id"),
        ("first line\nhoopx:email\nlast line", "email"),
        ("hoopx:email hoopx:card", "email"),
        ("hoopx:email, hoopx:", "email"),
        ("a column about hoopx", None),
        ("the broker stands at https://hoopx:8443/ and at db.hoopx:5432", None),
        ("myhoopx:email", None),
        ("", None),
        # a comment is not what PostgreSQL Anonymizer reads
        ("MASKED WITH VALUE NULL", None),
    ],
)
def test_the_first_word_of_a_comment_is_its_class(comment: str, expected: str | None) -> None:
    assert commented(comment) == expected


@pytest.mark.parametrize(
    "comment",
    [
        "hoopx:",
        "hoopx: email",
        "hoopx:E-Mail",
        "hoopx:Email",
        "hoopx:e_mail",
        "hoopx:email,card",
        "hoopx:email/card",
        "hoopx:-email",
        "hoopx:email-",
        "hoopx:email\u200b",
        "hoopx:\u0435mail",  # with a Cyrillic letter
        "hoopx::email",
        "hoopx:email=raw",
        "hoopx: hoopx:email",
    ],
)
def test_a_word_that_names_no_class_hides_the_column(comment: str) -> None:
    assert commented(comment) == UNREADABLE


@pytest.mark.parametrize("comment", ["HOOPX:email", "Hoopx:email"])
def test_a_word_in_capitals_is_the_same_word(comment: str) -> None:
    assert commented(comment) == "email"


def test_a_class_that_the_bound_cuts_off_is_not_taken_for_another() -> None:
    padding = " " * (MAX_TEXT - len("hoopx:email"))
    assert commented(f"{padding}hoopx:email") == "email"
    assert commented(f"{padding}hoopx:email-of-a-child") == UNREADABLE
    assert commented(f"{padding} hoopx:email") == UNREADABLE
    assert commented(f"hoopx:email {padding} and a whole book") == "email"


def test_any_providers_label_may_name_a_class() -> None:
    assert class_of([Label("dummy", "hoopx:email")]) == "email"
    assert class_of([Label("dummy", "classified")]) is None
    assert class_of([Label("dummy", "hoopx:!")]) == UNREADABLE


@pytest.mark.parametrize("provider", ["anon", "devtests"])
@pytest.mark.parametrize(
    "text", ["MASKED WITH FUNCTION anon.fake_email()", "MASKED WITH VALUE NULL", "  masked\n with value $$x$$"]
)
def test_what_the_anonymizer_masks_is_masked_here_too(provider: str, text: str) -> None:
    assert class_of([Label(provider, text)]) == MASKED


@pytest.mark.parametrize("text", ["NOT MASKED", "MASKED", "QUASI IDENTIFIER", "MASKED WITHOUT"])
def test_other_labels_of_the_anonymizer_classify_nothing(text: str) -> None:
    assert class_of([Label("anon", text)]) is None


def test_the_comment_comes_first_then_providers_by_their_names_then_the_anonymizer() -> None:
    said = [Label("zeta", "hoopx:card"), Label("anon", "MASKED WITH VALUE NULL"), Label("beta", "hoopx:iban")]
    assert class_of(said) == "iban"
    assert class_of(reversed(said)) == "iban"
    assert class_of([*said, Label("", "hoopx:email")]) == "email"
    assert class_of([*said, Label("", "hoopx:?")]) == UNREADABLE
    assert class_of([Label("", "plain"), *said[:2]]) == "card"
