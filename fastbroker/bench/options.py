"""The options of `fastbroker bench`, in the groups in which its help shows them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import psutil

from fastbroker.bench.cores import usable_cores
from fastbroker.bench.load import UNBOUNDED, Load, Target
from fastbroker.client.options import client_options

PLOTS = (".png", ".html")
NO_CORE = -1
DEFAULT, DEFAULTS = Load(), Target(host="", port=0)


def _parse_receipts(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    if text == "unbounded":
        return UNBOUNDED
    if not text.isdecimal():
        raise click.BadParameter(f"{text!r} is neither a number nor 'unbounded'")
    return int(text)


def _parse_core(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    if text == "none":
        return NO_CORE
    names = [str(core) for core in usable_cores()]
    if text not in names:
        raise click.BadParameter(f"{text!r} is not one of none, {', '.join(names)}")
    return int(text)


def _check_directory(_ctx: click.Context, _param: click.Parameter, file: Path | None) -> Path | None:
    if file and not file.parent.is_dir():
        raise click.BadParameter(f"there is no directory {file.parent}")
    return file


def _check_plot(ctx: click.Context, param: click.Parameter, file: Path | None) -> Path | None:
    """What a plot needs is asked for before anything is measured."""
    if file and file.suffix not in PLOTS:
        raise click.BadParameter(f"{file} ends neither with {' nor with '.join(PLOTS)}")
    if file and find_spec("matplotlib") is None:
        raise click.BadParameter('plots need matplotlib: pip install "fastbroker[plot]"')
    return _check_directory(ctx, param, file)


def _check_pid(_ctx: click.Context, _param: click.Parameter, pid: int | None) -> int | None:
    if pid is not None and not psutil.pid_exists(pid):
        raise click.BadParameter(f"no process of this machine has the number {pid}")
    return pid


_FROM_0, _FROM_1 = click.IntRange(min=0), click.IntRange(min=1)
_POSITIVE, _SECONDS = click.FloatRange(min=0, min_open=True), click.FloatRange(min=0)
_FILE = click.Path(path_type=Path, dir_okay=False)
_ACK = click.Choice(["auto", "client", "client-individual"])


def _option(name: str, metavar: str, kind: Any, words: str, **more: Any) -> click.Option:
    return click.Option(name.split(), metavar=metavar, type=kind, help=words, **more)


def _flag(name: str, words: str, **more: Any) -> click.Option:
    return click.Option(name.split(), is_flag=True, help=words, **more)


@click.command()
@client_options
def _other_command() -> None:
    """Stands for `send` and `subscribe`."""


# Where the server is, and as whom, is said as it is to them; headers are those of the load.
_URL = [option for option in _other_command.params if option.name != "headers"]
_SERVER = (
    *_URL,
    _option(
        "--virtual-host", "NAME", click.STRING, "The header host of CONNECT.  [default: the host of --url]", default=""
    ),
    _option(
        "--topic-prefix",
        "TEXT",
        click.STRING,
        "What the name of a topic begins with.",
        default=DEFAULTS.topic_prefix,
        show_default=True,
    ),
    _option(
        "--queue-prefix",
        "TEXT",
        click.STRING,
        "What the name of a queue begins with.",
        default=DEFAULTS.queue_prefix,
        show_default=True,
    ),
    _option(
        "--credit-header",
        "LINE",
        click.STRING,
        "The header of SUBSCRIBE that asks for --credit; empty for none.",
        default=DEFAULTS.credit_header,
        show_default=True,
    ),
    _option(
        "--replay-header",
        "LINE",
        click.STRING,
        "The header of SUBSCRIBE that asks for what a topic keeps.",
        default=DEFAULTS.replay_header,
        show_default=True,
    ),
    _option(
        "--priority-header",
        "LINE",
        click.STRING,
        "A header of SEND and SUBSCRIBE without which queues have no priorities.",
        default=DEFAULTS.priority_header,
    ),
    _option(
        "--queue-header",
        "LINE",
        click.STRING,
        "A header of SEND and SUBSCRIBE that says of which kind a queue is.",
        default=DEFAULTS.queue_header,
    ),
    _option(
        "--durable-header durable_headers",
        "LINE",
        click.STRING,
        "A header of SUBSCRIBE with which it is durable; several are several options.",
        default=DEFAULTS.durable_headers,
        multiple=True,
        show_default=True,
    ),
    _option(
        "--selector-prefix",
        "TEXT",
        click.STRING,
        "What selectors must begin with so that they compare numbers.",
        default=DEFAULTS.selector_prefix,
    ),
    _option(
        "--server-pid",
        "PID",
        click.INT,
        "The server's process, if it runs on this machine, for its CPU and memory.",
        callback=_check_pid,
    ),
    _flag("--serve", "Instead of --url: start a fastbroker for each run, on a free port, and stop it."),
)
# Each sets the field of a load that has its name; without a value the scenario decides.
_LOAD = (
    _option("--publishers", "N", _FROM_1, "Connections that send; for request-reply, that ask."),
    _option("--subscribers", "N", _FROM_0, "Connections that receive; for request-reply, that answer."),
    _option("--destinations", "N", _FROM_1, "Topics or queues, shared out among the connections."),
    click.Option(["--queue/--topic"], default=None, help="Send to queues, or to topics."),
    _option("--pattern", "TEXT", click.STRING, "Subscribe to a pattern of all destinations: '{name}.*'."),
    _option("--size", "BYTES", _FROM_1, "Size of a body: 16 or more, with --verify 22."),
    _option("--ack", "MODE", _ACK, "auto, client or client-individual."),
    _option("--credit", "N", _FROM_0, "With acks: prefetch-count of a subscription; 0 leaves it to the server."),
    _flag("--persistent", "Send with persistent:true.", default=None),
    _flag("--durable", "Subscriptions to topics are durable.", default=None),
    _option(
        "--receipts",
        "WINDOW",
        click.STRING,
        "Receipts: so many open at most, or unbounded; 0 asks for none.",
        callback=_parse_receipts,
    ),
    _option("--transaction", "N", _FROM_0, "Messages in each transaction; 0 for no transactions."),
    _option("--rate", "N", _SECONDS, "Messages a second over all publishers, each timed from when it was due."),
    _option("--window", "N", _FROM_0, "Most messages under way, sent and not received; 0 for no bound."),
    _option("--backlog", "N", _FROM_0, "Messages that queues hold before the first consumer comes."),
    _option("--priorities", "N", click.IntRange(0, 10), "Messages have priorities: 0 to N-1, in turn."),
    _flag("--selecting", "Each subscriber has a selector; a message is wanted by one of them.", default=None),
    _option("--groups", "N", _FROM_0, "Messages belong to N groups, in turn (JMSXGroupID)."),
    _option("--messages", "N", _FROM_1, "Messages that are replayed, or due at one moment, or drained."),
    _option("--delay", "SECONDS", _SECONDS, "Time until what is scheduled is due.  [default: 30]"),
    _option("--slow", "N", _FROM_0, "Further subscribers, that never read."),
    _option("--connections", "N", _FROM_1, "Connections of ping, connect-rate, connect-storm, idle and churn."),
    _option("--ramp", "N", _SECONDS, "Connections opened a second; 0 for as fast as the server takes them."),
    _flag("--no-content-length content_length", "Send without content-length.", flag_value=False, default=None),
    _flag("--verify", "Give each body a checksum, and check it.", default=None),
)
_RUN = (
    _option("--duration seconds", "SECONDS", _POSITIVE, f"Measured time of a run.  [default: {DEFAULT.seconds:g}]"),
    _option("--warm-up", "SECONDS", _SECONDS, f"Time before it.  [default: {DEFAULT.warm_up:g}]"),
    _option(
        "--patience",
        "SECONDS",
        _POSITIVE,
        f"What is missing when nothing has come for so long is lost.  [default: {DEFAULT.patience:g}]",
    ),
    _option("--repeat", "N", _FROM_1, "Runs of each scenario.", default=1, show_default=True),
    _option(
        "--core",
        "N|none",
        click.STRING,
        "Core that the generator is held to.  [default: the last one, if the server is on this machine]",
        callback=_parse_core,
    ),
    _option("--json json_file", "FILE", _FILE, "Write all results to this file.", callback=_check_directory),
    _option("--plot plot_file", "FILE", _FILE, "Draw them: FILE.png or FILE.html.", callback=_check_plot),
    _flag("--quiet", "Show no progress."),
    _flag("--list as_list", "List the scenarios, and measure nothing."),
)
GROUPS: dict[str, tuple[click.Parameter, ...]] = {"Server": _SERVER, "Load": _LOAD, "Run": _RUN}
OPTIONS = [option for group in GROUPS.values() for option in group]


class GroupedCommand(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group, and one for what is in none: --help."""
        others = tuple(option for option in self.get_params(ctx) if option not in OPTIONS)
        for title, options in {**GROUPS, "Other": others}.items():
            with formatter.section(title):
                formatter.write_dl([line for option in options if (line := option.get_help_record(ctx))])
