"""What other brokers word or default differently: one row for each thing, one column for each of them."""

from collections.abc import Mapping
from typing import Any

NAMES: tuple[str, str, str]
"""The profiles, in the order of the columns."""

ROWS: Mapping[str, tuple[Any, Any, Any, Any]]
"""What a profile does on the wire; the first column is for those who have none."""

ERRORS: Mapping[bytes, tuple[bytes | None, bytes | None, bytes | None]]
"""What stands in an ERROR in the place of our `message`; None is ours."""

KEYS: Mapping[str, tuple[Any, Any, Any]]
"""Defaults of keys of the configuration; None is the usual one."""
