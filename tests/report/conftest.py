from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.report.browser import INSTALL, Browser, find_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a module."""
    program = find_browser()
    if program is None:
        pytest.skip(f"no Chromium on this machine: {INSTALL}")
    opened = Browser(program, tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()
