"""The saved form of a grid, and when it may be used again (docs/strategy.md 1.6, incidents L32, L33)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from gridbot.core.instrument import Instrument
from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import Side
from gridbot.strategies.grid.ladder import WAIT, Grid, GridConfig, Level, problem_of_ladder

__all__ = ["GridState"]

_WAIT_NAME = "Wait"


@quick_value(frozen=True, slots=True)
class GridState:
    """A saved grid of `symbol`: everything the engine's next decisions depend on.

    Prices are exact USDT, level prices whole ticks of `tick_size`, `grid_step` percent. `version` counts the changes of
    the grid, `exchange_ts` is the exchange's time (ms) of the event that caused the last one (0: none yet). `pending`
    are fills that arrived before the first price. `levels` is empty when no grid was built yet.
    """

    symbol: str
    grid_count: int
    grid_step: Decimal
    tick_size: Decimal
    levels: tuple[Level, ...] = ()
    last_fill: Decimal | None = None
    anchor: Decimal | None = None
    version: int = 0
    exchange_ts: int = 0
    pending: tuple[Decimal, ...] = ()

    def refusal(self, config: GridConfig, instrument: Instrument) -> str:
        """Why the saved levels cannot be used with this configuration, or an empty string."""
        checks: tuple[tuple[str, object, object], ...] = (
            ("symbol", self.symbol, instrument.symbol),
            ("grid_step", self.grid_step, config.grid_step),
            ("grid_count", self.grid_count, config.grid_count),
            ("tick size", self.tick_size, instrument.tick_size),
        )
        for name, saved, wanted in checks:
            if saved != wanted:
                return f"saved with {name} {saved}, now {wanted}"
        if not self.levels:
            return "no grid was saved yet"
        if self.anchor is None:
            return "saved without the price it was built around"
        return problem_of_ladder([level.ticks for level in self.levels], config)

    def seed(self, config: GridConfig, instrument: Instrument) -> Decimal | None:
        """Price to build around when the levels cannot be used: the anchor, if symbol, step and count are the same."""
        if self.symbol != instrument.symbol:
            return None
        same = self.grid_step == config.grid_step and self.grid_count == config.grid_count
        return self.anchor if same else None

    def grid(self, config: GridConfig, instrument: Instrument) -> Grid:
        """The grid as it was saved; call it only if `refusal` is empty."""
        if self.anchor is None:
            raise ValueError("expected a state with a grid, got one without; ask `refusal` first")
        return Grid(config, instrument, self.levels, self.anchor, self.last_fill)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; Decimals as text."""
        return {
            "symbol": self.symbol,
            "grid_count": self.grid_count,
            "grid_step": str(self.grid_step),
            "tick_size": str(self.tick_size),
            "levels": [[ticks, _WAIT_NAME if side is WAIT else side.value] for ticks, side in self.levels],
            "last_fill": None if self.last_fill is None else str(self.last_fill),
            "anchor": None if self.anchor is None else str(self.anchor),
            "version": self.version,
            "exchange_ts": self.exchange_ts,
            "pending": [str(price) for price in self.pending],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> GridState:
        """Read what `to_dict` wrote; raise ValueError naming the field that is missing or wrong."""
        return cls(
            symbol=_text(plain, "symbol"),
            grid_count=_whole(plain, "grid_count"),
            grid_step=_positive(_field(plain, "grid_step"), "grid_step"),
            tick_size=_positive(_field(plain, "tick_size"), "tick_size"),
            levels=tuple(_level(entry) for entry in _list(plain, "levels")),
            last_fill=_price_or_none(_field(plain, "last_fill"), "last_fill"),
            anchor=_price_or_none(_field(plain, "anchor"), "anchor"),
            version=_whole(plain, "version"),
            exchange_ts=_whole(plain, "exchange_ts"),
            pending=tuple(_positive(price, "pending") for price in _list(plain, "pending")),
        )


def _field(plain: Mapping[str, Any], name: str) -> Any:
    if name not in plain:
        raise ValueError(f"grid state: expected the field {name}, got only {', '.join(sorted(plain)) or 'none'}")
    return plain[name]


def _text(plain: Mapping[str, Any], name: str) -> str:
    value = _field(plain, name)
    if not isinstance(value, str):
        raise ValueError(f"grid state: expected text in {name}, got {value!r}")
    return value


def _whole(plain: Mapping[str, Any], name: str) -> int:
    value = _field(plain, name)
    if type(value) is not int or value < 0:
        raise ValueError(f"grid state: expected a whole number from 0 up in {name}, got {value!r}")
    return value


def _list(plain: Mapping[str, Any], name: str) -> list[Any]:
    value = _field(plain, name)
    if not isinstance(value, list):
        raise ValueError(f"grid state: expected a list in {name}, got {value!r}")
    return value


def _positive(value: object, name: str) -> Decimal:
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number <= 0:
        raise ValueError(f"grid state: expected a positive number as text in {name}, got {value!r}")
    return number


def _price_or_none(value: object, name: str) -> Decimal | None:
    return None if value is None else _positive(value, name)


def _level(entry: object) -> Level:
    if isinstance(entry, list) and len(entry) == 2:
        ticks, side = entry
        if type(ticks) is int and side in (_WAIT_NAME, *Side):
            return Level(ticks, WAIT if side == _WAIT_NAME else Side(side))
    raise ValueError(f"grid state: expected [ticks, Buy|Sell|Wait] in levels, got {entry!r}")
