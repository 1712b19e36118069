"""An asyncio loop in a thread, so that scenarios can use an asyncio library with blocking calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from drivers.client import PATIENCE

Result = TypeVar("Result")


class LoopThread:
    """Runs coroutines of one library in one loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run in the loop and wait for the result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(2 * PATIENCE)


LOOP = LoopThread()
