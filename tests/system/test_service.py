"""The unit file that `fastbroker service` prints: what systemd says of it, and what the documents say."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from click.testing import CliRunner
from harness.broker import ROOT, Broker

from fastbroker import unit
from fastbroker.cli import main

# What systemd does for NoNewPrivileges= and, since Linux 6.3 has it too, much of what it does for
# MemoryDenyWriteExecute=. 38 and 65 are the numbers of PR_SET_NO_NEW_PRIVS and PR_SET_MDWE.
CONFINE = """
import ctypes, os, sys
call = ctypes.CDLL(None).prctl
if call(38, 1, 0, 0, 0) or call(65, 1, 0, 0, 0):
    sys.exit(77)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def printed():
    result = CliRunner().invoke(main, ["service"])
    assert result.exit_code == 0
    return result.stdout


def directives(text):
    """Section by section, in their order."""
    sections = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            section.append(line)
    return sections


def test_it_runs_this_very_program(printed):
    (command,) = [line for line in printed.splitlines() if line.startswith("ExecStart=")]
    program, *arguments = command.removeprefix("ExecStart=").split()
    assert program == str(Path(sysconfig.get_path("scripts"), "fastbroker"))
    assert Path(program).exists()
    assert arguments == ["serve", "-c", "${CONFIGURATION_DIRECTORY}/fastbroker.toml"]


@pytest.mark.parametrize(("scripts", "warned"), [("/run/user/1/venv/bin", True), ("/opt/fastbroker/bin", False)])
def test_a_program_that_a_service_would_not_see(monkeypatch, scripts, warned):
    monkeypatch.setattr(unit.sysconfig, "get_path", lambda _: scripts)
    result = CliRunner().invoke(main, ["service"])
    assert f"\nExecStart={scripts}/fastbroker serve " in result.stdout
    assert ("Warning: the service does not see" in result.stderr) == warned


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_finds_nothing_wrong(printed, tmp_path):
    file = tmp_path / "fastbroker.service"
    file.write_text(printed)
    ended = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_documents_explain_every_line(printed):
    section = (ROOT / "docs" / "transports.md").read_text().partition("\n## systemd\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    explained = [found for row in rows for found in re.findall("`([^`]*)`", row)]
    found = directives(printed)
    assert sorted(explained) == sorted(line for line in found["Service"] if not line.startswith("ExecStart="))
    assert found["Install"] == ["WantedBy=multi-user.target"]


def confined(command, **options):
    return subprocess.Popen([sys.executable, "-c", CONFINE, *command[1:]], **options)


def test_a_broker_needs_no_memory_that_it_may_write_and_execute(tmp_path):
    """Over no transport."""
    if subprocess.run([sys.executable, "-c", CONFINE, "-c", ""], check=False).returncode:
        pytest.skip("this system cannot forbid it")
    broker = Broker(tmp_path, run=confined)
    try:
        for url in broker.urls:
            trust = ["--insecure"] if url.startswith(("tls:", "wss:")) else []
            assert CliRunner().invoke(main, ["send", "--url", url, *trust, "/queue/a", "x"]).exit_code == 0, url
    finally:
        broker.stop()
