"""The compiled wire engine keeps the laws of the one in Python: the same tests, over the same sources, compiled."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What needs no server, and between them goes through every state of the engine.
_UNITS = ("bounds", "copy", "lexing", "login", "masks", "queries", "versions")
HELD_TO = (
    "tests/laws/test_wire_laws.py",
    "tests/laws/test_wire_rows_laws.py",
    *(f"tests/unit/test_wire_{name}.py" for name in _UNITS),
    "tests/unit/test_session_prepared.py",
    "tests/unit/test_session_streams.py",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The broker's package with its wire engine compiled, as a wheel has it."""
    if shutil.which("cc") is None:
        pytest.skip("a C compiler is missing: apt-get install gcc")
    place = tmp_path_factory.mktemp("compiled")
    ignore = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "broker" / "hoopx_broker", place / "hoopx_broker", ignore=ignore)
    runpy.run_path(str(ROOT / "hatch_build.py"))["compiled"](place, level="0")
    return place


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_compiled_engine_keeps_every_law(place: Path) -> None:
    where = "from hoopx_broker.wire.postgres import native; assert native.IS_COMPILED, native.__file__"
    environ = os.environ | {"PYTHONPATH": str(place)}
    subprocess.run([sys.executable, "-c", where], env=environ, check=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *HELD_TO]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
