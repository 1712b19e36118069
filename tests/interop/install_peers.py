"""Installs the client libraries of the interop tests under `build/peers`.

    python tests/interop/install_peers.py

What is already there is left alone, so it costs nothing to run this before every test run. A library that cannot be
installed does not stop the others: the reason is written beside the directories, and its tests are skipped with it.
"""

from __future__ import annotations

import shutil
import time

import debian_peers
import java_peers
import node_peers
import python_peers
from peers import PEERS, Peer


def main() -> None:
    """Install what is missing, and say so."""
    PEERS.mkdir(parents=True, exist_ok=True)
    peers = (*python_peers.TABLE, *node_peers.TABLE, *debian_peers.TABLE, *java_peers.TABLE)
    for name, peer in {peer.directory.name: peer for peer in peers}.items():
        if peer.installed():
            print(f"{name}: there")
            continue
        print(f"{name}: installing …", flush=True)
        start = time.monotonic()
        reason = install(peer)
        print(f"{name}: {reason or 'installed'} ({time.monotonic() - start:.1f} s)", flush=True)


def install(peer: Peer) -> str:
    """Install into one directory; return why not when that fails."""
    peer.failure.unlink(missing_ok=True)
    partial = peer.directory.with_name(f"{peer.directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if reason := peer.fill(partial):
        peer.failure.write_text(reason)
        return f"FAILED: {reason}"
    (partial / "installed.json").write_text(peer.stamp)
    shutil.rmtree(peer.directory, ignore_errors=True)
    partial.rename(peer.directory)
    return ""


if __name__ == "__main__":
    main()
