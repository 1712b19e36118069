"""Installs the client libraries of the interop tests, each into a directory of its own under `build/peers`.

    python tests/interop/install_peers.py

What is already there is left alone, so it costs nothing to run this before every test run. A library that cannot be
installed does not stop the others: the reason is written beside the directories, and its tests are skipped with it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

from peers import PEERS, TABLE, Peer

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "20")
TIME_LIMIT = 180.0


def main() -> None:
    """Install what is missing, and say so."""
    PEERS.mkdir(parents=True, exist_ok=True)
    for peer in TABLE:
        if peer.installed():
            print(f"{peer.label}: there")
            continue
        print(f"{peer.label}: installing …", flush=True)
        start = time.monotonic()
        reason = install(peer)
        print(f"{peer.label}: {reason or 'installed'} ({time.monotonic() - start:.1f} s)", flush=True)


def install(peer: Peer) -> str:
    """Install one library; return why not when that fails."""
    peer.failure.unlink(missing_ok=True)
    partial = PEERS / f"{peer.label}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    reason = download(peer, str(partial))
    if reason:
        peer.failure.write_text(reason)
        return f"FAILED: {reason}"
    if peer.adapt:
        peer.adapt(partial)
    (partial / "installed.json").write_text(peer.stamp)
    shutil.rmtree(peer.directory, ignore_errors=True)
    partial.rename(peer.directory)
    return ""


def download(peer: Peer, target: str) -> str:
    """Let pip fetch exactly what the table says; return the last line of its complaint when it cannot."""
    command = [*PIP, "install", "--quiet", "--no-deps", "--target", target, *peer.requirements]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {TIME_LIMIT:g} s"
    if done.returncode == 0:
        return ""
    complaints = [line for line in done.stderr.splitlines() if line.strip()]
    return complaints[-1] if complaints else f"pip ended with code {done.returncode}"


if __name__ == "__main__":
    main()
