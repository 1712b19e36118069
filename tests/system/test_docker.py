"""The Dockerfile and what belongs to it, as far as that can be checked without Docker: see docs/transports.md."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from harness.broker import ROOT

from fastbroker.cli import main
from fastbroker.config.overlay import VARIABLES, load
from fastbroker.transports import address

DOCKER = ROOT / "docker"
SETTINGS = DOCKER / "fastbroker.toml"
KNOWN = {
    *("FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK"),
    *("STOPSIGNAL", "ENTRYPOINT", "CMD"),
}


def instructions():
    """Those of the Dockerfile, each with what follows it."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line]


def only(name):
    (found,) = [rest for instruction, rest in instructions() if instruction == name]
    return found


def from_checkout():
    """What is copied from the checkout: the sources, and where they go."""
    copies = [rest.split() for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    return [(sources, target) for *sources, target in copies]


def environment():
    """What compose.yaml sets."""
    lines = (DOCKER / "compose.yaml").read_text().splitlines()
    pairs = [re.fullmatch(r' +(FASTBROKER\w+): "(.*)"', line) for line in lines]
    return {pair[1]: pair[2] for pair in pairs if pair}


def test_its_instructions_are_known():
    assert {name for name, _ in instructions()} == KNOWN
    assert next(name for name, _ in instructions()) == "FROM"
    assert len({rest.split()[0] for name, rest in instructions() if name == "FROM"}) == 1, "one Python for both stages"
    assert only("STOPSIGNAL") == "SIGTERM"
    assert only("USER") not in ("root", "0")


def test_what_it_copies_is_there_and_not_ignored():
    sources = [source for found, _ in from_checkout() for source in found]
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    assert sorted(line[1:] for line in ignored if line.startswith("!")) == sorted(sources)


def test_what_it_copies_is_all_that_a_build_takes(tmp_path):
    """But for the compiled half, which takes minutes."""
    for sources, target in from_checkout():
        for source in sources:
            to = tmp_path / "src" / target / (Path(source).name if target.endswith("/") else "")
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            elif not target.startswith("/"):
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, to)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel", "--no-index", "--no-deps"]
    ended = subprocess.run(
        [*pip, "--no-build-isolation", "--wheel-dir", tmp_path, tmp_path / "src"],
        env={"PATH": "/nowhere", "FASTBROKER_THIN": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert {"fastbroker/cli.py", "fastbroker/fastbroker.service"} <= set(zipfile.ZipFile(wheel).namelist())


def test_its_command_is_one_that_the_broker_takes(monkeypatch):
    command = [*json.loads(only("ENTRYPOINT")), *json.loads(only("CMD"))]
    assert shlex.join(command) == "fastbroker serve -c /etc/fastbroker/fastbroker.toml"
    assert (["docker/fastbroker.toml"], command[-1]) in from_checkout()
    assert environment().keys() <= VARIABLES.keys()
    checked = CliRunner().invoke(main, ["check-config", str(SETTINGS)], env=environment())
    assert checked.exit_code == 0, checked.output
    refused = CliRunner().invoke(main, ["check-config", str(SETTINGS)])
    assert refused.exit_code == 1, "nobody is let in from elsewhere unless somebody says so"
    assert "set auth.allow_anonymous = true" in refused.stderr


def test_its_ports_and_directories_are_those_of_the_configuration():
    config, _ = load(str(SETTINGS), environment(), {})
    ports = [str(address.parse(each).port) for each in config.listen]
    assert only("EXPOSE").split() == ports
    compose = (DOCKER / "compose.yaml").read_text()
    assert re.findall(r'- "(\S+)"', compose) == [f"127.0.0.1:{port}:{port}" for port in ports]
    assert f"- data:{config.data_dir}\n" in compose
    assert only("VOLUME") == config.data_dir
    made = [rest for name, rest in instructions() if name == "RUN" and "useradd" in rest]
    assert config.data_dir in shlex.split(made[0])


def test_it_is_built_from_this_checkout_by_compose():
    compose = (DOCKER / "compose.yaml").read_text()
    context, file = (re.search(rf"\n +{key}: (\S+)\n", compose)[1] for key in ("context", "dockerfile"))
    assert (DOCKER / context).resolve() == ROOT
    assert (DOCKER / context / file).resolve() == DOCKER / "Dockerfile"


def test_its_health_is_what_the_broker_answers(broker):
    """The command is run by something else than Docker, against a broker here and against none."""
    options, _, command = only("HEALTHCHECK").partition(" CMD ")
    assert options == "--interval=30s --timeout=10s --start-period=10s"
    program, *arguments = json.loads(command)
    assert program == "fastbroker"
    url = f"tcp://127.0.0.1:{broker.ports['tcp']}"
    assert CliRunner().invoke(main, arguments, env={"FASTBROKER_URL": url}).exit_code == 0
    nobody = CliRunner().invoke(main, arguments, env={"FASTBROKER_URL": "unix:///nowhere"})
    assert nobody.exit_code == 1


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "fastbroker.toml"])
def test_the_documents_name_it(name):
    assert f"docker/{name}" in (ROOT / "docs" / "transports.md").read_text()
