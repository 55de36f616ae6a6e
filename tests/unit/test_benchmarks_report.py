"""What `make bench` prints and writes, and that it still runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.cases import MASKED, pgbench_name
from benchmarks.goals import goals, goals_table
from benchmarks.history import append, comparison, lines_like, slower
from benchmarks.memory import WITH_CLIENT
from benchmarks.openings import OPENING
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
    said = document({"cores": 2}, {"a case": Measured(ROUNDS, CPU)}, {"opening": [0.01]}, {"KiB": 90.0})
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
        "figures": {"KiB": 90.0},
    }


def test_cpu_is_told_of_each_process() -> None:
    assert cpu_table({"a case": Measured(ROUNDS, CPU)}).splitlines()[-1] == "| a case | hoopx | broker 200, laptop 30 |"


def test_the_history_keeps_medians_and_what_they_depend_on() -> None:
    said = kept({"cores": 2}, {"a case": Measured(ROUNDS, CPU)}, {"opening": [0.01]}, {"KiB": 90.0})
    assert said.pop("at")
    assert said == {
        "cores": 2,
        "cases": {
            "a case": {
                "direct_ms": 1.0,
                "ratios": {"hoopx": 3.0, "haproxy": None},
                "spreads": {"hoopx": [2.0, 4.0]},
                "cpu_us": {"hoopx": {"broker": 200.0, "laptop": 30.0}},
            }
        },
        "openings": {"opening": [10.0, 10.0]},
        "figures": {"KiB": 90.0},
    }


def test_ways_that_a_case_leaves_out_are_an_empty_cell() -> None:
    rows = table({"a case": ROUNDS, "another": {"direct": [0.001], "pipe": [0.002]}}).splitlines()
    assert rows[0] == "| case | direct, ms | hoopx : direct | haproxy : direct | pipe : direct |"
    assert rows[-1] == "| another | 1 |  |  | 2.00 (2.00 to 2.00) |"


def test_a_goal_is_met_or_missed_by_the_figures_of_the_run_or_not_measured() -> None:
    rounds: Rounds = {"direct": [0.001], "hoopx": [0.002], "hoopx, native": [0.002], "uvloop pipe": [0.00125]}
    measured = {
        pgbench_name("simple", 1): Measured(rounds),
        pgbench_name("simple", 8): Measured(rounds),
        MASKED: Measured(rounds),
    }
    rows = goals_table(goals(measured, {}, {WITH_CLIENT: 151.0})).splitlines()
    assert "| 1 client, simple, CLI and broker: of direct throughput | at least 0.45 | 0.50 | met |" in rows
    assert "| 1 client, simple, native endpoint: of direct throughput | at least 0.60 | 0.50 | missed |" in rows
    beside = "8 clients, simple, hoopx: of direct throughput, beside a plain uvloop pipe"
    assert f"| {beside} | at least 0.68 | 0.50 | missed |" in rows
    assert f"| {MASKED}: times direct | at most 2 | 2.00 | met |" in rows
    assert f"| {WITH_CLIENT}: KiB | at most 150 | 151 | missed |" in rows
    assert "| opening, warm (API): p99, ms | at most 150 | not measured |  |" in rows


def test_what_left_the_spread_of_the_last_run_of_this_machine_is_called_slower(tmp_path: Path) -> None:
    def run(cores: int, *milliseconds: float) -> dict[str, Any]:
        rounds = {"direct": [0.001] * len(milliseconds), "hoopx": [each / 1000 for each in milliseconds]}
        return kept({"cores": cores}, {"a case": Measured(rounds)}, {}, {"KiB": 10.0 * milliseconds[0]})

    history = tmp_path / "history.jsonl"
    append(history, run(2, 2, 3, 4))
    append(history, run(64, 1, 1, 1))
    wider = run(2, 3, 4, 5)
    before = lines_like(history, wider)
    assert len(before) == 1, "another machine says nothing about this one"
    assert slower(before, wider) == ["KiB"], "its spread reaches into the last one's"
    assert slower(before, run(2, 5, 6, 7)) == ["a case, hoopx : direct", "KiB"]
    assert "| a case, hoopx : direct | 3 | 6 | slower |" in comparison(before, run(2, 5, 6, 7))
    assert "| a case, hoopx : direct | 3 | 1 | faster |" in comparison(before, run(2, 1, 1, 1))


def test_the_pump_alone_can_be_measured() -> None:
    told = {"Bind, Describe, Execute, Sync", "Query", "Query with new constants"}
    assert set(measure_pump(3)) == told


@pytest.mark.slow
def test_a_short_run_measures_cases_openings_and_memory(tmp_path: Path) -> None:
    for peer in ("postgres", "psql", "pgbench"):
        found.require(peer)
    written = tmp_path / "found.json"
    given = ["--quick", "--rounds", "1", "--openings", "3", "--idle", "8", "--json", str(written)]
    command = [sys.executable, "-m", "benchmarks.run", *given, "--history", str(tmp_path / "history.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(written.read_text())
    assert said["cases"]["a statement seen before"]["ratios"]["direct"] == 1.0
    assert said["openings"][OPENING]["p50"] > 0
    assert said["figures"][WITH_CLIENT] > 0
    assert all(
        goal["is_met"] is not None
        for goal in said["goals"]
        if "8 clients" not in goal["what"] and "extended" not in goal["what"]
    )
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1
