"""Serves one message with the fastbroker that is installed where this runs; nothing but that need be installed.

python .ci/check_wheel.py             the commands, and what the package must hold
python .ci/check_wheel.py --plugin    also compiles a module that cimports the core; needs Cython and setuptools
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import chdir, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = str(Path(sysconfig.get_path("scripts"), "fastbroker"))
TIMEOUT = 30
MUST_HOLD = (
    *("py.typed", "fastbroker.service", "bench/generator.pyi"),
    *("core/hub.pyi", "core/trie.pxd", "core/wire.pxd", "include/csrc/wire.h"),
)
PLUGIN = """
from fastbroker.core.pattern cimport is_pattern
from fastbroker.core.session cimport Session
from fastbroker.core.trie cimport Trie

def check():
    assert Session is not None and Trie().memory == 0
    return is_pattern(b"a.*", 3)
"""
PLUGIN_SETUP = """
from importlib.resources import files
from Cython.Build import cythonize
from setuptools import Extension, setup

headers = str(files("fastbroker") / "include")
plugin = Extension("plugin", ["plugin.pyx"], include_dirs=[headers])
setup(name="plugin", ext_modules=cythonize([plugin], language_level=3))
"""


@contextmanager
def broker() -> Iterator[str]:
    """A broker on a free port, which keeps nothing; its URL."""
    command = [COMMAND, "serve", "--listen", "tcp://127.0.0.1:0", "--data-dir", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        listening = re.fullmatch(r"listening on (\S+)\n", process.stdout.readline())
        try:
            assert listening, "the broker said nothing of where it listens"
            yield listening[1]
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(TIMEOUT)
        assert status == 0, f"the broker ended with status {status}"


def serve_one_message() -> None:
    """From `fastbroker send` through a broker to `fastbroker subscribe`; then `fastbroker bench` puts load on it."""
    with broker() as url:
        subscribe = [COMMAND, "subscribe", "--url", url, "--count", "1", "/queue/check"]
        with subprocess.Popen(subscribe, stdout=subprocess.PIPE, text=True) as subscriber:
            subprocess.run([COMMAND, "send", "--url", url, "/queue/check", "a message"], check=True, timeout=TIMEOUT)
            received, _ = subscriber.communicate(timeout=TIMEOUT)
        assert "a message" in received, f"received {received!r}"
        bench = [COMMAND, "bench", "--url", url, "--quiet", "--duration", "0.1", "--warm-up", "0.1", "ping"]
        subprocess.run(bench, check=True, timeout=TIMEOUT, stdout=subprocess.DEVNULL)


def compile_plugin() -> None:
    """A module that cimports the core compiles against what is installed, and finds it there."""
    Path("plugin.pyx").write_text(PLUGIN)
    Path("setup.py").write_text(PLUGIN_SETUP)
    subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], check=True)
    subprocess.run([sys.executable, "-c", "import plugin; assert plugin.check()"], check=True)


def main() -> None:
    """All checks, in a directory of their own."""
    package = files("fastbroker")
    missing = [name for name in MUST_HOLD if not package.joinpath(name).is_file()]
    assert not missing, f"the package lacks {missing}"
    with tempfile.TemporaryDirectory() as directory, chdir(directory):
        serve_one_message()
        if "--plugin" in sys.argv[1:]:
            compile_plugin()
    version = subprocess.run([COMMAND, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{version} on Python {sys.version.split()[0]} served one message")


if __name__ == "__main__":
    main()
