"""Builds the compiled half: csrc/<name>.pyx becomes fastbroker.core.<name>.

Build switches, all off by default, are environment variables:

    FASTBROKER_DEBUG=1      bounds checks, wraparound and None checks in the Cython code, -O1 -g, C asserts
    FASTBROKER_COVERAGE=1   line tracing for coverage.py's Cython plugin
    FASTBROKER_SANITIZE=1   address and undefined-behaviour sanitizers
    FASTBROKER_NATIVE=1     -march=native, for a machine's own build; wheels never use it
"""
import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup


def switch(name: str) -> bool:
    return os.environ.get(f"FASTBROKER_{name}", "") not in ("", "0")


debug, coverage, sanitize = switch("DEBUG"), switch("COVERAGE"), switch("SANITIZE")
flags = ["-O1", "-g"] if debug or sanitize else ["-O3", "-g0"]
flags += ["-Wall", "-Wextra", "-Wno-unused-function", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
link = []
macros = [] if debug else [("NDEBUG", "1"), ("CYTHON_WITHOUT_ASSERTIONS", "1")]
if switch("NATIVE"):
    flags.append("-march=native")
if coverage:
    macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]
if sanitize:
    checks = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined"]
    flags += checks
    link += checks

extensions = [
    Extension(
        f"fastbroker.core.{source.stem}",
        [f"csrc/{source.name}"],
        include_dirs=["."],
        depends=sorted(str(header) for header in Path("csrc").glob("*.h")),
        define_macros=macros,
        extra_compile_args=flags,
        extra_link_args=link,
    )
    for source in sorted(Path("csrc").glob("*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        include_path=["."],
        build_dir="build/cython",
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
)
