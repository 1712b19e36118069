"""Errors that end a command with one clear line instead of a traceback."""


class StartError(Exception):
    """The broker cannot start as it is configured; the message says why and what to do."""


class ConfigError(StartError):
    """The configuration is wrong; `problems` has a line for each thing to mend."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the lines apart, and make them one message."""
        super().__init__("\n".join(problems))
        self.problems = problems


class JournalError(Exception):
    """What a data directory holds cannot be read, or not be written; the message says why and what to do."""
