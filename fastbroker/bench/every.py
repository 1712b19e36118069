"""All scenarios that `fastbroker bench` knows, by name."""

from fastbroker.bench.durability import DURABILITY
from fastbroker.bench.messaging import MESSAGING
from fastbroker.bench.scenarios import SCENARIOS

EVERY = {**SCENARIOS, **MESSAGING, **DURABILITY}
