"""Compiles a .pyx file that cimports fastbroker.core, for what has no face to Python, and imports it.

What it makes lies in build/faces and is made anew when the source, or anything it cimports or includes, has changed.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from sysconfig import get_config_var
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


FLAGS = ["-O3", "-g0", "-Wall", "-Wextra", "-Wno-unused-function"]


def compiled(source: Path) -> ModuleType:
    """The module that `source` makes. Raises CalledProcessError, with the compiler's words, when it makes none."""
    return loaded(built(source))


def built(source: Path) -> Path:
    """The file of that module."""
    sanitize = "asan" in os.environ.get("LD_PRELOAD", "")  # then what is tested with the sanitizers is built with them
    target = ROOT / "build" / ("faces-sanitized" if sanitize else "faces")
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [sys.executable, __file__, str(source.relative_to(ROOT)), str(target), *["sanitize"] * sanitize]
    target.mkdir(parents=True, exist_ok=True)
    with (target / "lock").open("w") as lock:  # tests that run side by side compile into one directory
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return target / f"{source.stem}{get_config_var('EXT_SUFFIX')}"


def loaded(file: Path) -> ModuleType:
    """The module in that file."""
    spec = spec_from_file_location(file.name.partition(".")[0], file)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(source: str, target: str, *switches: str) -> None:
    """Compile; does nothing when there is nothing to do."""
    cythonize = import_module("Cython.Build").cythonize  # imported like this, since they have no type hints
    setuptools = import_module("setuptools")
    # Checks make much of what is optimized, so that it takes long to compile.
    checks = ["-fsanitize=address,undefined", "-O1", "-g"] if "sanitize" in switches else []
    extension = setuptools.Extension(
        Path(source).stem,
        [source],
        include_dirs=["."],
        depends=sorted(str(header) for header in Path("csrc").glob("*.h")),
        define_macros=[("NDEBUG", "1")],
        extra_compile_args=[*FLAGS, *checks],
        extra_link_args=checks[:1],
    )
    directives = {"language_level": "3", "boundscheck": False, "wraparound": False, "cdivision": True}
    modules = cythonize([extension], include_path=["."], build_dir=target, compiler_directives=directives, quiet=True)
    command = setuptools.Distribution({"ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = command.build_temp = target
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    build(*sys.argv[1:])
