"""What is known of a strategy's market without a network: its trading rules and the price that it starts at."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.config.account_models import StrategyConfig
from gridbot.core.instrument import Instrument
from gridbot.exchange.environment import Environment
from gridbot.paper.market.instruments import LISTINGS, listings
from gridbot.paper.settings import PaperConfig, SourceKind

__all__ = ["offline_instrument", "paper_start_price"]

_UNKNOWN_STEP = Decimal("1e-8")


def paper_start_price(paper: PaperConfig, symbol: str) -> Decimal | None:
    """USDT at which the paper market starts; None if that is not known before, or the symbol is not traded."""
    market = paper.market
    listing = listings(market.instruments).get(symbol)
    if market.source in (SourceKind.REPLAY, SourceKind.LIVE) or listing is None:
        return None
    named = market.symbols.get(symbol)
    return named.price if named is not None and named.price is not None else listing.default_price


def offline_instrument(strategy: StrategyConfig, environment: str, paper: PaperConfig) -> Instrument | None:
    """Trading rules from the shipped snapshot, with the file's `tick_size` if any; on paper, the paper exchange's.

    A symbol outside the snapshot gets only its tick: its quantity step and minimum are then not known (and tiny here).
    """
    known = listings(paper.market.instruments) if environment == Environment.PAPER else LISTINGS
    listing, tick = known.get(strategy.symbol), strategy.tick_size
    if listing is not None:
        return listing.instrument if tick is None else replace(listing.instrument, tick_size=tick)
    if tick is None:
        return None
    return Instrument(strategy.symbol, tick, _UNKNOWN_STEP, _UNKNOWN_STEP, Decimal("1e12"))
