"""Every protocol test runs over every transport: STOMP is the same over each."""

import pytest
from wire_ws import CLIENTS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "transport" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("over")
        metafunc.parametrize("transport", only.args if only else list(CLIENTS))
