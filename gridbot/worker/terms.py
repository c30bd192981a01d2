"""Reads again what the exchange allows on a symbol: instrument, position mode, leverage. It may change while we trade.

Mode and leverage are set as they were at the start. An instrument that orders are made by (tick, quantity step, minima)
cannot be changed under a running strategy: the worker asks for a start anew, which reads it, and keeps its orders.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from gridbot.config.account_models import StrategyConfig
from gridbot.core import Instrument
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.ports import ExchangeQueries
from gridbot.worker.passage_watch import PassageWatch

__all__ = ["Terms", "changes"]

log = logging.getLogger(__name__)

COMPARED = ("tick_size", "qty_step", "min_order_qty", "max_order_qty", "min_notional")
"""What orders are made by."""


class Terms:
    """One per account. `begin_anew` asks for another start of the worker, with the reason; once is enough."""

    def __init__(
        self,
        queries: ExchangeQueries,
        strategies: Sequence[StrategyConfig],
        instruments: Mapping[str, Instrument],
        passage: PassageWatch,
        begin_anew: Callable[[str], None],
    ) -> None:
        self._queries = queries
        self._strategies = {strategy.symbol: strategy for strategy in strategies}
        self._instruments = instruments
        self._passage = passage
        self._begin_anew = begin_anew
        self._asked = False

    async def read(self, symbol: str) -> None:
        """Read and set all three. Raises ExchangeError when the exchange cannot be read."""
        found = await self._queries.instrument(symbol)
        changed = changes(self._instruments[symbol], found)
        notes = [changed] if changed else []
        if found.status != "Trading":
            notes.append(f"the exchange says that {symbol} is {found.status}")
        strategy = self._strategies[symbol]
        if not strategy.shadow_mode:
            notes += [note for note in (await self._set_mode(symbol), await self._set_leverage(strategy)) if note]
        self._passage.terms_read(symbol, "; ".join(notes))
        if changed and not self._asked:
            self._asked = True
            log.warning("%s; the account starts anew", changed)
            self._begin_anew(changed)

    async def _set_mode(self, symbol: str) -> str:
        try:
            await self._queries.ensure_hedge_mode(symbol)
        except ExchangeError as error:
            if error.kind is not ErrorKind.RESYNC:
                raise
            return f"{symbol} is not in hedge mode and cannot be switched now: {error}"
        return ""

    async def _set_leverage(self, strategy: StrategyConfig) -> str:
        if strategy.leverage is None:
            return ""
        try:
            await self._queries.set_leverage(strategy.symbol, strategy.leverage)
        except ExchangeError as error:
            return f"the leverage of {strategy.symbol} cannot be set to {strategy.leverage}: {error}"
        return ""


def changes(before: Instrument, now: Instrument) -> str:
    """What has changed of what orders are made by, in words; empty when nothing has."""
    differing = [(name, getattr(before, name), getattr(now, name)) for name in COMPARED]
    texts = [f"{name} from {_plain(old)} to {_plain(new)}" for name, old, new in differing if old != new]
    return f"the exchange has changed {before.symbol}: {', '.join(texts)}" if texts else ""


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
