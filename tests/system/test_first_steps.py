"""From a checkout to a message: what `make run` says, and what the build says on a machine that lacks something."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from harness.broker import ROOT
from harness.waiting import DEADLINE

PROGRAM = Path(sysconfig.get_path("scripts"), "fastbroker")


def start(*arguments):
    """What `make run` starts."""
    command = [sys.executable, "examples/hello.py", PROGRAM, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "ws://127.0.0.1:0", "unix://{}/a socket"])
def test_what_make_run_says_can_be_typed(tmp_path, listen):
    """And the broker is the process that was started: Ctrl-C and its exit status are what they are without it."""
    with start("--data-dir", str(tmp_path / "data"), "--listen", listen.format(tmp_path)) as run:
        assert run.stdout.readline().startswith("listening on ")
        assert run.stdout.readline() == "\n"
        subscribe, send = (shlex.split(run.stdout.readline().partition(":  ")[2]) for _ in range(2))
        with subprocess.Popen([*subscribe, "--count", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
            assert waiting.stderr.readline() == b"subscribed to /topic/hello\n"
            subprocess.run(send, check=True, timeout=3 * DEADLINE)
            assert waiting.communicate(timeout=3 * DEADLINE)[0] == b"hello, world\n"
        run.send_signal(signal.SIGINT)
        assert run.wait(3 * DEADLINE) == 0


def test_make_run_says_no_url_that_need_not_be_typed():
    sys.path.insert(0, str(ROOT / "examples"))
    from hello import to_type

    assert "subscribe /topic/hello\n" in to_type("x", "listening on tcp://127.0.0.1:61613\n")
    assert "subscribe --url tcp://127.0.0.1:1 /" in to_type("x", "listening on tcp://0.0.0.0:1\n")
    assert "subscribe --url 'tcp://[::1]:1' /" in to_type("x", "listening on tls://a:2\nlistening on tcp://[::]:1\n")
    assert to_type("x", "listening on tls://a:2\nlistening on tcp://127.0.0.1:1?proxy_protocol\n") == ""


def test_make_run_with_something_else_than_a_broker():
    with start("--help") as run:
        out, err = run.communicate(timeout=3 * DEADLINE)
    assert (run.returncode, err) == (0, "")
    assert out.startswith("Usage: fastbroker serve ")
    assert "terminal" not in out


# ---- what a build needs ----

# Runs setup.py with headers that are elsewhere.
WITHOUT_HEADERS = """
import runpy, sys, sysconfig
found = sysconfig.get_path
sysconfig.get_path = lambda name, *more, **how: "/nowhere" if "include" in name else found(name, *more, **how)
sys.argv[0] = "setup.py"
runpy.run_path("setup.py", run_name="__main__")
"""


def build(tmp_path, *python, **environ):
    """Try to compile in a copy in which there is nothing that could be."""
    shutil.copy(ROOT / "setup.py", tmp_path)
    return subprocess.run(
        [sys.executable, *python, "build_ext"],
        cwd=tmp_path, env={**os.environ, "FASTBROKER_THIN": "", **environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("python", "compiler", "complaint"),
    [
        (["setup.py"], "/nowhere/cc", "the C compiler '/nowhere/cc' cannot be run: No such file or directory"),
        (["setup.py"], "ls", "the C compiler 'ls' does not work:\nls: "),
        (["-c", WITHOUT_HEADERS], "", f"the C headers of {sys.executable} are missing: there is no /nowhere/Python.h"),
    ],
    ids=["no compiler", "no C compiler", "no headers"],
)
def test_what_is_missing_is_told_before_anything_is_compiled(tmp_path, python, compiler, complaint):
    ended = build(tmp_path, *python, CC=compiler)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"fastbroker cannot be compiled here: {complaint}")
    for package in ("apt install gcc libc6-dev python3-dev", "python3-devel", "musl-dev", "xcode-select --install"):
        assert package in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["setup.py"]


def test_where_nothing_is_to_be_compiled_nothing_is_needed(tmp_path):
    assert "cannot be compiled here" not in build(tmp_path, "setup.py", CC="/nowhere/cc", FASTBROKER_THIN="1").stderr
