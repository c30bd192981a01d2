"""A seeded market: the price is a regular wave and a mean-reverting random walk around a centre. Pure.

Steps of fixed length make the path a function of the seed alone, whatever the wall clock does.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from gridbot.core.vocabulary import Side
from gridbot.paper.config import SymbolConfig
from gridbot.paper.instruments import Listing

__all__ = ["STEP_S", "MarketTrade", "SyntheticMarket"]

STEP_S = 0.05


@dataclass(frozen=True, slots=True)
class MarketTrade:
    """One public trade to come; `price` is USDT and may need rounding to the tick, `size` is base coin."""

    symbol: str
    side: Side
    price: Decimal
    size: Decimal


class _Path:
    """Price of one symbol. Floats: this is weather, not money."""

    def __init__(self, seed: int, listing: Listing, config: SymbolConfig) -> None:
        self._random = random.Random(f"{seed}:{listing.symbol}")
        self._listing = listing
        self._config = config
        self._centre = float(config.price or listing.default_price)
        self._walk = 0.0
        self._time = 0.0
        self._phase = self._random.uniform(0, 2 * math.pi)
        self._tick = float(listing.instrument.tick_size)
        self._volatility = float(config.volatility) * math.sqrt(STEP_S)
        self._pull = 1 - math.exp(-float(config.mean_reversion) * STEP_S)
        self._rate = float(config.trades_per_second) * STEP_S
        self._last = self.price

    @property
    def price(self) -> float:
        config = self._config
        wave = float(config.swing) * math.sin(2 * math.pi * self._time / float(config.swing_period_s) + self._phase)
        return self._centre * math.exp(self._walk + wave)

    def step(self) -> list[MarketTrade]:
        self._time += STEP_S
        self._walk += self._volatility * self._random.gauss(0, 1) - self._pull * self._walk
        target = self.price
        return [self._trade(target + self._random.choice((-1, 0, 1)) * self._tick) for _ in range(self._count())]

    def _count(self) -> int:
        """How many trades fall into one step: Poisson."""
        count, product, floor = 0, self._random.random(), math.exp(-self._rate)
        while product > floor:
            count += 1
            product *= self._random.random()
        return count

    def _trade(self, price: float) -> MarketTrade:
        instrument = self._listing.instrument
        price = max(price, self._tick)
        ticks = round(price / self._tick)
        last = round(self._last / self._tick)
        up = ticks > last or (ticks == last and self._random.random() < 0.5)
        self._last = price
        wanted = Decimal(self._random.expovariate(1.0) / price) * self._config.trade_notional
        size = (wanted / instrument.qty_step).to_integral_value(ROUND_CEILING) * instrument.qty_step
        return MarketTrade(
            self._listing.symbol,
            Side.BUY if up else Side.SELL,
            instrument.price(ticks),
            max(size, instrument.qty_step),
        )


class SyntheticMarket:
    """All symbols, stepped together. Each has its own random stream, so adding one leaves the others alone."""

    def __init__(self, seed: int, symbols: Mapping[str, tuple[Listing, SymbolConfig]]) -> None:
        self._paths = {symbol: _Path(seed, *entry) for symbol, entry in symbols.items()}

    def prices(self) -> dict[str, Decimal]:
        return {symbol: Decimal(repr(path.price)) for symbol, path in self._paths.items()}

    def step(self) -> list[MarketTrade]:
        """Trades of the next `STEP_S` seconds."""
        return [trade for path in self._paths.values() for trade in path.step()]
