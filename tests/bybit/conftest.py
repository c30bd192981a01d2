"""What uses the fixture `each_line` runs once with every library that makes lines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import uvloop

from gridbot.bybit import line_choice
from gridbot.bybit.aiohttp_line import AiohttpLine
from gridbot.bybit.line_base import LineBase
from gridbot.bybit.picows_line import PicowsLine

LINES: dict[str, type[LineBase]] = {"aiohttp": AiohttpLine, "picows": PicowsLine, "picows on uvloop": PicowsLine}
"""As the plain installation has it, with picows alone, and as `gridbot[fast]` has it."""


@pytest.fixture(params=LINES)
def each_line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[LineBase]]:
    """The class of the lines that `dial_line` makes during the test."""
    monkeypatch.setattr(line_choice, "has_picows", lambda: request.param != "aiohttp")
    if "uvloop" in request.param:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    yield LINES[request.param]
    asyncio.set_event_loop_policy(None)
