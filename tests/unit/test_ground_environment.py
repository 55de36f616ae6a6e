"""`.ci/environment` on machines that lack something: what it says, what it installs, and when it keeps still."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "cat", "cksum", "dirname", "id", "env")

PYTHON_WITHOUT_VENV = """\
#!/bin/sh
case "$*" in
    *ensurepip*) exit 1 ;;
    *print*) echo 3.11 ;;
esac
"""
OLD_PYTHON = "#!/bin/sh\nexit 1\n"
APT = '#!/bin/sh\necho "apt-get $*" >> "$APT_LOG"\n'
ROOT_ID = "#!/bin/sh\necho 0\n"
FITTING_PYTHON = "#!/bin/sh\nexit 0\n"


class Machine:
    """A checkout on a machine that has only the programs given to it."""

    def __init__(self, home: Path) -> None:
        self.checkout = home / "checkout"
        self.programs = home / "programs"
        self.apt_log = home / "apt.log"
        self.apt_log.touch()
        self.programs.mkdir()
        (self.checkout / ".ci").mkdir(parents=True)
        shutil.copy(ROOT / ".ci" / "environment", self.checkout / ".ci" / "environment")
        for name in ("requirements.lock", "pyproject.toml", ".ci/uv.lock"):
            (self.checkout / name).write_text(name)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (self.programs / tool).symlink_to(found)

    def has(self, name: str, script: str) -> None:
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def make_environment(self) -> tuple[int, str]:
        done = subprocess.run(
            [str(self.checkout / ".ci" / "environment")],
            env={"PATH": str(self.programs), "APT_LOG": str(self.apt_log)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_python_it_says_which_one_to_install(machine: Machine) -> None:
    code, said = machine.make_environment()
    assert code == 1
    assert "no Python 3.11 to 3.14 found" in said


def test_a_python_that_is_too_old_is_as_good_as_none(machine: Machine) -> None:
    machine.has("python3", OLD_PYTHON)
    assert "no Python 3.11 to 3.14 found" in machine.make_environment()[1]


def test_without_venv_and_without_rights_it_names_the_package(machine: Machine) -> None:
    machine.has("python3", PYTHON_WITHOUT_VENV)
    code, said = machine.make_environment()
    assert code == 1
    assert "apt-get install python3-venv" in said


def test_without_venv_it_installs_the_package_where_it_may(machine: Machine) -> None:
    machine.has("python3", PYTHON_WITHOUT_VENV)
    machine.has("apt-get", APT)
    machine.has("id", ROOT_ID)
    machine.make_environment()
    assert "python3.11-venv" in machine.apt_log.read_text()


def test_with_nothing_to_do_it_does_nothing_and_says_nothing(machine: Machine) -> None:
    python = machine.checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(FITTING_PYTHON)
    python.chmod(0o755)
    assert machine.make_environment()[0] == 0
    python.write_text('#!/bin/sh\ncase "$*" in *pip*) exit 1 ;; esac\n')
    assert machine.make_environment() == (0, "")


def test_a_changed_lock_is_installed_again(machine: Machine) -> None:
    test_with_nothing_to_do_it_does_nothing_and_says_nothing(machine)
    (machine.checkout / "requirements.lock").write_text("newer")
    code, said = machine.make_environment()
    assert code == 1, "this machine's pip always fails"
    assert "installing what requirements.lock names" in said


UV = '#!/bin/sh\necho "uv $*" >> "$APT_LOG"\n'
ALL_THAT_PIP_DID = 'case "$*" in *pip*) echo "$*" >> "$APT_LOG" ;; esac\n'


def prepared(machine: Machine, name: str, script: str) -> None:
    program = machine.checkout / ".venv" / "bin" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(script)
    program.chmod(0o755)


def test_uv_installs_the_lock_with_its_hashes_where_it_can_be_had(machine: Machine) -> None:
    prepared(machine, "python", f"#!/bin/sh\n{ALL_THAT_PIP_DID}")
    prepared(machine, "uv", UV)
    assert machine.make_environment()[0] == 0
    did = machine.apt_log.read_text().splitlines()
    [uv] = [line for line in did if line.startswith("uv ")]
    assert "--require-hashes -r requirements.lock" in uv
    assert not [line for line in did if line.startswith("-m pip install") and "requirements.lock" in line]
    assert "--require-hashes --no-compile -r .ci/uv.lock" in "\n".join(did)


@pytest.mark.parametrize("trouble", ["it cannot be had", "it fails"])
def test_without_uv_pip_installs_the_lock_with_its_hashes(machine: Machine, trouble: str) -> None:
    no_uv = 'case "$*" in *uv.lock*) exit 1 ;; esac\n' if trouble == "it cannot be had" else ""
    prepared(machine, "python", f"#!/bin/sh\n{no_uv}{ALL_THAT_PIP_DID}")
    prepared(machine, "uv", "#!/bin/sh\nexit 1\n")
    assert machine.make_environment()[0] == 0
    assert "--require-hashes -r requirements.lock" in machine.apt_log.read_text()
