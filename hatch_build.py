"""The hook that builds wheels: with HOOPX_COMPILE=1 a wheel has its hottest loops compiled, and is for one platform.

Without, it is for every platform, and the same in Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "hoopx_broker/wire/postgres/native"


class CompiledLoops(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles by mypyc what `broker/hoopx_broker/wire/postgres/native.py` is written for."""

    def dependencies(self) -> list[str]:
        return ["mypy>=2.4", "setuptools", "msgspec>=0.22"] if _is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or not _is_wanted():
            return
        source = Path(self.root, "broker")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for built in compiled(source):
            build_data["force_include"][str(built)] = str(built.relative_to(source))


def compiled(source: Path) -> list[Path]:
    """Compile the module beside its source, and give its libraries. Raises `CalledProcessError`."""
    command = [sys.executable, "-m", "mypyc", "--ignore-missing-imports", f"{MODULE}.py"]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)
    return sorted(source.glob(f"{MODULE}*.{sysconfig.get_config_var('SOABI')}.so"))


def _is_wanted() -> bool:
    return os.environ.get("HOOPX_COMPILE") == "1"


if __name__ == "__main__":
    for library in compiled(Path(__file__).parent / "broker"):
        print(library)
