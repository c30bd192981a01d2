"""The grid strategy: a ladder of prices around an anchor, and the decisions about it. Pure.

The levels (`ladder`), what is worked out once per grid (`plan`), what is remembered (`grid_memory`), the decision about
both legs (`decision`, `leg_decision`, `known_interval`), its face (`engine`), the state saved across restarts
(`state`), and the grid as a kind of strategy (`kind`). `docs/strategy.md` has the rules.
"""

from gridbot.strategies.grid.engine import GridEngine
from gridbot.strategies.grid.kind import GRID, GridKeys
from gridbot.strategies.grid.ladder import WAIT, Grid, GridConfig, ImpossibleLadder, Level, ladder, smallest_step
from gridbot.strategies.grid.state import GridState

__all__ = [
    "GRID",
    "WAIT",
    "Grid",
    "GridConfig",
    "GridEngine",
    "GridKeys",
    "GridState",
    "ImpossibleLadder",
    "Level",
    "ladder",
    "smallest_step",
]
