"""Days of a worker's life under virtual time, beside the paper exchange: how many objects of each type there are."""

from __future__ import annotations

import asyncio
import decimal
import gc
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from gridbot.simulation.forbidden import forbid
from gridbot.simulation.own_directory import own_directory
from gridbot.simulation.run import Run
from gridbot.simulation.run_faults import Plan
from gridbot.simulation.trace import Trace

__all__ = ["Day", "watch_days"]

DAY_S = 86_400.0
STEP_S = 10.0
"""Between two prices. The worker's own second is what takes most of the time anyway."""

Day = dict[str, int]
"""Objects by type; but for numbers and texts, which the collector does not see."""


class _Days(Run):
    """A run without faults, whose objects are counted at the end of each day."""

    def __init__(self, plan: Plan, directory: Path, told: Callable[[int, Day], None]) -> None:
        super().__init__(plan, directory, Trace(on=False))
        self._told = told

    async def main(self) -> None:
        stage = self.stage
        stage.begin_life()
        begun_s = stage.loop.now_s
        for day in range(1, round(self.plan.length_s / DAY_S) + 1):
            while stage.loop.now_s < begun_s + day * DAY_S:
                await asyncio.sleep(STEP_S)
                for symbol in stage.symbols:
                    stage.venue.move(symbol, stage.walk.next(symbol))
            for symbol in stage.symbols:  # at rest: nothing is under way
                stage.venue.move(symbol, stage.walk.price(symbol))
            await asyncio.sleep(STEP_S)
            stage.venue.created.clear()  # the simulator's own memory
            self._told(day, _objects())
        await self._stop()


def _objects() -> Day:
    gc.collect()
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        found[f"{kind.__module__}.{kind.__qualname__}"] += 1
    return dict(found)


def watch_days(days: int, seed: int, told: Callable[[int, Day], None]) -> float:
    """Call `told` at the end of each day with its number and the objects; return simulated seconds per CPU second."""
    plan = Plan(seed, days * DAY_S, True, ())
    began_s = time.thread_time()
    with own_directory() as directory, decimal.localcontext(decimal.Context()):
        run = _Days(plan, directory, told)
        with forbid(run.stage.clock):
            try:
                run.stage.loop.run(run.main())
            finally:
                run.stage.loop.bury()
    return days * DAY_S / (time.thread_time() - began_s)
