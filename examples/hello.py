"""Runs the broker for `make run`, and says what to type in two other terminals once it listens.

python examples/hello.py PROGRAM [ARGUMENT...]     PROGRAM serve ARGUMENT...
"""

import os
import shlex
import signal
import sys

from fastbroker.transports.address import DEFAULT_PORT, Address, parse_target

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def to_type(program: str, announced: str) -> str:
    """The two command lines, for the first of the addresses that wants no certificate; nothing if there is none."""
    for line in announced.splitlines():
        said, _, url = line.rpartition("listening on ")
        if said or not url.startswith(("tcp://", "ws://", "unix://")) or url.endswith("?proxy_protocol"):
            continue
        address = parse_target(url)
        address = address._replace(host=EVERYWHERE.get(address.host, address.host))
        where = "" if address == Address("tcp", "127.0.0.1", DEFAULT_PORT) else f"--url {shlex.quote(str(address))} "
        return (
            f"\nin a second terminal:  {program} subscribe {where}/topic/hello\n"
            f'and in a third one:    {program} send {where}/topic/hello "hello, world"\n\n'
        )
    return ""


def repeat(source: int, program: str) -> None:
    """Print what the broker prints. It does that once, and in one piece."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the broker ends at that, and this with it
    while announced := os.read(source, 65_536).decode():
        print(announced + to_type(program, announced), end="", flush=True)


def main() -> None:
    """Let a child read what the broker prints, and become the broker, which is then what signals are sent to."""
    program, *arguments = sys.argv[1:]
    source, sink = os.pipe()
    if os.fork() == 0:
        os.close(sink)
        repeat(source, shlex.quote(program))
    else:
        os.dup2(sink, 1)
        os.execv(program, [program, "serve", *arguments])


if __name__ == "__main__":
    main()
