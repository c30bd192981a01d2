"""The machine of `test_life_machine.py` on weighted random walks, one per seed: long, busy lives.

Hypothesis chooses its rules evenly and often leaves most of them out; here orders are sent, answered and heard of far
more often than anything rare happens. A failing seed is named; `walk(seed)` runs it again.
"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any, get_args

from gridbot.core import Direction, Side
from gridbot.orders import life_events
from tests.orders.life_model import REFUSALS
from tests.orders.test_life_machine import CHAPTERS, EXAMPLES, Life

SEEDS = 6 * EXAMPLES
STEPS = 60
WEIGHTS = {
    "place": 6,
    "withdraw": 3,
    "stop": 0.3,
    "gate_changes": 0.5,
    "time_passes": 2,
    "send_create": 8,
    "send_cancel": 5,
    "answer": 10,
    "late_arrival": 0.7,
    "market": 5,
    "clock_is_set_back": 0.3,
    "forget": 0.5,
    "hear": 10,
    "hear_execution": 4,
    "look_up": 3,
    "reconcile": 0.7,
    "give_up": 0.3,
    "stranger": 0.1,
    "restart": 0.1,
}


class Draw:
    """Stands for hypothesis's `data`: one of the things that a rule lets it choose from."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def draw(self, choice: Any) -> Any:
        lazy = getattr(choice, "wrapped_strategy", choice)
        return self._chance.choice(list(lazy.elements))


def walk(seed: int, steps: int = STEPS) -> Counter[str]:
    """One life of a book; what occurred in it."""
    occurred: Counter[str] = Counter()
    chance = random.Random(seed)
    life = Life()
    life.count = lambda text: occurred.update([text])  # type: ignore[misc, assignment]
    life.tell(sorted(CHAPTERS)[seed % len(CHAPTERS)])
    for _ in range(steps):
        [act] = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if _possible(life, act):
            getattr(life, act)(**_arguments(act, chance))
            life.all_is_well()
            life.executions_are_never_unsaid()
            life.nothing_is_believed_that_did_not_happen()
    life.teardown()
    return occurred


def _possible(life: Life, act: str) -> bool:
    exchange = life.exchange
    needs: dict[str, object] = {
        "withdraw": life.mine,
        "send_create": life.to_create,
        "send_cancel": life.to_cancel,
        "answer": life.answers,
        "late_arrival": life.floating,
        "market": exchange.resting(),
        "forget": len(exchange.resting()) < len(exchange.orders),
        "hear": exchange.frames,
        "hear_execution": exchange.executions,
        "look_up": life.mine,
        "give_up": life.book.unsettled(),
        "restart": not (life.to_create or life.answers),
    }
    return bool(needs.get(act, True))


def _arguments(act: str, chance: random.Random) -> dict[str, Any]:
    one, data = chance.choice, {"data": Draw(chance)}
    ticks = {"ticks": chance.randint(990, 992)}
    parts = [Decimal("0.003"), Decimal("0.007"), Decimal("0.010")]
    changes = ["trade", "trade", "trade", "end", "post only", "reprice", "clamp", "say again"]
    made: dict[str, dict[str, Any]] = {
        "place": {**ticks, "side": one(list(Side)), "direction": one(list(Direction))},
        "gate_changes": {"refusal": one(["", "", "paused"]), "cooldown": chance.random() < 0.3},
        "time_passes": {"seconds": one([1.0, 4.0, 20.0])},
        "send_create": {**data, "how": one(["ack"] * 8 + ["lost", "lost reply", "late", "denied", *REFUSALS])},
        "send_cancel": {**data, "how": one(["ack"] * 3 + ["lost", "lost reply", "undone", "busy", "key"])},
        "market": {**data, **ticks, "what": one(changes), "part": one(parts)},
        "hear": {**data, "how": one(["once"] * 3 + ["again", "lost"])},
        "look_up": {**data, "is_blind": chance.random() < 0.2},
        "stranger": {"ours": chance.random() < 0.5},
        "late_arrival": {},
        "clock_is_set_back": {"by": one([1, 3, 20]), "how": 0},
    }
    made |= dict.fromkeys(("withdraw", "answer", "forget", "hear_execution"), data)
    made |= {name: {"how": 0} for name in ("stop", "reconcile", "give_up", "restart")}
    return made[act]


def test_long_lives_end_as_the_exchange_has_them_and_nothing_is_left_out() -> None:
    occurred: Counter[str] = Counter()
    for seed in range(SEEDS):
        try:
            occurred += walk(seed)
        except Exception as fault:
            fault.add_note(f"seed {seed}")
            raise
    missing = {kind.__name__ for kind in get_args(life_events.Event) if not occurred[f"event {kind.__name__}"]}
    assert not missing
    assert occurred["final yet listed"]
    assert occurred["withdrawn while waiting"]
