"""What the exchange announces: system/status and announcements/index. Nothing, until the control endpoint is told so.

Each takes (exchange, parameters, now) and returns `result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.validate import integer, limit_field, text

__all__ = [
    "announcements",
    "system_status",
]

Params = Mapping[str, Any]
Result = dict[str, Any]


def system_status(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """Maintenance, as the control endpoint has announced it."""
    return {"list": exchange.announced.maintenance(text(params, "id"), text(params, "state"))}


def announcements(exchange: Exchange, params: Params, now_ms: int) -> Result:
    """News, as the control endpoint has announced them."""
    text(params, "locale", required=True)
    rows = exchange.announced.news(text(params, "type"), text(params, "tag"))
    limit, page = limit_field(params, 20, 1000), max(1, integer(params, "page", 1))
    return {"total": len(rows), "list": rows[(page - 1) * limit : page * limit]}
