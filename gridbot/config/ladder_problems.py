"""What keeps a strategy from trading on its paper market: an unknown symbol, a wrong tick, levels that coincide."""

from __future__ import annotations

from collections.abc import Iterator

from gridbot.config.account_models import StrategyConfig
from gridbot.config.errors import Loc, Problem
from gridbot.config.offline_market import offline_instrument, paper_start_price
from gridbot.exchange.environment import Environment
from gridbot.paper.market.instruments import listings
from gridbot.paper.settings import PaperConfig, SourceKind
from gridbot.strategies.base import CannotTrade

__all__ = ["ladder_problems", "paper_problems"]


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
    """`paper_problems`, then levels that cannot be at the start price, if tick and price are known before the start."""
    if environment != Environment.PAPER:
        return
    before = list(paper_problems(loc, strategy, paper))
    yield from before
    price, instrument = paper_start_price(paper, strategy.symbol), offline_instrument(strategy, environment, paper)
    if before or price is None or instrument is None:
        return
    try:
        strategy.decided_by.plan(strategy, instrument, price)
    except CannotTrade as error:
        yield Problem((*loc, error.key), error.expected, error.got, error.do)
