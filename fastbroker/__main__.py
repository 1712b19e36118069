"""The command `fastbroker`, also as `python -m fastbroker`."""

import signal


def main() -> None:
    """Run the command; Ctrl-C ends it, at any moment and without a word, until it wants to know of it."""
    # Python would print a traceback. Whoever starts commands in the background may have them ignore it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from fastbroker.cli import main as commands

    commands(prog_name="fastbroker")


if __name__ == "__main__":
    main()
