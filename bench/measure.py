"""One measurement: a fresh server, the load generator, and the line of JSON it prints."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from bench import programs
from bench.peers import GENERATOR_CORE, RELAY, Peer, PeerFailed, Server, on_core
from bench.scenarios import Scenario

Measured = dict[str, Any]

# Servers put off some of their work for a connection; a second after the last one it is done.
SETTLE = 1.0


def applies(scenario: Scenario, peer: Peer) -> bool:
    """Whether the scenario means anything for the server."""
    return not (scenario.queue and not peer.has_queues) and not (scenario.idle and peer is RELAY)


def measure(scenario: Scenario, peer: Peer, seconds: float, one_core: bool) -> Measured:
    """Runs a scenario once against a fresh server, which may be held to one core."""
    with peer.running(pinned=one_core) as server:
        command = _command(scenario, peer, server, seconds)
        return _measure_idle(command, server) if scenario.idle else _measure_load(command)


def _command(scenario: Scenario, peer: Peer, server: Server, seconds: float) -> list[str]:
    return [
        *on_core(GENERATOR_CORE),
        str(programs.loadgen()),
        *("--protocol", peer.protocol, "--port", str(server.port), "--server-pid", str(server.pid)),
        *("--seconds", str(seconds), *scenario.arguments),
    ]


def _measure_load(command: Sequence[str]) -> Measured:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if not run.stdout:
        raise PeerFailed(run.stderr.strip())
    measured = _parse(run.stdout)
    if run.returncode:
        raise PeerFailed("of {due:,} messages {lost:,} were lost and {surplus:,} came too often".format(**measured))
    return measured


def _measure_idle(command: Sequence[str], server: Server) -> Measured:
    before = server.resident_bytes()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as generator:
        assert generator.stdin and generator.stdout and generator.stderr
        line = generator.stdout.readline()
        if not line:
            raise PeerFailed(generator.stderr.read().strip())
        time.sleep(SETTLE)
        grown = server.resident_bytes() - before
        generator.stdin.close()
    measured = _parse(line)
    return measured | {"bytes_per_connection": grown / measured["connections"]}


def _parse(line: str) -> Measured:
    measured: Measured = json.loads(line)
    return measured
