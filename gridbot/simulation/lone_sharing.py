"""What a supervisor with one worker answers about requests and facts: all permits are its own, and it reads itself.

The real one is not of this package. Permits of a life that has ended rest before the next one has them.
"""

from __future__ import annotations

from typing import Any, Final

from gridbot.budget.request_permits import UNSURE_REST_S

__all__ = ["LoneSharing"]

FLOOR: Final = 4
AHEAD: Final = 10


class LoneSharing:
    """One per run. `limit` are the requests that the exchange allows in its window, less what others may need."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._resting: list[tuple[float, int]] = []
        self._lent = 0
        self._held = 0
        self._ban: dict[str, Any] | None = None

    def answer(self, message: dict[str, Any], now_s: float) -> dict[str, Any] | None:
        """What to tell the worker about its message; None when that is nothing."""
        match message["type"]:
            case "requests":
                return self._lease(message, now_s)
            case "banned":
                self._ban = {name: message[name] for name in ("until_s", "ret_code", "http_status")}
                return None
            case "fact_wanted":
                return {"type": "read_fact", "key": message["key"]}
        return None

    def is_banned(self, now_s: float) -> bool:
        """Whether the supervisor has an incident that the exchange bans the address."""
        return self._ban is not None and bool(self._ban["until_s"] > now_s)

    def life_is_over(self, now_s: float) -> None:
        """Its permits rest."""
        self._resting.append((now_s + UNSURE_REST_S, self._held))
        self._lent = self._held = 0

    def _lease(self, message: dict[str, Any], now_s: float) -> dict[str, Any]:
        self._free += sum(count for until_s, count in self._resting if until_s <= now_s)
        self._resting = [(until_s, count) for until_s, count in self._resting if until_s > now_s]
        back = message["back"] - (self._lent - self._held)
        self._free += back
        self._held -= back
        unmet = sum(message["wants"]) - (self._lent - message["seen"])
        more = min(self._free, max(unmet, FLOOR - self._held, 0))
        self._free -= more
        self._held += more
        self._lent += more
        ban = self._ban if self.is_banned(now_s) else None
        return {"type": "lease", "lent": self._lent, "keep": None, "floor": FLOOR, "ahead": AHEAD, "ban": ban}
