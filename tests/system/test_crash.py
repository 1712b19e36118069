"""The broker is killed at any time, and starts again: what was promised is kept (R1)."""

from __future__ import annotations

import os
import random
from pathlib import Path

from harness.broker import Broker
from harness.crash import Ledger, drain, look_at_retained, subscribe_durably, work_for

CYCLES = int(os.environ.get("FASTBROKER_CRASHES", "50"))


def test_what_was_promised_outlives_kill_9(tmp_path: Path) -> None:
    ledger = Ledger()
    config = {"listen": ["tcp://127.0.0.1:0"], "data_dir": str(tmp_path / "data")}
    broker = Broker(tmp_path, config)
    subscribe_durably(broker.ports["tcp"])
    for cycle in range(1, CYCLES + 1):
        workers = work_for(ledger, broker.ports["tcp"], random.uniform(0.02, 0.4), cycle)
        broker.process.kill()
        for worker in workers:
            worker.join()
            assert worker.failure is None, worker.failure
        broker = Broker(tmp_path, config)
        assert not [record for record in broker.log if record.get("level") == "error"], broker.log
        look_at_retained(ledger, broker.ports["tcp"])
        assert ledger.faults == []
    drain(ledger, broker.ports["tcp"])
    broker.stop()
    assert ledger.faults == []
    assert not ledger.missing()
    print(len(ledger.promised), len(ledger.gone))
