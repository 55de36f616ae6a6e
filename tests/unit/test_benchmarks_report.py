"""What `make bench` prints and writes, and that it still runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.pump import measure_pump
from benchmarks.report import Measured, Rounds, cpu_table, document, kept, openings_table, ratios, table

from tests.peers import found

ROOT = Path(__file__).parents[2]
CPU = {"hoopx": [{"broker": 0.0001, "laptop": 0.00004}, {"broker": 0.0003, "laptop": 0.00002}]}
ROUNDS: Rounds = {"direct": [0.001, 0.002, 0.001], "hoopx": [0.004, 0.004, 0.003], "haproxy": None}


def test_each_round_is_compared_with_the_direct_way_of_the_same_round() -> None:
    assert ratios(ROUNDS) == {"direct": [1.0, 1.0, 1.0], "hoopx": [2.0, 3.0, 4.0], "haproxy": None}


def test_a_row_tells_the_median_and_the_spread_and_what_was_not_measured() -> None:
    head, rule, row = table({"a case": ROUNDS}).splitlines()
    assert head == "| case | direct, ms | hoopx : direct | haproxy : direct |"
    assert rule == "| --- | --- | --- | --- |"
    assert row == "| a case | 1 | 3.00 (2.00 to 4.00) | not measured |"


def test_openings_are_told_in_milliseconds() -> None:
    samples = {"opening": [0.010, 0.020, 0.030]}
    assert openings_table(samples).splitlines()[-1] == "| opening | 20 | 30 |"


def test_the_json_form_holds_every_round() -> None:
    said = document({"cores": 2}, {"a case": Measured(ROUNDS, CPU)}, {"opening": [0.01]})
    assert json.loads(json.dumps(said)) == {
        "machine": {"cores": 2},
        "cases": {
            "a case": {
                "seconds": {name: None if seconds is None else list(seconds) for name, seconds in ROUNDS.items()},
                "ratios": {"direct": 1.0, "hoopx": 3.0, "haproxy": None},
                "cpu": CPU,
            }
        },
        "openings": {"opening": {"p50": 0.01, "p99": 0.01}},
    }


def test_cpu_is_told_of_each_process() -> None:
    assert cpu_table({"a case": Measured(ROUNDS, CPU)}).splitlines()[-1] == "| a case | hoopx | broker 200, laptop 30 |"


def test_the_history_keeps_medians_and_what_they_depend_on() -> None:
    said = kept({"cores": 2}, {"a case": Measured(ROUNDS, CPU)}, {"opening": [0.01]})
    assert said.pop("at")
    assert said == {
        "cores": 2,
        "cases": {
            "a case": {
                "direct_ms": 1.0,
                "ratios": {"hoopx": 3.0, "haproxy": None},
                "cpu_us": {"hoopx": {"broker": 200.0, "laptop": 30.0}},
            }
        },
        "openings_ms": {"opening": 10.0},
    }


def test_the_pump_alone_can_be_measured() -> None:
    assert set(measure_pump(3)) == {"Bind, Describe, Execute, Sync", "Query"}


@pytest.mark.slow
def test_a_short_run_measures_a_case_and_an_opening(tmp_path: Path) -> None:
    for peer in ("postgres", "psql", "pgbench"):
        found.require(peer)
    written = tmp_path / "found.json"
    options = [
        "--only",
        "seen before",
        "--rounds",
        "1",
        "--openings",
        "1",
        "--ways",
        "hoopx;hoopx, native",
        "--json",
        str(written),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| a statement seen before |" in done.stdout
    said = json.loads(written.read_text())
    assert said["cases"]["a statement seen before"]["ratios"]["direct"] == 1.0
    assert said["openings"]["opening (API)"]["p50"] > 0
