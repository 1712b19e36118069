"""Decisions that must outlive the broker, as records in the order in which they were made."""

from typing import final

class StoreError(Exception):
    """What is kept cannot be read, or nothing can be kept; the message says why and what to do."""

class Store:
    """Where groups of records are kept; it knows nothing of what they say."""

    def fileno(self) -> int:
        """What is readable when there is news."""
    def hear(self) -> None:
        """It is not readable any more, until there is other news."""
    def close(self) -> int:
        """What was given is written; returns the error number of what has failed, or 0."""
    @property
    def failure(self) -> int:
        """Error number of what has failed, so that nothing more is kept; 0 while nothing has."""

@final
class Journal:
    """What the broker knows of its store; nobody but the core makes one."""

    @property
    def store(self) -> Store:
        """Where it goes."""
    @property
    def filling(self) -> int:
        """Number of the group that is filled."""
    @property
    def failed(self) -> bool:
        """Whether nothing is kept any more."""
    @property
    def full(self) -> bool:
        """Whether there is room only for what ends something."""
