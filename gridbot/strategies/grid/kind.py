"""The grid as a kind of strategy: its keys in the file, what `check` tells of it, and how it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from gridbot.core.instrument import Instrument
from gridbot.core.vocabulary import Side
from gridbot.strategies.base import PlannedLevel, StrategyKeys, WantedEvent
from gridbot.strategies.grid.engine import GridEngine
from gridbot.strategies.grid.ladder import GridConfig, ladder
from gridbot.strategies.grid.state import GridState

__all__ = ["GRID", "GridKeys", "GridKind"]


class GridKeys(StrategyKeys):
    """A ladder of prices around an anchor that moves with its fills."""

    grid_count: int = Field(50, ge=4, le=500, description="Number of levels; half above, half below the centre.")
    grid_step: Annotated[Decimal, Field(gt=0, lt=50)] = Field(
        Decimal("0.2"), description="Distance of neighbouring levels in percent."
    )
    rebalance_threshold: Annotated[Decimal, Field(gt=0, le=1)] = Field(
        Decimal("0.3"), description="Imbalance of buys and sells at which a fill shifts the grid by one level."
    )


class GridKind:
    """See the module; the methods are those of `StrategyKind`."""

    name = "grid"
    keys = GridKeys
    wants: frozenset[WantedEvent] = frozenset()

    def make(self, keys: GridKeys, instrument: Instrument, strat_id: str, restored: GridState | None) -> GridEngine:
        return GridEngine(instrument.symbol, instrument, _config(keys), strat_id, restored=restored)

    def read_state(self, plain: Mapping[str, Any]) -> GridState:
        return GridState.from_dict(plain)

    def summary(self, keys: GridKeys) -> str:
        return f"{keys.grid_count} levels of {keys.grid_step} %"

    def most_orders(self, keys: GridKeys) -> int:
        return 2 * (keys.grid_count // 2)

    def plan(self, keys: GridKeys, instrument: Instrument, price: Decimal) -> list[PlannedLevel]:
        levels = []
        for ticks, side in ladder(_config(keys), instrument, price):
            percent = (instrument.price(ticks) - price) / price * 100
            waits = side is not None and abs(percent) <= keys.grid_step / 2
            remark = "within half a step of the price: waits until it has moved" if waits else ""
            levels.append(PlannedLevel(ticks, side, remark))
        return levels

    def outline(self, keys: GridKeys) -> list[tuple[Side | None, Decimal]]:
        half = keys.grid_count // 2
        up, down = 1 + keys.grid_step / 100, 1 - keys.grid_step / 100
        sells: list[tuple[Side | None, Decimal]] = [(Side.SELL, (up**n - 1) * 100) for n in range(half, 0, -1)]
        buys: list[tuple[Side | None, Decimal]] = [(Side.BUY, (down**n - 1) * 100) for n in range(1, half + 1)]
        return [*sells, (None, Decimal(0)), *buys]

    def warnings(self, keys: GridKeys, maker_fee: Decimal) -> Iterator[str]:
        if keys.grid_step <= 200 * maker_fee:
            fee = (maker_fee * 100).normalize()
            yield (
                f"grid_step {keys.grid_step} % does not pay for two maker fees of {fee:f} %; "
                "every pair of fills would lose"
            )


def _config(keys: GridKeys) -> GridConfig:
    return GridConfig(keys.grid_count, keys.grid_step, keys.rebalance_threshold)


GRID = GridKind()
