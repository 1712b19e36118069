"""Every command of README.md and docs/ is typed, every snippet run, every page opened, as they stand there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from documents import PAGES, blocks
from reader import Missing, Reader

READERS = 4
DONE = [page for page in PAGES if any(block.language in ("console", "python") for block in blocks(page))]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[list[str]]]]:
    """All pages are read at the same time; what could not be done on this machine comes back."""
    directories = {page: tmp_path_factory.mktemp("reader") for page in DONE}  # in one thread, as pytest wants it

    def do(page: str) -> list[str]:
        with Reader(page, directories[page]) as reader:
            try:
                reader.read()
            except Missing as missing:
                reader.skipped.append(str(missing))
            return reader.skipped

    with ThreadPoolExecutor(READERS) as pool:
        yield {page: pool.submit(do, page) for page in DONE}


@pytest.mark.parametrize("page", DONE)
def test_a_page_does_what_it_says(read: dict[str, Future[list[str]]], page: str) -> None:
    if skipped := read[page].result():
        pytest.skip("; ".join(dict.fromkeys(skipped)))
