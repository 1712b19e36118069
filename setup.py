"""Builds the compiled half: csrc/<name>.pyx is fastbroker.core.<name>, bench/generator/ is fastbroker.bench.generator.

Build switches, all off by default, are environment variables; a make target uses each:

    FASTBROKER_DEBUG=1      bounds checks, wraparound and None checks in the Cython code, C asserts, -O1 -g
    FASTBROKER_COVERAGE=1   line tracing for coverage.py's Cython plugin, which wants the C files beside their sources
    FASTBROKER_SANITIZE=1   address and undefined-behaviour sanitizers, C asserts, -O1 -g
    FASTBROKER_NATIVE=1     -march=native, for a machine's own build; wheels never use it
    FASTBROKER_THIN=1       leave the compiled half out: it is there already
    FASTBROKER_JOBS=n       compile n files at a time; without it as many as there are processors

A build with switches must not share the directories of a build with others: setuptools compares the times of files, not
how they were compiled.
"""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-function", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined"]


def switch(name: str) -> bool:
    return os.environ.get(f"FASTBROKER_{name}", "") not in ("", "0")


TO_INSTALL = """
    Debian, Ubuntu   apt install gcc libc6-dev python3-dev
    Fedora           dnf install gcc python3-devel
    Alpine           apk add gcc musl-dev python3-dev
    macOS            xcode-select --install

The headers must be of this Python: where its version is not that of the system, they come with it, or in a package of
its version, such as python3.13-dev.
"""


def missing() -> str:
    """What cannot be compiled without, or nothing: told now, as it would else be the last line of thousands."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    headers = sysconfig.get_path("include")
    flags = shlex.split(" ".join(os.environ.get(name, "") for name in ("CFLAGS", "CPPFLAGS")))
    places = [f"-I{each}" for each in (headers, sysconfig.get_path("platinclude"))]
    command = [*compiler, *flags, *places, "-fsyntax-only", "-x", "c", "-"]
    try:
        tried = subprocess.run(command, input="#include <Python.h>\n", capture_output=True, text=True, check=False)
    except OSError as error:
        return f"the C compiler {compiler[0]!r} cannot be run: {error.strerror}"
    if tried.returncode and not Path(headers, "Python.h").exists():
        return f"the C headers of {sys.executable} are missing: there is no {Path(headers, 'Python.h')}"
    return f"the C compiler {compiler[0]!r} does not work:\n{tried.stderr.strip()}" if tried.returncode else ""


if not switch("THIN") and (reason := missing()):
    sys.exit(f"fastbroker cannot be compiled here: {reason}\n{TO_INSTALL}")

debug, coverage, sanitize = switch("DEBUG"), switch("COVERAGE"), switch("SANITIZE")
variant = "-".join(name for name in ("debug", "coverage", "sanitize") if switch(name.upper()))
build_dir = None if coverage else str(Path("build", variant, "cython"))
checked = debug or sanitize

macros = [] if checked else [("NDEBUG", "1"), ("CYTHON_WITHOUT_ASSERTIONS", "1")]
if coverage:
    macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]


def extension(name: str, sources: list[str], headers: str, *arguments: str) -> Extension:
    return Extension(
        name,
        sources,
        include_dirs=["."],
        depends=["setup.py", *sorted(str(header) for header in Path().glob(headers))],
        define_macros=macros,
        undef_macros=["NDEBUG"] if checked else [],  # the interpreter defines it for everything that is built for it
        extra_compile_args=[
            *(["-O1", "-g"] if checked else ["-O3", "-g0"]),
            *WARNINGS,
            *(["-march=native"] if switch("NATIVE") else []),
            *(SANITIZERS if sanitize else []),
            *arguments,
        ],
        extra_link_args=SANITIZERS if sanitize else [],
    )


# What Cython makes of generator.pyx may lie beside it.
generator = [str(source) for source in sorted(Path("bench", "generator").glob("*.c")) if source.stem != "generator"]
extensions = [
    *(
        extension(f"fastbroker.core.{source.stem}", [f"csrc/{source.name}"], "csrc/*.h")
        for source in sorted(Path("csrc").glob("*.pyx"))
    ),
    extension(
        "fastbroker.bench.generator",
        ["bench/generator/generator.pyx", *generator],
        "bench/generator/*.h",
        "-fvisibility=hidden",
        "-Werror=implicit-function-declaration",
        "-D_GNU_SOURCE",
    ),
]


def named_in(path: Path) -> set[str]:
    return set(re.findall(r"from fastbroker\.core\.(\w+) cimport", path.read_text()))


def forget_if_older_than_its_declarations(source: Path) -> None:
    """Cython looks for x.pxd beside x.pyx; ours is elsewhere: changes there, or in what that names, would be missed."""
    generated = Path(build_dir or ".", "csrc", f"{source.stem}.c")
    known: set[str] = set()
    rooms = {source.stem, *named_in(source)}
    while new := rooms - known:
        known |= new
        rooms |= {name for room in new for name in named_in(Path("fastbroker", "core", f"{room}.pxd"))}
    newest = max(Path("fastbroker", "core", f"{room}.pxd").stat().st_mtime for room in known)
    if generated.exists() and newest > generated.stat().st_mtime:
        generated.unlink()


for source in Path("csrc").glob("*.pyx"):
    forget_if_older_than_its_declarations(source)

core = cythonize(
    [] if switch("THIN") else extensions,
    include_path=["."],
    build_dir=build_dir,
    compiler_directives={
        "language_level": "3",
        "boundscheck": debug,
        "wraparound": debug,
        "nonecheck": debug,
        "initializedcheck": debug,
        "cdivision": True,
        "linetrace": coverage,
    },
)


def trace_no_results(source: Path) -> None:
    """Cython makes Python objects of C results to show them to the tracer, which fails for a pointer that is NULL."""
    code = source.read_text()
    traced = re.sub(r"__Pyx_TraceReturnCValue\(\w+, \w+, (?=\d)", "__Pyx_TraceReturnValue(NULL, ", code)
    if traced != code:
        source.write_text(traced)


if coverage:
    for extension in core:
        trace_no_results(Path(extension.sources[0]))

setup(
    # The headers go where `cdef extern from "csrc/wire.h"` finds them when a plugin has fastbroker/include on its path.
    packages=[*find_packages(include=["fastbroker", "fastbroker.*"]), "fastbroker.include.csrc"],
    package_dir={"fastbroker.include.csrc": "csrc"},
    ext_modules=core,
    options={"build_ext": {"parallel": int(os.environ.get("FASTBROKER_JOBS", "0")) or os.cpu_count()}},
)
