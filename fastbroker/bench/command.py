"""The command `fastbroker bench`."""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fastbroker.bench.choose import WrongChoice, check, choose, flood
from fastbroker.bench.cores import last_core
from fastbroker.bench.load import Target
from fastbroker.bench.machine import machine
from fastbroker.bench.options import NO_CORE, OPTIONS, GroupedCommand
from fastbroker.bench.result import Method, Report, Result, write
from fastbroker.bench.scenarios import Scenario
from fastbroker.bench.series import Series, in_order
from fastbroker.bench.serving import Serving, Unreachable, name_of, own_server, where
from fastbroker.bench.show import Live, show_report, show_scenarios
from fastbroker.client.commands import INTERRUPTED
from fastbroker.client.options import trust_for
from fastbroker.transports.address import Address

GOOD, FAILED, NOT_MEASURED, NOT_VALID = 0, 1, 2, 3
OF_A_SERVER = ("--url", "--ca", "--insecure", "--certificate", "--key", "--server-pid")
LOOPBACK = ("127.", "localhost", "::1")


class NotMeasured(click.ClickException):
    """There is nothing to measure; 2 tells that from a run with failures."""

    exit_code = NOT_MEASURED


@click.command(cls=GroupedCommand, params=OPTIONS)
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
def bench(
    scenarios: tuple[str, ...],
    address: Address,
    login: str,
    passcode: str,
    virtual_host: str,
    topic_prefix: str,
    queue_prefix: str,
    credit_header: str,
    replay_header: str,
    priority_header: str,
    queue_header: str,
    durable_headers: tuple[str, ...],
    selector_prefix: str,
    ca: str | None,
    insecure: bool,
    certificate: str | None,
    key: str | None,
    server_pid: int | None,
    serve: bool,
    repeat: int,
    core: int | None,
    json_file: Path | None,
    plot_file: Path | None,
    quiet: bool,
    as_list: bool,
    **load: Any,
) -> None:
    """Put load on a STOMP broker, check every message, and measure.

    SCENARIO is a name of --list, or all, or messaging for what not every server can do, or
    durability for what survives; options change the loads of the
    scenarios. Without a SCENARIO they describe a load of their own, and where nothing is said at all, three usual
    scenarios are run.

    The exit status is 0 if all is well; 1 if messages were lost, came twice, out of order or damaged, or anything else
    failed; 2 if nothing could be measured; 3 if the generator itself was too late for a result to be valid; 130 after
    Ctrl-C.
    """
    if as_list:
        show_scenarios()
        return
    if serve:
        _refuse_other_servers(click.get_current_context())
    else:
        trust_for(address, ca, insecure, certificate, key)
    target = Target(
        **where(address),
        ca=ca,
        insecure=insecure,
        certificate=certificate,
        key=key,
        login=login,
        passcode=passcode,
        virtual_host=virtual_host,
        topic_prefix=topic_prefix,
        queue_prefix=queue_prefix,
        credit_header=credit_header,
        replay_header=replay_header,
        priority_header=priority_header,
        queue_header=queue_header,
        durable_headers=durable_headers,
        selector_prefix=selector_prefix,
    )
    ordered = _chosen(scenarios, {field: value for field, value in load.items() if value is not None}, target)
    serving = own_server if serve else _remote(address, target, server_pid)
    held_to = _core(core, local=serve or server_pid is not None or _is_near(address))
    facts = machine()
    results, interrupted = _measured(Series(serving, repeat, held_to), ordered, repeat, quiet=quiet)
    method = Method(repeat=repeat, core=held_to, own_server=serve, text=_in_words(ordered, repeat, held_to, serve))
    _publish(Report(machine=facts, method=method, results=results), json_file, plot_file)
    sys.exit(INTERRUPTED if interrupted else _status(results))


def _refuse_other_servers(context: click.Context) -> None:
    """--serve starts the server that is measured; what only the environment says of another one does not matter."""
    for option in context.command.params:
        name, given = option.opts[0], context.get_parameter_source(str(option.name))
        if name in OF_A_SERVER and given is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--serve and {name} exclude each other: --serve starts a server of its own")


def _chosen(names: Iterable[str], given: Mapping[str, Any], target: Target) -> list[Scenario]:
    try:
        scenarios = in_order(choose(names, given), flood(given))
        check(scenarios, target)
    except WrongChoice as error:
        raise click.UsageError(str(error)) from None
    return scenarios


def _remote(address: Address, target: Target, pid: int | None) -> Callable[[], AbstractContextManager[Serving]]:
    """A server that runs already, and goes on when we have ended."""
    try:
        serving = Serving(target, name_of(address, target), pid)
    except Unreachable as error:
        raise NotMeasured(str(error)) from None
    return lambda: nullcontext(serving)


def _core(chosen: int | None, *, local: bool) -> int | None:
    if chosen is None:
        # A server elsewhere has its cores for itself.
        return last_core() if local else None
    return None if chosen == NO_CORE else chosen


def _is_near(address: Address) -> bool:
    return address.is_local or address.host.startswith(LOOPBACK)


def _measured(series: Series, scenarios: Sequence[Scenario], repeat: int, *, quiet: bool) -> tuple[list[Result], bool]:
    """The results as far as they came, and whether somebody did not want to wait for the others."""
    results: list[Result] = []
    try:
        with _interruptible(), Live(len(scenarios) * repeat, repeat, quiet=quiet) as live:
            results.extend(series.results(scenarios, live.announce))
    except Unreachable as error:
        raise NotMeasured(str(error)) from None
    except KeyboardInterrupt:
        return results, True
    return results, False


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt: whatever ends us, the workers and the server of --serve end too."""
    # Also where a shell has SIGINT ignored in the background: SIGTERM becomes one.
    interrupted = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminated = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, terminated)


def _in_words(scenarios: Sequence[Scenario], repeat: int, core: int | None, own_server: bool) -> str:
    def times(field: str) -> str:
        return " or ".join(dict.fromkeys(f"{getattr(scenario.load, field):g} s" for scenario in scenarios))

    return ", ".join(
        [
            f"{repeat} {'run' if repeat == 1 else 'runs'} of each scenario",
            f"{times('seconds')} measured after {times('warm_up')} of warm-up",
            "a fresh server for each run" if own_server else "one server for all runs",
            "generator on any core" if core is None else f"generator on core {core}",
            *(["median, lowest and highest of the runs"] if repeat > 1 else []),
        ]
    )


def _publish(report: Report, json_file: Path | None, plot_file: Path | None) -> None:
    if not report.results:
        return
    show_report(report)
    for file, save in ((json_file, write), (plot_file, _draw)):
        try:
            if file:
                save(report, file)
        except OSError as error:
            raise click.ClickException(f"cannot write {file}: {error.strerror}") from None


def _draw(report: Report, file: Path) -> None:
    # Imported here: matplotlib is an extra, and takes its time.
    from fastbroker.bench.page import page
    from fastbroker.bench.plot import NothingToDraw, as_svg, save_png

    try:
        if file.suffix == ".html":
            file.write_text(page(report, as_svg(report)), encoding="utf-8")
        else:
            save_png(report, file)
    except NothingToDraw as error:
        click.secho(f"{file} was not written: {error}", fg="yellow", err=True)


def _status(results: Iterable[Result]) -> int:
    if any(result.failures for result in results):
        return FAILED
    return NOT_VALID if any(result.invalid for result in results) else GOOD
