"""From the market section to markets at their first price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from gridbot.paper.feed.catalogue import CatalogueError, fetch, read
from gridbot.paper.feed.replay import first_prices
from gridbot.paper.market.instruments import LISTINGS, Listing, listings
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.market.synthetic import SyntheticMarket, in_scenario
from gridbot.paper.settings import MarketConfig, SourceKind, SymbolConfig

__all__ = ["SetupError", "known_listings", "open_markets", "synthetic_model"]


class SetupError(Exception):
    """The `paper` section cannot be used; the text says what to change."""


def known_listings(config: MarketConfig) -> dict[str, Listing]:
    """Every instrument that may be listed: the configuration's before those fetched, those before the shipped ones.

    Reads the file or asks the address of `instruments_from`. Raise SetupError when that fails.
    """
    place = config.instruments_from
    if not place:
        return listings(config.instruments)
    try:
        if place.startswith(("http://", "https://")):
            fetched = fetch(place, config.symbols or config.files or LISTINGS)
        else:
            fetched = read(Path(place))
    except CatalogueError as error:
        raise SetupError(f"paper.market.instruments_from: {error}") from error
    own = listings(config.instruments)
    return LISTINGS | fetched | {symbol: own[symbol] for symbol in config.instruments}


def synthetic_model(config: MarketConfig, known: Mapping[str, Listing]) -> SyntheticMarket | None:
    """The seeded market of a synthetic source, None for the other sources."""
    if config.source is not SourceKind.SYNTHETIC:
        return None
    entries = _symbols(config, known)
    return SyntheticMarket(
        config.seed,
        {symbol: (known[symbol], in_scenario(entry, config.scenario)) for symbol, entry in entries.items()},
        correlation=config.correlation,
    )


def open_markets(
    config: MarketConfig, known: Mapping[str, Listing], model: SyntheticMarket | None, now_ms: int
) -> dict[str, SymbolMarket]:
    """Markets at their first price. Raise SetupError for unknown symbols, ReplayError for unreadable files."""
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
    chosen = config.symbols or {symbol: SymbolConfig() for symbol in {*LISTINGS, *config.instruments}}
    for symbol, entry in chosen.items():
        if not (entry.price or known[symbol].default_price):
            raise SetupError(
                f"paper.market.symbols.{symbol}: expected a price, as `instruments_from` has no ticker of it; "
                "give one, or add an answer of market/tickers to the file"
            )
    return dict(sorted(chosen.items(), key=lambda item: list(known).index(item[0])))


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
