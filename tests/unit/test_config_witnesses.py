"""`evidence.witnesses` in the configuration: who cosigns, and every slip found at the start, by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.terms.settings import WitnessConfig
from tests.peers.certificates import Authority
from tests.unit.bundle_scene import FIRST, WITNESS
from tests.unit.test_config_state import REST

OTHER = str(type(WITNESS)("witness.test/w2", bytes(32), WITNESS.kind))


def witnesses(home: Path, *lines: str) -> tuple[WitnessConfig, ...]:
    (home / "rules").mkdir(exist_ok=True)
    text = "\n".join(["state: sqlite:state.db", "evidence:", "  witnesses:", *(f"    {line}" for line in lines)])
    (home / "hoopx.yaml").write_text(text + REST)
    return load(home / "hoopx.yaml", {}).evidence.witnesses


def test_witnesses_are_taken_as_they_stand(tmp_path: Path) -> None:
    ca = Authority.make("witness").write(tmp_path / "witness-ca.pem")
    assert witnesses(
        tmp_path,
        f"- key: {WITNESS}",
        "  url: https://witness.test/some/prefix/",
        f"- {{key: {OTHER}, url: 'http://127.0.0.1:7380', ca: witness-ca.pem}}",
    ) == (
        WitnessConfig(str(WITNESS), "https://witness.test/some/prefix"),
        WitnessConfig(OTHER, "http://127.0.0.1:7380", ca),
    )


@pytest.mark.parametrize(
    ("lines", "line", "why"),
    [
        ((f"- {{key: {FIRST.verifier}, url: 'https://w.test'}}",), 4, "is not one of a witness"),
        ((f"- {{key: '{str(WITNESS)[:-2]}A=', url: 'https://w.test'}}",), 4, "is not the key of a witness"),
        (("- {key: witness, url: 'https://w.test'}",), 4, "this is not an Ed25519 verifier key"),
        ((f"- {{key: {WITNESS}, url: 'http://w.test'}}",), 4, "plain http is for a witness on this machine"),
        ((f"- {{key: {WITNESS}, url: 'https://ann:secret@w.test'}}",), 4, "holds more than a host and a path"),
        ((f"- {{key: {WITNESS}}}",), 4, "evidence.witnesses[0].url: is missing"),
        ((f"- {{key: {WITNESS}, url: 'https://w.test', name: w}}",), 4, "is not a known key"),
        ((f"- {{key: {WITNESS}, url: 'https://w.test', ca: none.pem}}",), 4, "none.pem"),
        (
            (f"- {{key: {WITNESS}, url: 'https://w.test'}}", f"- {{key: {WITNESS}, url: 'https://v.test'}}"),
            5,
            "is that of another witness too",
        ),
        (("[]",), 3, "is empty"),
    ],
)
def test_slips_are_told_by_their_line(tmp_path: Path, lines: tuple[str, ...], line: int, why: str) -> None:
    with pytest.raises(BadConfig) as raised:
        witnesses(tmp_path, *lines)
    assert why in str(raised.value.message)
    assert f"hoopx.yaml:{line}" in str(raised.value.message)
