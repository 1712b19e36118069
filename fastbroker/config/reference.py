"""`python -m fastbroker.config.reference > docs/configuration.md` writes the reference of all keys from `schema.py`."""

import sys
from collections.abc import Iterator
from inspect import cleandoc

import orjson
from msgspec import Struct

from fastbroker.config.keys import Key, keys_of
from fastbroker.config.overlay import FLAGS
from fastbroker.config.schema import Config

INTRODUCTION = """\
# Configuration

<!-- Made by `python -m fastbroker.config.reference > docs/configuration.md`; change fastbroker/config/ instead. -->

fastbroker runs without any configuration: `fastbroker serve` listens on 127.0.0.1, port 61613, for clients of the same
machine. What you set comes from four places, the stronger ones first:

1. **Flags** of `fastbroker serve`: {flags}.
2. **Environment variables**: `FASTBROKER__` and the key, in capitals, with two underscores for the dot. The value is
   written as in TOML, quotes around a string may be left out, and the strings of a list may stand between commas:
   `FASTBROKER__LIMITS__MAX_FRAME="16 MiB"`, `FASTBROKER__LISTEN=tcp://127.0.0.1:61613,tcp://[::1]:61613`.
3. **A file** in [TOML](https://toml.io), given with `fastbroker serve -c FILE`.
4. **The defaults** below.

`fastbroker check-config FILE` prints the settings that come out, or all that is wrong. A key that does not exist, a
value of a wrong type or out of range, and values that contradict each other keep the broker from starting; it says
where the value came from, what was expected, and which key is the nearest to one that it does not know.

A size is a number of bytes, or a string with a unit: `"64 KiB"`, `"4 MiB"`, `"1 GiB"`; `kB`, `MB`, `GB` are powers of
1000. A time is a number of seconds, or a string with a unit: `"500ms"`, `"10s"`, `"5m"`, `"2h"`, `"1d"`.

## Start and end

Every bound address is printed on the standard output, as `listening on tcp://127.0.0.1:61613`, before the first
connection is accepted. At SIGTERM or SIGINT the broker stops accepting, handles what it has received, gives clients
`drain_timeout` to take what is still to be sent, and exits; a second signal ends it at once. At SIGUSR1 it logs a line
`census` that counts all that is alive in it: connections, sessions, subscriptions, queues, messages, memory. At SIGHUP
it reads the certificates of `[tls]` again.

systemd is told when the broker serves, reloads and stops (`Type=notify-reload`, `WatchdogSec=`), and may hand over
sockets: `FileDescriptorName=` is their scheme, `tls`, or `tcp?proxy_protocol`; see [transports.md](transports.md).

| exit status | |
|---|---|
| 0 | ended by a signal, after `drain_timeout` at the latest |
| 1 | ended at once by a second signal |
| 2 | not started: the configuration is wrong, or an address, the data directory or the standard output cannot be used |

The log never holds the broker up. When nobody reads the standard error output, or its disk is full, up to 1 MiB of
lines wait; what comes then is lost, and a line `log lines lost` says later how many there were. A standard stream that
is closed is `/dev/null`.

The other commands end with 1 and one line when their standard output cannot be written, and without a word when its
reader went away. The commands `send` and `subscribe` read no configuration file. They take `FASTBROKER_URL`,
`FASTBROKER_LOGIN` and `FASTBROKER_PASSCODE` from the environment.

## Example

```toml
listen = ["tcp://0.0.0.0:61613", "tcp://[::1]:61613"]
drain_timeout = "20s"

[log]
format = "json"

[auth]
allow_anonymous = true    # everybody in our private network may connect

[limits]
max_frame = "1 MiB"
memory = "4 GiB"

[queues]
prefetch = 100

[[topics]]
pattern = "prices.>"      # only the newest price counts
slow_consumer = "drop-oldest"
```
"""


def reference() -> str:
    """The whole document."""
    flags = ", ".join(f"`{flag}` ({path})" for path, flag in FLAGS.items())
    return INTRODUCTION.format(flags=flags) + "".join(_sections(Config, "Top level"))


def _sections(table: type[Struct], title: str, prefix: str = "") -> Iterator[str]:
    keys = list(keys_of(table, prefix))
    yield f"\n## {title}\n\n{cleandoc(table.__doc__ or '')}\n\n| key | default | range | meaning |\n|---|---|---|---|\n"
    yield from (_row(key, prefix) for key in keys if not key.table and not key.item_table)
    for key in keys:
        if key.table:
            yield from _sections(key.table, f"`[{key.path}]`", f"{key.path}.")
        elif key.item_table:
            yield from _sections(key.item_table, f"`[[{key.path}]]`", f"{key.path}.")


def _row(key: Key, prefix: str) -> str:
    accepted = " to ".join(key.bounds) or key.expected
    return f"| `{key.path.removeprefix(prefix)}` | {_default(key)} | {accepted} | {key.meta.description} |\n"


def _default(key: Key) -> str:
    if key.required:
        return "required"
    default = f'"{key.written(key.default)}"' if key.unit and key.default else orjson.dumps(key.default).decode()
    return f"`{default}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
