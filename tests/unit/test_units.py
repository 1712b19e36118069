import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.config.units import MILLISECONDS, SECONDS, SIZES, quantity, written


@pytest.mark.parametrize(
    ("text", "units", "number"),
    [
        ("4 MiB", SIZES, 4 * 2**20),
        ("4MiB", SIZES, 4 * 2**20),
        ("64 kib", SIZES, 65536),
        ("0.5 KiB", SIZES, 512),
        ("2 MB", SIZES, 2_000_000),
        ("17 B", SIZES, 17),
        (" 17 ", SIZES, 17),
        ("10s", SECONDS, 10),
        ("500ms", SECONDS, 0.5),
        ("1.5 h", SECONDS, 5400),
        ("5m", SECONDS, 300),
        ("1d", SECONDS, 86400),
        ("2.5", SECONDS, 2.5),
        ("10s", MILLISECONDS, 10_000),
        ("250ms", MILLISECONDS, 250),
        ("250", MILLISECONDS, 250),
    ],
)
def test_quantity(text, units, number):
    assert quantity(text, units) == number


@pytest.mark.parametrize(
    "text", ["", "MiB", "-1s", "1 week", "1e3", "4 MiB extra", "1_000", "٣", "1" * 19, "nan", "0x10"]
)
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match=r"not a number|unknown unit"):
        quantity(text, SECONDS)


def test_sizes_and_times_do_not_mix():
    with pytest.raises(ValueError, match="unknown unit 's'"):
        quantity("4s", SIZES)


@pytest.mark.parametrize(
    ("number", "units", "text"),
    [
        (4194304, SIZES, "4 MiB"),
        (1000, SIZES, "1 kB"),
        (1001, SIZES, "1001"),
        (0, SIZES, "0"),
        (0.05, SECONDS, "50ms"),
        (7200.0, SECONDS, "2h"),
    ],
)
def test_written(number, units, text):
    assert written(number, units) == text


@given(st.integers(0, 2**44))
def test_what_is_written_is_read_back(number):
    assert quantity(written(number, SIZES), SIZES) == number
    assert quantity(written(number, MILLISECONDS), MILLISECONDS) == number
