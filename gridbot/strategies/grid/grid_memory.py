"""What the grid engine remembers, and what prices and fills make of it: builds, shifts, rebuilds. Pure.

    event                                    what becomes of the grid
    first price                              built around the seed, else around the price
    price beyond the bounds                  rebuilt around the price
    complete fill, a price is known          shifted (`Grid.filled`), judged by the last price
    complete fill before the first price     kept in `pending`, applied in order after the build
    a leg with far too many orders           rebuilt around the price (`leg_decision.most_orders`)

Each function takes a memory and returns the next one, and the same object when nothing changed. Each raises
`ImpossibleLadder` when the ladder cannot be there: the caller then keeps the memory it has, and so the fills.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.events import ExecType, ExecutionEvent
from gridbot.core.instrument import Instrument
from gridbot.core.quick_values import quick_value
from gridbot.strategies.grid.ladder import Grid, GridConfig
from gridbot.strategies.grid.plan import Plan
from gridbot.strategies.grid.state import GridState

__all__ = [
    "GridMemory",
    "GridSetup",
    "at_price",
    "from_state",
    "is_fill",
    "keep_fill",
    "plan_of",
    "rebuilt",
    "to_state",
    "use_fill",
]


@quick_value(frozen=True, slots=True)
class GridSetup:
    """What a strategy was made with."""

    symbol: str
    instrument: Instrument
    config: GridConfig


@quick_value(frozen=True, slots=True)
class GridMemory:
    """`plan` holds the grid (None before the first price), `pending` are fills not applied yet, oldest first (USDT).

    `seed` is the price (USDT) to build the first grid around, None for the market's. `version` counts the changes of
    what is saved, `changed_ts` is the exchange's time (ms) of the last one.
    """

    plan: Plan | None = None
    pending: tuple[Decimal, ...] = ()
    seed: Decimal | None = None
    version: int = 0
    changed_ts: int = 0


def plan_of(memory: GridMemory) -> Plan:
    """The plan of a memory that has a grid."""
    if memory.plan is None:
        raise ValueError("expected a memory with a grid, got one before its first price; ask `at_price` first")
    return memory.plan


# ---------------------------------------------------------------------- the saved form


def from_state(setup: GridSetup, seed: Decimal | None, state: GridState | None) -> tuple[GridMemory, str]:
    """The memory to begin with, and why the saved grid was not taken (empty if it was, or if none was saved).

    A saved grid that does not fit still gives its anchor as the seed, unless `seed` names another.
    """
    if state is None:
        return GridMemory(seed=seed), ""
    note = state.refusal(setup.config, setup.instrument)
    plan = None if note else Plan.of(state.grid(setup.config, setup.instrument))
    if note and seed is None:
        seed = state.seed(setup.config, setup.instrument)
    pending = state.pending if state.symbol == setup.symbol else ()
    return GridMemory(plan, pending, seed, state.version, state.exchange_ts), note


def to_state(setup: GridSetup, memory: GridMemory) -> GridState:
    """Everything that has to survive a restart."""
    grid = None if memory.plan is None else memory.plan.grid
    return GridState(
        symbol=setup.symbol,
        grid_count=setup.config.grid_count,
        grid_step=setup.config.grid_step,
        tick_size=setup.instrument.tick_size,
        levels=() if grid is None else grid.levels,
        last_fill=None if grid is None else grid.last_fill,
        anchor=memory.seed if grid is None else grid.anchor,
        version=memory.version,
        exchange_ts=memory.changed_ts,
        pending=memory.pending,
    )


# ---------------------------------------------------------------------- prices


def at_price(setup: GridSetup, memory: GridMemory, price: Decimal, exchange_ts: int) -> GridMemory:
    """The grid for this price: the first one, or a new one when the price is beyond the bounds."""
    plan = memory.plan
    if plan is None:
        around = price if memory.seed is None else memory.seed
        return _moved(memory, Grid.build(setup.config, setup.instrument, around), exchange_ts)
    return memory if plan.low <= price <= plan.high else rebuilt(memory, price, exchange_ts)


def rebuilt(memory: GridMemory, price: Decimal, exchange_ts: int) -> GridMemory:
    """The memory's grid built anew around the price."""
    return _moved(memory, plan_of(memory).grid.rebuilt(price), exchange_ts)


# ---------------------------------------------------------------------- fills


def is_fill(event: ExecutionEvent) -> bool:
    """Whether an execution completes an order by a trade."""
    return event.exec_type is ExecType.TRADE and event.leaves_qty <= 0 and event.price > 0


def keep_fill(memory: GridMemory, event: ExecutionEvent, *, market_known: bool) -> GridMemory:
    """The fill among those to apply. Before the first price it stays there, which is a change to save."""
    pending = (*memory.pending, event.price)
    if market_known:
        return GridMemory(memory.plan, pending, memory.seed, memory.version, memory.changed_ts)
    return GridMemory(memory.plan, pending, memory.seed, memory.version + 1, event.exchange_ts)


def use_fill(setup: GridSetup, memory: GridMemory, market: Decimal, exchange_ts: int) -> GridMemory:
    """The oldest fill applied to the grid, judged by the market price (USDT). `pending` must not be empty.

    Without a grid, since its first build failed, one is built around the market first.
    """
    grid = Grid.build(setup.config, setup.instrument, market) if memory.plan is None else memory.plan.grid
    built = _moved(memory, grid, exchange_ts)
    moved = _moved(built, grid.filled(memory.pending[0], market), exchange_ts)
    return GridMemory(moved.plan, memory.pending[1:], moved.seed, moved.version, moved.changed_ts)


def _moved(memory: GridMemory, grid: Grid, exchange_ts: int) -> GridMemory:
    if memory.plan is not None and (grid is memory.plan.grid or grid == memory.plan.grid):
        return memory
    return GridMemory(Plan.of(grid, memory.plan), memory.pending, memory.seed, memory.version + 1, exchange_ts)
