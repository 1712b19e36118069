"""The table of reasons: each layer finds something there that it may say."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from fastbroker.core.log import RATE_LIMITED
from fastbroker.core.reasons import LIMITED, TABLE, status_of


def test_each_reason_stands_there_once() -> None:
    texts = [row[0] for row in TABLE]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(("text", "close_code", "status", "level", "limited"), TABLE)
def test_every_layer_may_say_it(text: str, close_code: int, status: int, level: str, limited: bool) -> None:
    assert len(text.encode()) <= 123, "a CLOSE has room for no more"
    assert text.isprintable()
    assert close_code in {1000, 1002, 1003, 1008, 1009, 1011, 1012, 1013}
    assert HTTPStatus(status) >= 400
    assert level in {"debug", "info", "warning", "error"}
    assert isinstance(limited, bool)


def test_what_stands_behind_a_colon_is_for_people() -> None:
    assert status_of("slow consumer: limits.outbound_hard reached") == status_of("slow consumer") == 408
    assert status_of("what nobody has thought of") == 400


def test_the_log_limits_what_the_table_says() -> None:
    assert {row[0] for row in TABLE if row[4]} == LIMITED
    assert LIMITED < RATE_LIMITED
