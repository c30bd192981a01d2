"""The grid strategy: a ladder of prices around an anchor, and the decisions about it. Pure.

The levels (`ladder`), the orders they call for (`plan`), the decisions (`engine`), and the state saved across restarts
(`state`). `docs/strategy.md` has the rules.
"""

from gridbot.strategies.grid.engine import GridEngine
from gridbot.strategies.grid.ladder import WAIT, Grid, GridConfig, ImpossibleLadder, Level, ladder, smallest_step
from gridbot.strategies.grid.state import GridState

__all__ = [
    "WAIT",
    "Grid",
    "GridConfig",
    "GridEngine",
    "GridState",
    "ImpossibleLadder",
    "Level",
    "ladder",
    "smallest_step",
]
