"""Reads again what the exchange allows: instrument, position mode and leverage of a symbol, and the margin mode.

All of it may change while we trade. Each of them stands alone: what fails keeps none of the others from being told.

Position mode and leverage are set as they were at the start, and what the exchange had refused for them is free again.
An instrument that orders are made by (tick, quantity step, minima) cannot be changed under a running strategy: the
worker asks for a start anew, which reads it, and keeps its orders. It does so too when a symbol may be traded whose
strategy could not start. The account's margin mode is for the operator to set: in isolated margin positions are reduced
only (`risk/symbol_state.py`), and it is read each minute until it is cross again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from gridbot.config.account_models import StrategyConfig
from gridbot.core import Instrument
from gridbot.exchange.failures import ErrorKind, ExchangeError, TransientError, UnresolvedError
from gridbot.ports import ExchangeQueries
from gridbot.worker.context import Alert
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.startup import RefusedStrategy, prepare_symbol
from gridbot.worker.symbol_states import SymbolStates

__all__ = ["Terms", "changes"]

log = logging.getLogger(__name__)

HOURLY_MS = 3_000_000
"""Nobody has looked at a symbol for so long: it is the look of each hour, and nothing was refused."""
SHARED_S = 120.0
"""All accounts look within less, as they started together."""
COMPARED = ("tick_size", "qty_step", "min_order_qty", "max_order_qty", "min_notional")
"""What orders are made by."""
PORTFOLIO = "the account is in portfolio margin, whose margins are not those that are reckoned with: switch it to cross"


class _Done(NamedTuple):
    """What came of a setting: what is wrong with it, that it had to be set, or why nobody knows."""

    note: str = ""
    repaired: str = ""
    failure: ExchangeError | None = None


class Terms:
    """One per account. `begin_anew` asks for another start of the worker, with the reason; once is enough."""

    def __init__(
        self,
        queries: ExchangeQueries,
        strategies: Sequence[StrategyConfig],
        instruments: Mapping[str, Instrument],
        passage: PassageWatch,
        *,
        states: SymbolStates,
        alert: Alert,
        begin_anew: Callable[[str], None],
        wall_ms: Callable[[], int],
    ) -> None:
        self._queries = queries
        self._strategies = {strategy.symbol: strategy for strategy in strategies}
        self._instruments = dict(instruments)
        self._passage = passage
        self._states = states
        self._alert = alert
        self._begin_anew = begin_anew
        self._wall_ms = wall_ms
        self._asked = False
        self._looked_ms = dict.fromkeys(self._strategies, wall_ms())
        """When each symbol was looked at last; the start has just done so."""
        self._notes: dict[str, list[str]] = {}
        """What is wrong with a symbol's own terms, as they were read last."""
        self._of_account: list[str] = []
        """What is wrong with the account's margin mode."""

    def follow(self, strategy: StrategyConfig, instrument: Instrument | None) -> None:
        """A strategy has come, with its instrument, or its settings are others (None)."""
        self._strategies[strategy.symbol] = strategy
        if instrument is not None:
            self._instruments[strategy.symbol] = instrument
            self._looked_ms[strategy.symbol] = self._wall_ms()

    def forget(self, symbol: str) -> None:
        """A strategy is gone."""
        for known in (self._strategies, self._instruments, self._looked_ms, self._notes):
            known.pop(symbol, None)

    async def read(self, symbol: str) -> None:
        """Read the symbol's own terms, set mode and leverage. Raises ExchangeError when something could not be read.

        A reload may remove the strategy before, and during each question: then nothing more is asked, set or told.
        """
        if symbol not in self._strategies:
            return
        if symbol in self._states.refused:
            await self._try_again(symbol)
            return
        found = await self._queries.instrument(symbol, max_age_s=self._age_s(symbol))
        strategy = self._strategies.get(symbol)
        if strategy is None:
            return
        self._states.read(symbol, found)
        changed = changes(self._instruments[symbol], found)
        done = [_Done(changed)]
        if not strategy.shadow_mode and found.status == "Trading":
            for set_again in (self._set_mode, self._set_leverage):
                done.append(await set_again(strategy))
                if symbol not in self._strategies:
                    return
        failure = next((each.failure for each in done if each.failure is not None), None)
        notes = [each.note for each in done if each.note]
        if notes or failure is None:
            self._notes[symbol] = notes
        repaired = "; ".join(each.repaired for each in done if each.repaired)
        if repaired:
            self._alert("warning", f"set_again.{symbol}", repaired, strategy.strat_id)
        self._tell(symbol, repaired)
        if changed:
            self._anew(changed)
        if failure is not None:
            raise failure

    async def read_margin_mode(self) -> None:
        """Read the account's margin mode, for all live strategies. Raises ExchangeError when it cannot be read."""
        live = [symbol for symbol in self._instruments if not self._strategies[symbol].shadow_mode]
        if not live:
            return
        margin_mode = (await self._queries.account_info()).margin_mode
        self._of_account = [PORTFOLIO] if margin_mode == "PORTFOLIO_MARGIN" else []
        for symbol in filter(self._strategies.__contains__, live):  # a reload may have removed one meanwhile
            self._states.in_margin_mode(symbol, margin_mode)
            self._tell(symbol)

    def _age_s(self, symbol: str) -> float:
        """How old the instrument may be: read now, but for the look of each hour, which one account has for all."""
        now_ms = self._wall_ms()
        last_ms, self._looked_ms[symbol] = self._looked_ms[symbol], now_ms
        return SHARED_S if now_ms - last_ms > HOURLY_MS else 0.0

    def _tell(self, symbol: str, repaired: str = "") -> None:
        """Tell what is wrong with a symbol's terms. What they had refused is free when they have been set right."""
        is_live = not self._strategies[symbol].shadow_mode
        before = self._passage.terms.get(symbol, "")
        notes = "; ".join([*self._notes.get(symbol, ()), *(self._of_account if is_live else ())])
        self._passage.terms_read(symbol, notes)
        if not notes and (repaired or before):
            self._states.repaired(symbol, repaired or f"no longer so: {before}")

    async def _try_again(self, symbol: str) -> None:
        """Look at a symbol whose strategy could not start as its start does, which also sets it up."""
        before = self._states.refused[symbol]
        found = await prepare_symbol(self._queries, self._strategies[symbol], self._wall_ms())
        if not isinstance(found, RefusedStrategy):
            self._anew(f"{symbol} may be traded now")
        elif found.key != before.key:
            self._anew(str(found))  # it waited, and now something is wrong, or the other way round

    def _anew(self, reason: str) -> None:
        if not self._asked:
            self._asked = True
            log.warning("%s; the account starts anew", reason)
            self._begin_anew(reason)

    async def _set_mode(self, strategy: StrategyConfig) -> _Done:
        symbol = strategy.symbol
        try:
            is_set = await self._queries.ensure_hedge_mode(symbol)
        except ExchangeError as error:
            if error.kind is not ErrorKind.RESYNC:
                return _Done(failure=error)
            return _Done(note=f"{symbol} is not in hedge mode and cannot be switched now: {error}")
        return _Done(repaired=f"{symbol} was not in hedge mode; it is again" if is_set else "")

    async def _set_leverage(self, strategy: StrategyConfig) -> _Done:
        symbol, leverage = strategy.symbol, strategy.leverage
        if leverage is None:
            return _Done()
        try:
            is_set = await self._queries.set_leverage(symbol, leverage)
        except (TransientError, UnresolvedError) as error:
            return _Done(failure=error)
        except ExchangeError as error:
            return _Done(note=f"the leverage of {symbol} cannot be set to {leverage}: {error}")
        return _Done(repaired=f"the leverage of {symbol} was not {leverage}; it is again" if is_set else "")


def changes(before: Instrument, now: Instrument) -> str:
    """What has changed of what orders are made by, in words; empty when nothing has.

    What an answer leaves out stays as it was.
    """
    differing = [(name, getattr(before, name), getattr(now, name)) for name in COMPARED if name not in now.untold]
    texts = [f"{name} from {_plain(old)} to {_plain(new)}" for name, old, new in differing if old != new]
    return f"the exchange has changed {before.symbol}: {', '.join(texts)}" if texts else ""


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
