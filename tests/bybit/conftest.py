"""What uses the fixture `each_line` runs once with every library that makes lines."""

from __future__ import annotations

import pytest

from gridbot.bybit import line_choice
from gridbot.bybit.aiohttp_line import AiohttpLine
from gridbot.bybit.line_base import LineBase
from gridbot.bybit.picows_line import PicowsLine

LINES: dict[str, type[LineBase]] = {"aiohttp": AiohttpLine, "picows": PicowsLine}


@pytest.fixture(params=LINES)
def each_line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[LineBase]:
    """The class of the lines that `dial_line` makes during the test."""
    monkeypatch.setattr(line_choice, "has_picows", lambda: request.param == "picows")
    return LINES[request.param]
