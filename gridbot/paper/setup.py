"""From the market section to markets at their first price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gridbot.paper.config import MarketConfig, SourceKind, SymbolConfig
from gridbot.paper.instruments import Listing, listings
from gridbot.paper.market import SymbolMarket
from gridbot.paper.replay import first_prices
from gridbot.paper.synthetic import SyntheticMarket, in_scenario

__all__ = ["SetupError", "open_markets", "synthetic_model"]


class SetupError(Exception):
    """The paper section cannot be run; the text says what to change."""


def synthetic_model(config: MarketConfig) -> SyntheticMarket | None:
    """The seeded market of a synthetic source, None for the other sources."""
    if config.source is not SourceKind.SYNTHETIC:
        return None
    known = listings(config.instruments)
    entries = _symbols(config, known)
    return SyntheticMarket(
        config.seed,
        {symbol: (known[symbol], in_scenario(entry, config.scenario)) for symbol, entry in entries.items()},
        correlation=config.correlation,
    )


def open_markets(config: MarketConfig, model: SyntheticMarket | None, now_ms: int) -> dict[str, SymbolMarket]:
    """Markets at their first price. Raise SetupError for unknown symbols, ReplayError for unreadable files."""
    known = listings(config.instruments)
    if model is not None:
        prices = model.prices()
    elif config.source is SourceKind.REPLAY:
        _check_symbols(config.files, known)
        prices = first_prices(config.files)
    else:  # manual; and live, which reopens each market at its first real price
        entries = _symbols(config, known)
        prices = {symbol: entry.price or known[symbol].default_price for symbol, entry in entries.items()}
    return {
        symbol: SymbolMarket(
            known[symbol],
            price,
            _level_notional(config, symbol),
            now_ms,
            mark_halflife_s=float(config.mark_halflife_s),
            funding_rate=config.funding_rate,
            funding_interval_minutes=config.funding_interval_minutes,
        )
        for symbol, price in prices.items()
    }


def _symbols(config: MarketConfig, known: Mapping[str, Listing]) -> dict[str, SymbolConfig]:
    _check_symbols(config.symbols, known)
    return config.symbols or {symbol: SymbolConfig() for symbol in known}


def _level_notional(config: MarketConfig, symbol: str) -> Decimal:
    entry = config.symbols.get(symbol)
    return (entry.level_notional if entry else None) or config.level_notional


def _check_symbols(symbols: Iterable[str], known: Mapping[str, Listing]) -> None:
    unknown = sorted(set(symbols) - set(known))
    if unknown:
        raise SetupError(
            f"paper.market: no instrument is known for {', '.join(unknown)}; known: {', '.join(sorted(known))}. "
            "Describe further ones under paper.market.instruments"
        )
