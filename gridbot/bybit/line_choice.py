"""Which library makes the lines: the one place that chooses."""

from __future__ import annotations

import importlib.util

from gridbot.bybit.dialling import tls_context
from gridbot.bybit.socket_line import Dial, Line, LineListener, LineSettings

__all__ = ["dial_line", "has_picows", "name_of_lines", "prepare_lines"]


def has_picows() -> bool:
    """Whether the extra `fast` is installed."""
    return importlib.util.find_spec("picows") is not None


def name_of_lines() -> str:
    """The library of this process's WebSockets."""
    return "picows" if has_picows() else "aiohttp"


def dial_line(url: str, listener: LineListener, settings: LineSettings) -> Line:
    """A `Dial`: with picows where it is installed, else with aiohttp. Only the one that is used is imported."""
    return _best()(url, listener, settings)


def prepare_lines() -> None:
    """Import now what `dial_line` would, and make what all TLS connections of a process share."""
    _best()
    tls_context()


def _best() -> Dial:
    if has_picows():
        from gridbot.bybit.picows_line import PicowsLine

        return PicowsLine
    from gridbot.bybit.aiohttp_line import AiohttpLine

    return AiohttpLine
