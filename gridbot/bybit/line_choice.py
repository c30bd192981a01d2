"""Which library makes the lines: the one place that chooses."""

from __future__ import annotations

import importlib.util

from gridbot.bybit.socket_line import Line, LineListener, LineSettings

__all__ = ["dial_line", "has_picows"]


def has_picows() -> bool:
    """Whether the extra `fast` is installed."""
    return importlib.util.find_spec("picows") is not None


def dial_line(url: str, listener: LineListener, settings: LineSettings) -> Line:
    """A `Dial`: with picows where it is installed, else with aiohttp. Only the one that is used is imported."""
    if has_picows():
        from gridbot.bybit.picows_line import PicowsLine

        return PicowsLine(url, listener, settings)
    from gridbot.bybit.aiohttp_line import AiohttpLine

    return AiohttpLine(url, listener, settings)
