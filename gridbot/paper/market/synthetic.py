"""A seeded market: the price is a regular wave and a mean-reverting random walk around a centre. Pure.

Steps of fixed length make the path a function of the seed alone, whatever the wall clock does.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from gridbot.core.vocabulary import Side
from gridbot.paper.market.instruments import Listing
from gridbot.paper.settings import PriceMove, Scenario, SymbolConfig

__all__ = ["STEP_S", "MarketTrade", "SyntheticMarket", "in_scenario"]

STEP_S = 0.05


@dataclass(frozen=True, slots=True)
class MarketTrade:
    """One public trade to come; `price` is USDT and may need rounding to the tick, `size` is base coin."""

    symbol: str
    side: Side
    price: Decimal
    size: Decimal


_CALM = {"volatility": Decimal("0.0001"), "mean_reversion": Decimal("0.01"), "swing": Decimal(0)}
_SCENARIOS: dict[Scenario, dict[str, Any]] = {
    Scenario.LIVELY: {},
    Scenario.CALM: _CALM,
    Scenario.TREND: _CALM | {"trend": Decimal("0.0002")},
    Scenario.CRASH: _CALM
    | {"moves": (PriceMove(at_s=30, move=-0.1, over_s=20), PriceMove(at_s=50, move=0.05, over_s=60))},
    Scenario.SQUEEZE: _CALM
    | {"moves": (PriceMove(at_s=30, move=0.1, over_s=20), PriceMove(at_s=50, move=-0.05, over_s=60))},
    Scenario.GAP: _CALM | {"moves": (PriceMove(at_s=30, move=-0.03),)},
}


def in_scenario(config: SymbolConfig, scenario: Scenario) -> SymbolConfig:
    """A symbol's configuration, with the scenario's values for fields that are not set."""
    own = config.model_fields_set
    return config.model_copy(update={k: v for k, v in _SCENARIOS[scenario].items() if k not in own})


class _Path:
    """Price path of one symbol. In floats: no money is computed here."""

    def __init__(
        self, seed: int, listing: Listing, config: SymbolConfig, common: Callable[[], float], correlation: float
    ) -> None:
        self._common = common
        self._share = math.sqrt(correlation), math.sqrt(1 - correlation)
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
        return self._centre * self._scripted() * math.exp(self._walk + wave)

    def _scripted(self) -> float:
        """Factor on the centre price from trend and scripted moves."""
        factor = math.exp(float(self._config.trend) * self._time)
        for move in self._config.moves:
            elapsed = self._time - move.at_s
            if elapsed >= 0:
                done = min(1.0, elapsed / move.over_s) if move.over_s else 1.0
                factor *= 1 + move.move * done
        return factor

    def step(self) -> list[MarketTrade]:
        self._time += STEP_S
        noise = self._share[0] * self._common() + self._share[1] * self._random.gauss(0, 1)
        self._walk += self._volatility * noise - self._pull * self._walk
        target = self.price
        return [self._trade(target + self._random.choice((-1, 0, 1)) * self._tick) for _ in range(self._count())]

    def _count(self) -> int:
        """Number of trades in one step, Poisson distributed."""
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

    def __init__(
        self, seed: int, symbols: Mapping[str, tuple[Listing, SymbolConfig]], *, correlation: float = 0.0
    ) -> None:
        self._common_random = random.Random(f"{seed}:common")
        self._common = 0.0
        self._paths = {
            symbol: _Path(seed, *entry, lambda: self._common, correlation) for symbol, entry in symbols.items()
        }

    def prices(self) -> dict[str, Decimal]:
        return {symbol: Decimal(repr(path.price)) for symbol, path in self._paths.items()}

    def step(self) -> list[MarketTrade]:
        """Trades of the next `STEP_S` seconds."""
        self._common = self._common_random.gauss(0, 1)
        return [trade for path in self._paths.values() for trade in path.step()]
