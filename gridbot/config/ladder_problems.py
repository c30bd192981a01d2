"""What is known of a market without a network: trading rules, start price, and whether the ladder can exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from gridbot.config.errors import Loc, Problem
from gridbot.config.models import StrategyConfig
from gridbot.core.instrument import Instrument
from gridbot.exchange.environment import Environment
from gridbot.paper.market.instruments import LISTINGS, listings
from gridbot.paper.settings import PaperConfig, SourceKind
from gridbot.strategies.grid.ladder import GridConfig, ImpossibleLadder, ladder

__all__ = ["grid_config", "ladder_problems", "offline_instrument", "paper_problems", "paper_start_price"]

_UNKNOWN_STEP = Decimal("1e-8")


def grid_config(strategy: StrategyConfig) -> GridConfig:
    """The part of a strategy that the core's grid is made from."""
    return GridConfig(strategy.grid_count, strategy.grid_step, strategy.rebalance_threshold)


def paper_start_price(paper: PaperConfig, symbol: str) -> Decimal | None:
    """USDT around which the paper market begins; None when only the market itself knows, or nothing trades it."""
    market = paper.market
    listing = listings(market.instruments).get(symbol)
    if market.source in (SourceKind.REPLAY, SourceKind.LIVE) or listing is None:
        return None
    named = market.symbols.get(symbol)
    return named.price if named is not None and named.price is not None else listing.default_price


def offline_instrument(strategy: StrategyConfig, environment: str, paper: PaperConfig) -> Instrument | None:
    """Trading rules from the shipped snapshot, with the file's `tick_size` when it has one; on paper its own ones.

    A symbol outside the snapshot gets only its tick: its quantity step and minimum are then not known (and tiny here).
    """
    known = listings(paper.market.instruments) if environment == Environment.PAPER else LISTINGS
    listing, tick = known.get(strategy.symbol), strategy.tick_size
    if listing is not None:
        return listing.instrument if tick is None else replace(listing.instrument, tick_size=tick)
    if tick is None:
        return None
    return Instrument(strategy.symbol, tick, _UNKNOWN_STEP, _UNKNOWN_STEP, Decimal("1e12"))


def paper_problems(loc: Loc, strategy: StrategyConfig, paper: PaperConfig) -> Iterator[Problem]:
    """What keeps a strategy from trading on this paper market."""
    market = paper.market
    known = listings(market.instruments)
    traded = list(market.files if market.source is SourceKind.REPLAY else market.symbols or known)
    shown = ", ".join(traded)
    if strategy.symbol not in traded:
        section = "files" if market.source is SourceKind.REPLAY else "symbols"
        wanted, do = f"a symbol of the paper market ({shown})", f"add it under paper.market.{section}"
        yield Problem((*loc, "symbol"), wanted, f"`{strategy.symbol}`", do)
    elif market.instruments_from and strategy.symbol not in market.instruments:
        return  # its rules are known when the exchange starts
    elif strategy.symbol not in known:
        wanted = f"a symbol whose trading rules the paper exchange knows ({', '.join(known)})"
        do = "choose one of them or describe it under paper.market.instruments"
        yield Problem((*loc, "symbol"), wanted, f"`{strategy.symbol}`", do)
    else:
        tick = known[strategy.symbol].instrument.tick_size
        if strategy.tick_size not in (None, tick):
            wanted = f"the tick size of the exchange ({tick})"
            yield Problem(
                (*loc, "tick_size"), wanted, f"`{strategy.tick_size}`", "remove the key: the exchange says it"
            )


def ladder_problems(
    loc: Loc, strategy: StrategyConfig, environment: str | None, paper: PaperConfig
) -> Iterator[Problem]:
    """Whether the levels come out apart at the start price, where tick and price are known before the start."""
    if environment != Environment.PAPER:
        return
    before = list(paper_problems(loc, strategy, paper))
    yield from before
    price, instrument = paper_start_price(paper, strategy.symbol), offline_instrument(strategy, environment, paper)
    if before or price is None or instrument is None:
        return
    try:
        ladder(grid_config(strategy), instrument, price)
    except ImpossibleLadder as error:
        wanted = f"steps that stay apart at a price of {price} with a tick of {instrument.tick_size}"
        smallest = error.smallest_step
        do = f"use at least {smallest}" if smallest is not None else "use a smaller grid_count"
        yield Problem((*loc, "grid_step"), wanted, f"`{strategy.grid_step}` with {strategy.grid_count} levels", do)
