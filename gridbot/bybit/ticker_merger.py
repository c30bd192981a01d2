"""Snapshots and deltas of a `tickers` topic as events, in one pass over each frame (incident L28). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.bybit.event_times import Horizon
from gridbot.bybit.raw_fields import FieldError
from gridbot.core.events import TickerEvent
from gridbot.core.strict_numbers import amount_or_none, decimal_or_none, time_or_none
from gridbot.doors.plain_text import shown

__all__ = ["TickerMerger"]

MOST_PRICES = 256
LONGEST_PRICE = 18
"""Characters of a text that is kept."""


class _Known:
    """What is known of a symbol; numbers as read, so that a delta reads only what it tells."""

    __slots__ = ("ask", "bid", "funding_ms", "funding_rate", "index", "last", "mark", "sent_ms")

    def __init__(self) -> None:
        self.sent_ms = 0
        self.last: Decimal | None = None
        self.mark: Decimal | None = None
        self.index: Decimal | None = None
        self.bid: Decimal | None = None
        self.ask: Decimal | None = None
        self.funding_rate: Decimal | None = None
        self.funding_ms: int | None = None


class TickerMerger:
    """The tickers of one connection.

    A field that a delta leaves out, or has null for, is unchanged. A new connection starts with a new merger, without
    any old state. Deltas before the first snapshot, and messages older than what is known, are counted in `ignored`.
    """

    def __init__(self, horizon: Horizon) -> None:
        self.ignored = 0
        self._horizon = horizon
        self._known: dict[str, _Known] = {}
        self._prices: dict[str, Decimal | None] = {}
        """Texts of prices that were read: they come again and again, and from field to field."""

    def merge(self, symbol: str, frame: Mapping[str, Any], received_ns: int) -> TickerEvent | None:
        """The symbol's ticker after `frame`; None when the frame is ignored.

        FieldError for a frame that cannot be read, which changes nothing; and while the last price is none, which is
        until a frame brings one that is.
        """
        data, sent_ms = frame.get("data"), self._horizon.frame_time(frame.get("ts"))
        if type(data) is not dict:
            raise FieldError(f"expected an object in the ticker of {symbol}, got {shown(data)}")
        known = self._known.get(symbol)
        if known is not None and sent_ms < known.sent_ms:
            self.ignored += 1
            return None
        if frame.get("type") == "snapshot":
            known = self._known[symbol] = _Known()
        elif known is None:
            self.ignored += 1
            return None
        known.sent_ms = sent_ms
        get, prices = data.get, self._prices
        if (told := get("lastPrice")) is not None:
            known.last = prices[told] if type(told) is str and told in prices else self._price(told)
        if (told := get("markPrice")) is not None:
            known.mark = prices[told] if type(told) is str and told in prices else self._price(told)
        if (told := get("indexPrice")) is not None:
            known.index = prices[told] if type(told) is str and told in prices else self._price(told)
        if (told := get("bid1Price")) is not None:
            known.bid = prices[told] if type(told) is str and told in prices else self._price(told)
        if (told := get("ask1Price")) is not None:
            known.ask = prices[told] if type(told) is str and told in prices else self._price(told)
        if (told := get("fundingRate")) is not None:
            known.funding_rate = decimal_or_none(told)
        if (told := get("nextFundingTime")) is not None:
            known.funding_ms = time_or_none(told)
        if (last := known.last) is None:
            raise FieldError(f"expected a price above 0 in lastPrice of {symbol}, got {shown(get('lastPrice'))}")
        return TickerEvent(
            symbol,
            last,
            sent_ms,
            known.mark,
            known.index,
            known.bid,
            known.ask,
            known.funding_rate,
            known.funding_ms,
            received_ns,
        )

    def _price(self, told: object) -> Decimal | None:
        price = amount_or_none(told) or None
        if type(told) is str and len(told) <= LONGEST_PRICE:
            if len(self._prices) >= MOST_PRICES:
                self._prices.clear()
            self._prices[told] = price
        return price
