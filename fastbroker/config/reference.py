"""`python -m fastbroker.config.reference > docs/configuration.md` writes the reference of all keys from `schema.py`."""

import sys
from collections.abc import Iterator
from inspect import cleandoc

from msgspec import Struct

from fastbroker.config.keys import Key, keys_of
from fastbroker.config.moved import MOVED
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
   `FASTBROKER__LIMITS__MAX_FRAME="16 MiB"`, `FASTBROKER__LISTEN=tcp://127.0.0.1:61613,tcp://[::1]:61613`. One that has
   an underscore too few, `FASTBROKER_LIMITS_MAX_FRAME`, is not read, and told: by the broker as a warning in its log.
3. **A file** in [TOML](https://toml.io), given with `fastbroker serve -c FILE`.
4. **The defaults** below.

Three commands help with it:

```console
$ fastbroker config --defaults > broker.toml   # every key, explained and commented out: a file to begin with
$ fastbroker check-config broker.toml          # all that is wrong, one line for each mistake
broker.toml: nothing is wrong
$ fastbroker config -c broker.toml             # what is in force, and where each value comes from
```

`config` takes the flags of `serve`, and what it prints is a file for `serve -c` that says the same, with units:

```
max_frame = "16 MiB"                            # FASTBROKER__LIMITS__MAX_FRAME
max_frame_before_login = "16 KiB"               # default
max_headers = 50                                # broker.toml:12
```

A key that does not exist, a value of a wrong type or out of range, and values that contradict each other keep the
broker from starting. It says where the value came from (file and line, variable or flag), what was found, what was
expected, and which key is the nearest to one that it does not know. `check-config` tells in the same pass what the
broker would only find later: certificates and keys that cannot be used, addresses that it would refuse to listen on,
owners of Unix sockets that do not exist, `websocket.pages` that cannot be read, variables that are not read. It binds
nothing and looks up no name. It warns of dead letters that go to a queue without a limit, and of certificates that
clients may refuse.

A size is a number of bytes, or a string with a unit: `"64 KiB"`, `"4 MiB"`, `"1 GiB"`; `kB`, `MB`, `GB` are powers of
1000. A time is a number of seconds, or a string with a unit: `"500ms"`, `"10s"`, `"5m"`, `"2h"`, `"1d"`.

## One destination

`config --explain` prints what holds for one destination, as a client writes it: its canonical name, the table that
decides, and each key with where its value comes from.

```console
$ fastbroker config --explain /amq/queue/DLQ.jobs
# /queue/DLQ.jobs
# No table [[queues]] of the configuration matches it; this is the broker's own.
...
```

## Keys that have moved

A file or a variable that still has one of these is told where it went.

| key | |
|---|---|
{moved}

## Start and end

Every bound address is printed on the standard output, as `listening on tcp://127.0.0.1:61613`, before the first
connection is accepted. At SIGTERM or SIGINT the broker stops accepting, handles what it has received, gives clients
`drain_timeout` to take what is still to be sent, and exits; a second signal ends it at once. At SIGUSR1 it logs a line
`census` that counts all that is alive in it: connections, sessions, subscriptions, queues, messages, memory. At SIGHUP
it reads the certificates of `[tls]` again. SIGUSR2 does nothing and is reserved. What the log says at all these times,
and at any other, is in [log.md](log.md).

systemd is told when the broker serves, reloads and stops (`Type=notify`, `WatchdogSec=`), and may hand over sockets:
`FileDescriptorName=` is their scheme, `tls`, or `tcp?proxy_protocol`. `fastbroker service` prints a unit file; see
[transports.md](transports.md#systemd).

| exit status of `serve` | |
|---|---|
| 0 | ended by a signal, after `drain_timeout` at the latest |
| 1 | ended at once by a second signal, which cut connections off |
| 2 | not started: the configuration is wrong, or an address, the data directory or the standard output cannot be used |

| of `config` and `check-config` | |
|---|---|
| 0 | nothing is wrong; `check-config` may have warnings |
| 1 | something is wrong, and was printed on the standard error output; or the output cannot be written |
| 2 | the command line is wrong |

The log never holds the broker up. When nobody reads the standard error output, or its disk is full, up to 1 MiB of
lines wait; what comes then is lost, and a line `log lines lost` says later how many there were. A standard stream that
is closed is `/dev/null`.

The other commands end with 1 and one line when their standard output cannot be written, and without a word when its
reader went away. The commands `send` and `subscribe` read no configuration file. They take `FASTBROKER_URL`,
`FASTBROKER_LOGIN` and `FASTBROKER_PASSCODE` from the environment. `fastbroker version --json` says what a report of a
fault should say: the versions of fastbroker, Python, uvloop and OpenSSL, the platform, and the file of the compiled
core (`null`: it is not there).

The shell completes commands, options and files with one of these lines:

- bash 4.4 and newer, in `~/.bashrc`: `eval "$(_FASTBROKER_COMPLETE=bash_source fastbroker)"`
- zsh, in `~/.zshrc` behind `compinit`: `eval "$(_FASTBROKER_COMPLETE=zsh_source fastbroker)"`
- fish, in `~/.config/fish/completions/fastbroker.fish`: `_FASTBROKER_COMPLETE=fish_source fastbroker | source`

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

[subscriptions]
prefetch = 100

[[queues]]                # what cannot be paid is looked at by people, and kept for a month
pattern = "DLQ.payments.#"
max_ttl = "30d"
max_messages = 100000
overflow = "drop-oldest"

[[queues]]
pattern = "payments.#"
max_deliveries = 5
redelivery_delay = "10s"  # then 20 s, 40 s, and a minute

[[topics]]
pattern = "prices.>"      # only the newest price counts
slow_consumer = "drop-oldest"
history = {{ count = 1, age = "1h" }}
```
"""


def reference() -> str:
    """The whole document."""
    flags = ", ".join(f"`{flag}` ({path})" for path, flag in FLAGS.items())
    moved = "\n".join(f"| `{path}` | {sentence} |" for path, sentence in MOVED.items())
    return INTRODUCTION.format(flags=flags, moved=moved) + "".join(_sections(Config, "Top level"))


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
    return f"| `{key.path.removeprefix(prefix)}` | {_default(key)} | {_accepted(key)} | {key.meta.description} |\n"


def _accepted(key: Key) -> str:
    if key.inline:
        return "; ".join(f"`{inner.path}` {_accepted(inner)}" for inner in keys_of(key.inline))
    return " to ".join(key.bounds) or key.expected


def _default(key: Key) -> str:
    if key.required:
        return "required"
    return f"`{key.in_toml(key.default)}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
