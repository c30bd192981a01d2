"""A campaign of inputs against the doors: how many, what came out, and what nobody expected."""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.fuzz.doors import Door

__all__ = ["Find", "Result", "inputs_of", "run_door"]

SLOW_S = 1.0
"""CPU time of one input beyond which it is a find: no input may cost more."""
MOST_FINDS = 20


@dataclass(frozen=True)
class Find:
    """An input that nobody expected; `number` and the seed make it again."""

    door: str
    number: int
    what: str
    value: str


@dataclass
class Result:
    """`outcomes` counts by word, the unexpected ones under the name of what was raised."""

    door: str
    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    finds: list[Find] = field(default_factory=list)
    cpu_s: float = 0.0


def inputs_of(total: int, doors: Iterable[Door]) -> dict[str, int]:
    """How many of so many inputs each door gets: as many as take it about as long as the others."""
    shares = {door.name: door.share for door in doors}
    return {name: max(1, total * share // sum(shares.values())) for name, share in shares.items()}


def run_door(door: Door, count: int, seed: int, *, first: int = 0) -> Result:
    """So many inputs of a seed, from number `first` on. Never raises."""
    result = Result(door.name)
    began_s = time.process_time()
    for number in range(first, first + count):
        rng = random.Random(f"{seed} {door.name} {number}")
        value = door.make(rng)
        at_s = time.process_time()
        try:
            outcome = door.try_one(value)
            what = "" if outcome in door.expected else f"unexpected outcome {outcome}"
        except BaseException as error:  # a panic of a library is none of Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            outcome = f"raised {type(error).__name__}"
            what = "".join(traceback.format_exception(error, limit=-4))
        took_s = time.process_time() - at_s
        if took_s > SLOW_S and not what:
            outcome, what = "slow", f"took {took_s:.1f} s"
        result.inputs += 1
        result.outcomes[outcome] += 1
        if what and len(result.finds) < MOST_FINDS:
            result.finds.append(Find(door.name, number, what, f"{value!r:.500}"))
    result.cpu_s = time.process_time() - began_s
    return result
