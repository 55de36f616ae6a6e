"""Signed notes are those of the C2SP specification: made elsewhere they open here, made here they are the same."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx_broker.terms.errors import BadInput
from hoopx_broker.tlog.notes import BadNote, Verifier, is_name, open_note, sign
from tests.unit.recording_scene import KEY, OTHER_KEY

# Published examples of other implementations (Go's x/mod/sumdb/note and an Elixir library).
NEUMANN_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
NEUMANN_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NEUMANN_NOTE = (
    NEUMANN_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
FOO_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


@pytest.mark.parametrize(("note", "vkey"), [(NEUMANN_NOTE, NEUMANN_VKEY), (FOO_NOTE, FOO_VKEY)])
def test_a_note_signed_elsewhere_opens(note: str, vkey: str) -> None:
    assert open_note(note, vkey) == note.split("\n\n")[0] + "\n"


def test_the_same_key_and_text_give_the_same_note_as_elsewhere() -> None:
    private = Ed25519PrivateKey.from_private_bytes(NEUMANN_SEED)
    assert sign(NEUMANN_TEXT, "PeterNeumann", private) == NEUMANN_NOTE
    assert str(Verifier("PeterNeumann", private.public_key().public_bytes_raw())) == NEUMANN_VKEY


def test_a_text_with_empty_lines_keeps_them() -> None:
    text = "one\n\n\ntwo\n\n"
    assert open_note(KEY.sign(text), KEY.verifier) == text


def test_signatures_of_strangers_are_ignored_wherever_they_stand() -> None:
    stranger = OTHER_KEY.sign("hello\n").rpartition("\n\n")[2]
    note = KEY.sign("hello\n")
    ours = note.rpartition("\n\n")[2]
    for lines in (stranger + ours, ours + stranger, stranger * 20 + ours):
        assert open_note("hello\n\n" + lines, KEY.verifier) == "hello\n"


def test_a_note_that_only_strangers_signed_does_not_open() -> None:
    with pytest.raises(BadNote, match="not signed by"):
        open_note(OTHER_KEY.sign("hello\n"), KEY.verifier)


def test_one_bad_signature_of_the_known_key_spoils_the_note() -> None:
    good = KEY.sign("hello\n").rpartition("\n\n")[2]
    bad = KEY.sign("goodbye\n").rpartition("\n\n")[2]
    for lines in (good + bad, bad + good, bad):
        with pytest.raises(BadNote, match="does not hold"):
            open_note("hello\n\n" + lines, KEY.verifier)


def test_the_signature_covers_every_character_of_the_text() -> None:
    note = KEY.sign("session a\nentries 7\n")
    for changed in (note.replace("7", "8"), "\n" + note, note.replace("7\n", "7\n\n", 1), note.replace(" a", " a ")):
        with pytest.raises(BadNote):
            open_note(changed, KEY.verifier)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        "text\n\n\n",
        NEUMANN_NOTE[:-1],
        NEUMANN_NOTE.replace("— ", "- "),
        NEUMANN_NOTE.replace("— ", "—"),
        NEUMANN_NOTE.replace("\n— ", "\n\x1b— "),
        NEUMANN_NOTE.replace("think", "thi\x07nk"),
        NEUMANN_NOTE.replace("\n", "\r\n"),
        NEUMANN_NOTE + "trailing\n",
        NEUMANN_NOTE.replace("nAM=", "nAN="),  # the same signature, written differently
        NEUMANN_NOTE.replace("nAM=", "nAM"),
        NEUMANN_NOTE.replace("nAM=", "nAM=="),
        NEUMANN_NOTE.replace("\n— ", " \ud800\n— "),
        "text\n\n— PeterNeumann x08gow==\n",  # a key id and nothing signed
    ],
)
def test_what_is_not_a_signed_note_is_refused(note: str) -> None:
    with pytest.raises(BadNote):
        open_note(note, NEUMANN_VKEY)


def test_a_note_has_a_bound() -> None:
    with pytest.raises(BadNote, match="not a signed note"):
        open_note(KEY.sign("x" * (1 << 20) + "\n"), KEY.verifier)


@pytest.mark.parametrize("text", ["", "no newline", "a\tb\n", "a\x1b[31m\n", "half \ud800\n", "nul\0\n"])
def test_only_plain_text_that_ends_in_a_newline_is_signed(text: str) -> None:
    with pytest.raises(BadNote):
        KEY.sign(text)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        NEUMANN_VKEY[:-4],
        NEUMANN_VKEY.replace("c74f20a3", "c74f20a4"),
        NEUMANN_VKEY.replace("c74f20a3", "C74F20A3"),
        NEUMANN_VKEY.replace("+ARpc", "+AhRpc"),
        NEUMANN_VKEY.replace("PeterNeumann", "Peter Neumann"),
        NEUMANN_VKEY.replace("PeterNeumann", "AnyoneElse"),
        NEUMANN_VKEY.replace("PeterNeumann", ""),
    ],
)
def test_a_damaged_verifier_key_is_refused_before_anything_is_believed(vkey: str) -> None:
    with pytest.raises(BadInput):
        Verifier.parse(vkey)


def test_a_verifier_key_survives_being_copied_with_its_newline() -> None:
    assert str(Verifier.parse(NEUMANN_VKEY + "\n")) == NEUMANN_VKEY


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\x00b", "a\u202eb", "\ud800"])
def test_names_hold_no_space_plus_or_control(name: str) -> None:
    assert not is_name(name)
