"""Rows of `announcements/index`, `system/status` and the topic `system.status`. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gridbot.paper.market.notices import Announcement, Maintenance

__all__ = ["DELISTINGS", "announcement_row", "status_row"]

DELISTINGS = "delistings"
FUTURES, PLANNED, PRODUCTION = 1, 1, 1


def announcement_row(announcement: Announcement) -> dict[str, Any]:
    end = datetime.fromtimestamp(announcement.ends_ms / 1000, UTC)
    published = announcement.published_ms
    return {
        "title": f"Delisting of {announcement.symbol} Perpetual Contract",
        "description": f"Bybit will delist the {announcement.symbol} perpetual contract on {end:%b %d, %Y, %H:%M} UTC.",
        "type": {"title": "Delistings", "key": DELISTINGS},
        "tags": ["Derivatives", "Delistings"],
        "url": f"https://announcements.bybit.com/en-US/article/delisting-of-{announcement.symbol.lower()}/",
        "dateTimestamp": published,
        "startDateTimestamp": published,
        "endDateTimestamp": announcement.ends_ms,
        "publishTime": published,
    }


def status_row(maintenance: Maintenance, now_ms: int) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{maintenance.number:012x}",
        "title": maintenance.title,
        "state": maintenance.state(now_ms).value,
        "begin": str(maintenance.begin_ms),
        "end": str(maintenance.end_ms),
        "href": "",
        "serviceTypes": list(maintenance.services),
        "product": [FUTURES],
        "uidSuffix": [],
        "maintainType": PLANNED,
        "env": PRODUCTION,
    }
