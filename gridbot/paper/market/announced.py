"""What the exchange announces, on command: maintenance of its systems, and news. Rows as Bybit writes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gridbot.paper.market.listing_terms import ChangedListings

__all__ = ["ANNOUNCED_MAX", "Announced"]

ANNOUNCED_MAX = 200
"""Rows of each kind that are kept, the newest."""


class Announced:
    """Nothing, until it is told."""

    def __init__(self, listings: ChangedListings) -> None:
        self._listings = listings
        self._maintenance: dict[str, dict[str, Any]] = {}
        self._news: list[dict[str, Any]] = []

    def carry_out(self, command: Mapping[str, Any], now_ms: int) -> None:
        """`maintain`: a maintenance by its `id` is new or changed. `announce`: a row of news, which needs a `title`."""
        if command["action"] == "maintain":
            self._maintain(command, now_ms)
        else:
            self._announce(command, now_ms)

    def delisting(self, symbol: str, ends_ms: int, now_ms: int) -> None:
        """Announce the end of a contract (ms UTC)."""
        end = f"{datetime.fromtimestamp(ends_ms / 1000, UTC):%b %d, %Y, %H:%M} UTC"
        self._announce(
            {
                "title": f"Delisting of {symbol} Perpetual Contract",
                "description": f"Bybit will delist the {symbol} perpetual contract on {end}.",
                "tags": ["Derivatives", "Delistings"],
                "end": ends_ms,
            },
            now_ms,
        )

    def rows(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return {"maintenance": list(self._maintenance.values()), "news": self._news}

    def restore(self, rows: Mapping[str, Any]) -> None:
        """What an earlier exchange announced."""
        self._maintenance = {str(row["id"]): dict(row) for row in rows["maintenance"]}
        self._news = [dict(row) for row in rows["news"]]

    def maintenance(self, notice_id: str, state: str) -> list[dict[str, Any]]:
        """Rows of system/status, the newest first; of one id or one state where given."""
        rows = reversed(self._maintenance.values())
        return [row for row in rows if notice_id in ("", row["id"]) and state in ("", row["state"])]

    def news(self, kind: str, tag: str) -> list[dict[str, Any]]:
        """Rows of announcements/index, the newest first; of one type or tag where given."""
        rows = reversed(self._news)
        return [row for row in rows if kind in ("", row["type"]["key"]) and (not tag or tag in row["tags"])]

    def _maintain(self, command: Mapping[str, Any], now_ms: int) -> None:
        notice_id = str(command["id"])
        before = self._maintenance.get(notice_id) or {
            "id": notice_id,
            "title": "maintenance",
            "state": "scheduled",
            "begin": str(now_ms),
            "end": str(now_ms + 3_600_000),
            "href": "",
            "serviceTypes": [1, 2, 3, 4, 5],
            "product": [1, 2],
            "uidSuffix": [],
            "maintainType": 1,
            "env": 1,
        }
        told = {key: value for key, value in command.items() if key in before}
        self._maintenance[notice_id] = {**before, **told, "id": notice_id}
        while len(self._maintenance) > ANNOUNCED_MAX:
            del self._maintenance[next(iter(self._maintenance))]
        self._listings.announced()

    def _announce(self, command: Mapping[str, Any], now_ms: int) -> None:
        kind = str(command.get("type", "delistings"))
        row = {
            "title": command["title"],
            "description": command.get("description", ""),
            "type": {"title": kind.replace("_", " ").title(), "key": kind},
            "tags": command.get("tags", ["Derivatives"]),
            "url": command.get("url", ""),
            "dateTimestamp": now_ms,
            "startDateTimestamp": command.get("start", now_ms),
            "endDateTimestamp": command.get("end", now_ms),
            "publishTime": now_ms,
        }
        self._news = [*self._news, row][-ANNOUNCED_MAX:]
        self._listings.announced()
