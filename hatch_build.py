"""The hook that builds wheels: with HOOPX_COMPILE=1 a wheel has its wire engine compiled, and is for one platform.

Without, it is for every platform, and the same in Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Every message of every stream passes through all of these. They are one group, so that they call each other directly.
# Not `effects`: mypyc forgets what stands behind a class's bases, `frozen` too, and a `Judge` is a key.
MODULES = (
    "hoopx_broker/wire/cursor.py",
    *(
        f"hoopx_broker/wire/postgres/{name}.py"
        for name in ("answers", "descriptions", "engine", "frames", "messages", "names", "native")
    ),
)
# What the modules of the group share, beside the packages.
GROUP = "hoopx_wire"

_BUILD = """
import sys
from mypyc.build import mypycify
from setuptools import setup

level, group, *modules = sys.argv[1:]
made = mypycify(["--ignore-missing-imports", *modules], opt_level=level, group_name=group)
setup(name=group, packages=[], ext_modules=made, script_args=["--quiet", "build_ext", "--inplace"])
"""


class CompiledWire(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles by mypyc what each message passes through; the same sources are the fallback and the reference."""

    def dependencies(self) -> list[str]:
        return ["mypy>=2.4", "setuptools", "msgspec>=0.22"] if _is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or not _is_wanted():
            return
        # In a copy: a library that stays beside its source would go before it.
        self._place = tempfile.TemporaryDirectory()
        source = Path(self._place.name)
        ignore = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(Path(self.root, "broker", "hoopx_broker"), source / "hoopx_broker", ignore=ignore)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for built in compiled(source):
            build_data["force_include"][str(built)] = str(built.relative_to(source))


def compiled(source: Path, level: str = "3") -> list[Path]:
    """Compile the modules beside their sources, and give the libraries. Raises `CalledProcessError`.

    `level` is the C compiler's: 0 takes a third of the time, for a build that is only to be the same.
    """
    command = [sys.executable, "-c", _BUILD, level, GROUP, *MODULES]
    subprocess.run(command, cwd=source, check=True, stdout=sys.stderr)
    ending = f".{sysconfig.get_config_var('SOABI')}.so"
    names = [GROUP + "__mypyc", *(module.removesuffix(".py") for module in MODULES)]
    return [source / (name + ending) for name in names]


def _is_wanted() -> bool:
    return os.environ.get("HOOPX_COMPILE") == "1"


if __name__ == "__main__":
    for library in compiled(Path(__file__).parent / "broker"):
        print(library)
