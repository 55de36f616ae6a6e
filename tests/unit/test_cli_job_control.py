"""Ctrl-Z and `fg` in a real shell: hoopx stops when its child does, and both go on with the terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.processes import eventually
from tests.unit.cli_screen import Person
from tests.unit.cli_stage import HOOPX, Stage, stage_in

# Reads from the terminal, which only its foreground may; `$stop` says how it comes to a rest.
CHILD = """
trap 'echo tidied' EXIT
echo up; %s
while read line; do echo "read:$line"; done
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("s")) as playing:
        yield playing


@pytest.fixture
def shell(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A bash with job control, as somebody finds it who has configured nothing."""
    folder = tmp_path_factory.mktemp("shell")
    for name, stop in (("typed", ":"), ("stop", "kill -STOP $$"), ("tstp", "kill -TSTP $$")):
        (folder / name).write_text(CHILD % stop)
    (folder / "piped").write_text("trap 'echo heard' INT; echo up; while :; do read line </dev/tty && break; done")
    (folder / "deaf").write_text("trap '' TSTP; echo up; read line; echo \"read:$line\"")
    at = Person(stage, 80, "--norc", "--noprofile", "-i", program="bash", PS1="$ ", DIR=str(folder), HOOPX=HOOPX)
    at.sees("$")
    yield at
    at.terminal.close(force=True)


def _resting(at: Person) -> None:
    """The shell has its prompt back, and says what rests."""
    at.sees("Stopped")
    at.types("jobs; echo $?,$((6 * 7))")
    at.sees("0,42")


def _go_on(at: Person) -> None:
    at.screen.reset()
    at.types("fg")
    at.sees("exec prod-db")  # bash says what it wakes


def test_whoever_stops_gives_the_prompt_back_and_has_the_terminal_again_by_fg(shell: Person, stage: Stage) -> None:
    for name in ("stop", "tstp", "typed"):
        shell.types(f"$HOOPX exec prod-db -- bash $DIR/{name}")
        shell.sees("up")
        if name == "typed":
            shell.presses("z")
        _resting(shell)
        assert len(stage.double.live) == 1, "its session is there"
        _go_on(shell)
        shell.types("again")
        shell.sees("read:again")
        shell.presses("z")  # and once more
        _resting(shell)
        _go_on(shell)
        shell.presses("d")
        shell.sees("tidied")
        eventually(lambda: not stage.double.live, "its session has ended")
        shell.screen.reset()


def test_one_that_hears_nothing_of_ctrl_z_goes_on_in_front(shell: Person, stage: Stage) -> None:
    shell.types("$HOOPX connect prod-db -- bash $DIR/deaf; echo left:$?")
    shell.sees("up")
    shell.presses("z")
    shell.types("here")
    shell.sees("read:here")
    shell.sees("left:0")
    assert "Stopped" not in shell.text


def test_input_from_a_pipe_changes_nothing_of_it(shell: Person) -> None:
    """The terminal gives signals to the whole group, whatever standard input is: each reaches the child once."""
    shell.types("true | $HOOPX exec prod-db -- bash $DIR/piped")
    shell.sees("up")
    shell.presses("c")
    shell.sees("heard")
    shell.presses("z")
    _resting(shell)
    assert shell.text.count("heard") == 1
    _go_on(shell)
    shell.types("enough")
    shell.sees("enough")
    shell.types("echo again:$((1 + 1))")
    shell.sees("again:2")


def test_without_a_shell_that_could_wake_it_hoopx_goes_on(stage: Stage) -> None:
    """What slows a process down stops and continues it alone: its connections must not hang for ever."""
    child = (
        "(until grep -q 'State:.T' /proc/$$/status; do :; done; kill -CONT $$) & kill -STOP $$; psql -Atc 'still here'"
    )
    with stage.begun("exec", "prod-db", "--", "bash", "-c", child) as process:
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "still here\n")


def test_a_child_at_rest_hears_of_the_end(stage: Stage) -> None:
    child = "trap 'exit 9' TERM; echo up; kill -STOP $$; while :; do sleep 0.05; done"
    with stage.begun("exec", "prod-db", "--", "bash", "-c", child) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        stage.double.end_sessions("killed by dora")
        process.communicate(timeout=60)
    assert process.returncode == 9
