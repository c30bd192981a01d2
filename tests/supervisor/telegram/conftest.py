"""The Bot API of ours, on loopback; coroutines are tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.coroutine_tests import pytest_pyfunc_call

from .bot_server import BotServer, bot_server

__all__ = ["pytest_pyfunc_call", "server"]


@pytest.fixture
def server() -> Iterator[BotServer]:
    with bot_server() as made:
        yield made
