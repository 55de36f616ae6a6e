"""The shapes of hidden values as the configuration says them, and every way to say them wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.terms.masks import REDACT, Masks, Shape
from tests.unit.test_config_whole import SMALL, sample

HEAD = SMALL.split("targets:")[0] + (
    "targets:\n  db:\n    {kind: postgres, address: db, database: app,"
    " credentials: {from: static, user: u, password: p},\n"
)
BLOCK = SMALL.split("targets:")[0] + (
    "targets:\n  db:\n    kind: postgres\n    address: db\n    database: app\n"
    "    credentials: {from: static, user: u, password: p}\n"
)
KEY = "a-key-of-more-than-sixteen-bytes"
ENVIRON = {"KEY": KEY, "SHORT": "brief-secret", "ODD": "\udcff" * 20}


def masks(home: Path, text: str) -> Masks:
    (home / "policies").mkdir()
    (home / "hoopx.yaml").write_text(f"{HEAD}    {text}}}\n")
    return load(home / "hoopx.yaml", ENVIRON).targets["db"].masks


def test_every_shape_can_be_said(tmp_path: Path) -> None:
    text = (
        "masks: {email: format, card: {keep: last, characters: 4}, plate: {keep: first, characters: 2},"
        ' ssn: hash, phone: "null", fax: , town: redact, name: {fixed: somebody}}, mask_key: env:KEY'
    )
    found = masks(tmp_path, text)
    assert found.shapes == {
        "email": Shape("format"),
        "card": Shape("keep", last=4),
        "plate": Shape("keep", first=2),
        "ssn": Shape("hash"),
        "phone": Shape("null"),
        "fax": Shape("null"),
        "town": REDACT,
        "name": Shape("fixed", text="somebody"),
    }
    assert found.shape_of("never-said") == REDACT
    assert found.key is not None
    assert found.key.reveal() == KEY


def test_the_documented_sample_holds(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    lines = "".join(f"    {line}\n" for line in sample("masking.md").splitlines())
    (tmp_path / "hoopx.yaml").write_text(BLOCK + lines)
    found = load(tmp_path / "hoopx.yaml", {"HOOPX_MASK_KEY": KEY}).targets["db"].masks
    assert found.shape_of("card-number") == Shape("keep", last=4)
    assert found.key is not None


def test_a_target_that_says_nothing_redacts(tmp_path: Path) -> None:
    assert masks(tmp_path, "") == Masks()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("masks: ", "masks: is empty"),
        ("masks: hash", "masks: must be a section of keys and values, not text"),
        ("masks: {email: formt}", "masks.email: `formt` is not a shape; write `redact`, `format`"),
        ("masks: {email: keep}", "masks.email: `keep` does not say what is left; write"),
        ("masks: {email: fixed}", "masks.email: `fixed` does not say what is left; write"),
        ("masks: {email: 7}", "masks.email: must be text, not a number"),
        ("masks: {email: [hash]}", "masks.email: must be text, not a list"),
        ("masks: {E-Mail: format}", "masks.E-Mail: `E-Mail` is not the name of a data class"),
        ("masks: {card: {keep: last}}", "masks.card.characters: is missing"),
        ("masks: {card: {keep: last, characters: 0}}", "masks.card.characters: expected `int` >= 1"),
        ("masks: {card: {keep: last, characters: 33}}", "masks.card.characters: expected `int` <= 32"),
        ("masks: {card: {keep: both, characters: 2}}", "masks.card.keep: invalid enum value 'both'"),
        ("masks: {card: {keep: last, character: 2}}", "did you mean `characters`?"),
        ("masks: {card: {fixed: x, keep: last}}", "masks.card.keep: is not a known key"),
        ("masks: {name: {fixed: 7}}", "masks.name.fixed: expected `str`, got `int`"),
        ('masks: {name: {fixed: "Müller"}}', "masks.name.fixed: holds other than printable ASCII"),
        ('masks: {name: {fixed: "a\\0b"}}', "masks.name.fixed: holds other than printable ASCII"),
        (f"masks: {{name: {{fixed: {'x' * 257}}}}}", "masks.name.fixed: expected `str` of length <= 256"),
        ("masks: {ssn: hash}", "masks.ssn: is `hash`, which needs a key; add `mask_key: env:NAME`"),
        ("mask_key: env:SHORT", "mask_key: is shorter than 16 bytes"),
        ("mask_key: env:ODD", "mask_key: is not UTF-8 text"),
        ("mask_key: env:GONE", "mask_key: refers to the environment variable `GONE`, which is not set"),
        ("mask_key: ", "mask_key: is empty"),
        ("mask_key: 12", "mask_key: must be text, not a number"),
    ],
)
def test_a_shape_said_wrong_is_told(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(BadConfig) as bad:
        masks(tmp_path, text)
    assert any(f"targets.db.{problem}" in each or problem in each for each in str(bad.value).splitlines()), bad.value


def test_all_that_is_wrong_is_told_at_once_and_never_a_key(tmp_path: Path) -> None:
    with pytest.raises(BadConfig) as bad:
        masks(tmp_path, "masks: {a: hsh, b: keep, c: hash},\n    mask_key: env:SHORT")
    assert len(bad.value.problems) == 3
    assert [problem.line for problem in bad.value.problems] == [7, 7, 8]
    assert "brief-secret" not in str(bad.value)


def test_a_printed_configuration_shows_no_key(tmp_path: Path) -> None:
    assert KEY not in repr(masks(tmp_path, "mask_key: env:KEY"))
