"""What goes wrong in a run and when: a list of timed faults, drawn from the seed before anything runs.

A plan is a value, so a failing seed can be made smaller by leaving faults out. Each fault draws what it needs while it
acts from its own number, so leaving one out does not change the others.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from gridbot.simulation.fault_values import Fault, FaultKind, Plan, is_latched
from gridbot.simulation.rare_faults import drawn_apart

__all__ = ["CREATE_CODES", "Fault", "FaultKind", "Plan", "draw_plan"]


What = dict[str, str | float | int]
Draw = Callable[[random.Random, float], tuple[float, What]]

CREATE = "/v5/order/create"
ENDPOINTS = (
    "",
    CREATE,
    "/v5/order/cancel",
    "/v5/execution/list",
    "/v5/order/realtime",
    "/v5/position/list",
)
STATE_FILES = ("holds", "latch", "ledger", "generation", "run")
"""Parts of the names of a worker's small files."""
SPOILED = ("torn", "empty", "garbled")
TOPICS = ("order", "execution", "position", "wallet", "")
CODES = (10006, 10016, 10000)
STRANGE_WORDS = ("Dividend", "Settle", "SessionSettlePnL", "Delivery", "MovePosition", "ReverseSplitSettle", "SpinOff")
"""Types of executions that no order makes; the last is in no table of ours."""
CREATE_CODES = (10001, 110003, 110017, 110094, 170193, 181001)
"""With which the exchange refuses every create for a while; the last is in no table of ours."""


def _length(rng: random.Random, left_s: float, longest_s: float = 1200.0) -> float:
    """Seconds, as likely from 1 to 10 as from 10 to 100."""
    return math.exp(rng.uniform(0.0, math.log(max(2.0, min(longest_s, left_s)))))


def _rest_down(rng: random.Random, left_s: float) -> tuple[float, What]:
    return _length(rng, left_s), {"how": rng.choice(("refused", "silent", "broken"))}


def _requests(rng: random.Random, left_s: float) -> tuple[float, What]:
    how = rng.choice(("silent", "broken", "broken"))
    return _length(rng, left_s, 60.0), {
        "endpoint": rng.choice(ENDPOINTS),
        "chance": rng.choice((0.1, 0.3, 1.0)),
        "how": how,
    }


def _refusals(rng: random.Random, left_s: float) -> tuple[float, What]:
    seconds, what = _requests(rng, left_s)
    del what["how"]
    return seconds, {**what, "code": rng.choice(CODES)}


def _frames(rng: random.Random, left_s: float) -> tuple[float, What]:
    return _length(rng, left_s, 30.0), {"topic": rng.choice(TOPICS), "chance": rng.choice((0.1, 0.4, 1.0))}


def _late(rng: random.Random, left_s: float) -> tuple[float, What]:
    seconds, what = _frames(rng, left_s)
    return seconds, {**what, "late_s": round(rng.choice((0.05, 0.5, 3.0)) * rng.random(), 3)}


def _channel(rng: random.Random, left_s: float) -> tuple[float, What]:
    return _length(rng, left_s), {"channel": rng.choice(("private", "private", "public", ""))}


def _death(rng: random.Random, left_s: float) -> tuple[float, What]:
    return 0.0, {
        "steps": rng.randint(1, 60),
        "away_s": round(_length(rng, left_s, 90.0), 2),
        "torn": rng.choice((0, 0, 0, 1, 3)),
        "spoils": rng.choice(("", "", "", "", *STATE_FILES)),
        "how": rng.choice(SPOILED),
    }


def _market(rng: random.Random, left_s: float) -> tuple[float, What]:
    return 0.0, {"symbol": rng.choice(("BTCUSDT", "ETHUSDT", "SOLUSDT")), "pick": rng.random()}


def _ours(rng: random.Random, left_s: float) -> tuple[float, What]:
    return 0.0, {"pick": rng.random(), "ticks": rng.choice((-7, -1, 1, 5))}


def _tick(rng: random.Random, left_s: float) -> tuple[float, What]:
    """The new tick is so many times that of the beginning."""
    return 0.0, {"pick": rng.random(), "times": rng.choice(("5", "2", "10", "0.1", "0.5", "1"))}


# Kind -> how often it is drawn, and how. What a lasting fault may hit: `endpoint` and `topic` ("" is every one).
DRAWS: dict[FaultKind, tuple[float, Draw]] = {
    FaultKind.REST_DOWN: (1.5, _rest_down),
    FaultKind.REST_SLOW: (
        1.0,
        lambda rng, left: (_length(rng, left, 60.0), {"late_s": round(rng.uniform(0.3, 6.0), 2)}),
    ),
    FaultKind.LOST_REQUESTS: (1.0, _requests),
    FaultKind.LOST_REPLIES: (1.5, _requests),
    FaultKind.REFUSALS: (1.5, _refusals),
    FaultKind.LATE_REFUSALS: (0.7, _refusals),
    FaultKind.NO_CREATES: (
        0.4,
        lambda rng, left: (
            min(left, rng.choice((20.0, 90.0, 300.0))),
            {"endpoint": CREATE, "chance": 1.0, "code": rng.choice(CREATE_CODES)},
        ),
    ),
    FaultKind.SKEW: (
        0.4,
        lambda rng, left: (_length(rng, left, 120.0), {"ms": rng.choice((-8000, -900, 700, 1500, 6000))}),
    ),
    FaultKind.STREAMS_DOWN: (1.5, _channel),
    FaultKind.DARK: (1.0, _channel),
    FaultKind.LOST_FRAMES: (1.5, _frames),
    FaultKind.REPEATED_FRAMES: (1.0, _frames),
    FaultKind.LATE_FRAMES: (1.0, _late),
    FaultKind.FULL_DISK: (0.6, lambda rng, left: (_length(rng, left, 60.0), {"room": rng.choice((0, 0, 10, 200))})),
    FaultKind.WRITE_ERRORS: (
        0.5,
        lambda rng, left: (
            _length(rng, left, 60.0),
            {"where": rng.choice(("journal", "files", "")), "chance": rng.choice((0.3, 1.0))},
        ),
    ),
    FaultKind.SLOW_DISK: (
        0.5,
        lambda rng, left: (_length(rng, left, 30.0), {"late_s": rng.choice((0.02, 0.3, 2.0)), "chance": 0.3}),
    ),
    FaultKind.STALL: (0.5, lambda rng, left: (_length(rng, left, 120.0), {})),
    FaultKind.HAND_MODE: (0.3, lambda rng, left: (_length(rng, left, 60.0), {"pick": rng.random()})),
    FaultKind.DROP: (1.0, lambda rng, left: (0.0, {"channel": rng.choice(("private", "public", ""))})),
    FaultKind.DEATH: (1.5, _death),
    FaultKind.RESTART: (0.3, lambda rng, left: (0.0, {})),
    FaultKind.LIQUIDATION: (0.2, lambda rng, left: (0.0, {})),
    FaultKind.EXCHANGE_RESTART: (0.4, lambda rng, left: (0.0, {})),
    FaultKind.CLOCK_STEP: (0.3, lambda rng, left: (0.0, {"ms": rng.choice((-3000, -400, 400, 3000))})),
    FaultKind.HAND_TRADE: (1.0, _market),
    FaultKind.HAND_ORDER: (0.7, _market),
    FaultKind.HAND_CANCEL: (0.7, _ours),
    FaultKind.HAND_AMEND: (0.4, _ours),
    FaultKind.PAUSE: (0.3, lambda rng, left: (0.0, {"cancel": rng.randint(0, 1)})),
    FaultKind.RESUME: (0.3, lambda rng, left: (0.0, {})),
    FaultKind.RECONCILE: (0.3, lambda rng, left: (0.0, {})),
    FaultKind.FUNDING: (0.4, lambda rng, left: (0.0, {"rate": rng.choice(("0.0001", "-0.0003", "0.001"))})),
    FaultKind.GAP: (0.7, lambda rng, left: (0.0, {"move": round(rng.uniform(-0.02, 0.02), 4)})),
    FaultKind.WICK: (0.7, lambda rng, left: (0.0, {"move": round(rng.uniform(-0.015, 0.015), 4)})),
}
LONG_DRAWS: dict[FaultKind, tuple[float, Draw]] = {
    FaultKind.BAN: (0.5, lambda rng, left: (float(rng.choice((1.0, 30.0, 600.0))), {})),
}
"""Drawn only in runs of ten minutes and more: the worker itself is silent for ten."""
LONG_S = 600.0
OUTAGE_CHANCE = 0.5
LONGEST_CHANCE = 0.05
LONGEST_S = (600.0, 1200.0)
AFTER_S = 30.0
TERMS_CHANCE = 0.3
MONEY_CHANCE = 0.25
HELD_CHANCE = 0.1
REFUSED_CHANCE = 0.08


def draw_plan(seed: int, length_s: float, *, dense: bool = False) -> Plan:
    """The plan of a seed: about four faults a minute (ten when dense), often an outage of REST and streams together.

    A plan of ten minutes and more is now and then longer than asked: by an outage of 10 to 20 minutes.
    """
    rng = random.Random(f"plan:{seed}")
    draws = {**DRAWS, **LONG_DRAWS} if length_s >= LONG_S else DRAWS
    kinds, weights = list(draws), [weight for weight, _ in draws.values()]
    count = max(1, round(rng.uniform(0.3, 1.7) * (10 if dense else 4) * length_s / 60))
    drawn: list[tuple[FaultKind, float, float, What]] = []
    for _ in range(count):
        kind = rng.choices(kinds, weights)[0]
        at_s = rng.uniform(0.0, length_s)
        for_s, what = draws[kind][1](rng, length_s - at_s)
        drawn.append((kind, at_s, min(for_s, length_s - at_s), what))
    if rng.random() < OUTAGE_CHANCE:
        drawn += _outage(rng, length_s)
    if rng.random() < HELD_CHANCE:
        drawn += _held_over_a_death(rng, length_s)
    if rng.random() < REFUSED_CHANCE:
        drawn.append(_refused_for_long(rng, length_s))
    drawn.sort(key=lambda item: item[1])
    drawn += _terms_change(seed, length_s)  # numbered last, as is what follows
    drawn += drawn_apart(seed, length_s)
    drawn += _strange_money(seed, length_s)
    drawn += _latched_over_a_death(seed, length_s)
    drawn += (longest := _longest_outage(seed, length_s))
    length_s = max([length_s, *(at_s + for_s + AFTER_S for _, at_s, for_s, _ in longest)])
    faults = [
        Fault(number, kind, round(at_s, 3), round(for_s, 3), what)
        for number, (kind, at_s, for_s, what) in enumerate(drawn, start=1)
    ]
    faults.sort(key=lambda fault: (fault.at_s, fault.number))
    return Plan(seed, length_s, dense, tuple(faults))


def _terms_change(seed: int, length_s: float) -> list[tuple[FaultKind, float, float, What]]:
    """The size of a tick changes and hands move orders: mostly while no worker looks, so that only ids are as before.

    Drawn apart from the rest of the plan, which is the same without it.
    """
    rng = random.Random(f"terms:{seed}")
    if rng.random() >= TERMS_CHANCE:
        return []
    at_s = rng.uniform(0.1, 0.8) * length_s
    away_s = round(rng.uniform(2.0, 20.0), 2)
    tick, amend = FaultKind.TICK_CHANGE, FaultKind.HAND_AMEND
    kinds = rng.choice(((tick,), (amend, amend, amend), (amend, tick)))
    drawn: list[tuple[FaultKind, float, float, What]] = [
        (kind, min(at_s + rng.uniform(0.5, away_s), length_s - 0.001), *draw(rng, length_s))
        for kind, draw in ((kind, _tick if kind is tick else _ours) for kind in kinds)
    ]
    if rng.random() < 0.8:
        drawn.append((FaultKind.DEATH, at_s, 0.0, {**_death(rng, length_s)[1], "steps": 1, "away_s": away_s}))
    return drawn


def _strange_money(seed: int, length_s: float) -> list[tuple[FaultKind, float, float, What]]:
    """Executions that are no trades, taxes and fees in another coin, wallet frames without USDT; drawn apart, too."""
    rng = random.Random(f"money:{seed}")
    drawn: list[tuple[FaultKind, float, float, What]] = []
    if rng.random() < MONEY_CHANCE:
        for _ in range(rng.randint(1, 3)):
            what: What = {
                "word": rng.choice(STRANGE_WORDS),
                "moves": rng.choice(("yes", "no")),
                "pick": rng.random(),
                "part": rng.choice(("0.3", "1")),
                "money": rng.choice(("12.5", "-0.75", "3")),
            }
            drawn.append((FaultKind.STRANGE_EXECUTION, rng.uniform(0.1, 1.0) * length_s, 0.0, what))
    if rng.random() < MONEY_CHANCE:
        at_s = rng.uniform(0.0, 0.8) * length_s
        charges: What = {"tax": rng.choice(("0", "0.18", "0.05")), "coin": rng.choice(("USDT", "MNT"))}
        drawn.append((FaultKind.CHARGES, at_s, rng.uniform(0.1, 1.0) * (length_s - at_s), charges))
    if rng.random() < MONEY_CHANCE:
        drawn += [(FaultKind.COIN_FRAME, rng.uniform(0.0, 1.0) * length_s, 0.0, {}) for _ in range(3)]
    return drawn


def _refused_for_long(rng: random.Random, length_s: float) -> tuple[FaultKind, float, float, What]:
    """The exchange refuses every create for more than a minute, perhaps from the beginning on."""
    at_s = rng.choice((0.0, rng.uniform(0.0, length_s * 0.3)))
    for_s = min(length_s - at_s, rng.uniform(70.0, 300.0))
    return FaultKind.NO_CREATES, at_s, for_s, {"endpoint": CREATE, "chance": 1.0, "code": rng.choice(CREATE_CODES)}


def _held_over_a_death(rng: random.Random, length_s: float) -> list[tuple[FaultKind, float, float, What]]:
    """An operator pauses, and the worker dies; what said that it was paused may be damaged."""
    at_s = rng.uniform(0.0, length_s * 0.8)
    what: What = {"steps": rng.randint(1, 60), "away_s": round(_length(rng, 10.0), 2), "torn": rng.choice((0, 1))}
    died_s = min(at_s + rng.choice((0.0, 0.01, 5.0)), length_s)
    return [
        (FaultKind.PAUSE, at_s, 0.0, {"cancel": rng.randint(0, 1)}),
        (
            FaultKind.DEATH,
            died_s,
            0.0,
            {**what, "spoils": rng.choice(("", "holds", "holds")), "how": rng.choice(SPOILED)},
        ),
    ]


def _latched_over_a_death(seed: int, length_s: float) -> list[tuple[FaultKind, float, float, What]]:
    """An account with a limit of its loss (`scene`) loses more than that, and its worker dies. Drawn apart, too."""
    if not is_latched(seed):
        return []
    rng = random.Random(f"latch:{seed}")
    at_s = rng.uniform(0.2, 0.7) * length_s
    loss: What = {"word": "Settle", "moves": "no", "pick": rng.random(), "part": "1", "money": "-25"}
    death = {**_death(rng, length_s)[1], "away_s": round(_length(rng, 10.0), 2)}
    return [
        (FaultKind.STRANGE_EXECUTION, at_s, 0.0, loss),
        (FaultKind.DEATH, min(at_s + rng.choice((0.5, 2.0, 5.0)), length_s), 0.0, death),
    ]


def _longest_outage(seed: int, length_s: float) -> list[tuple[FaultKind, float, float, What]]:
    """An outage of 10 to 20 minutes, which goes on after the other faults. Drawn apart from them."""
    rng = random.Random(f"longest:{seed}")
    if length_s < LONG_S or rng.random() >= LONGEST_CHANCE:
        return []
    return _away(rng, rng.uniform(0.3, 0.9) * length_s, rng.uniform(*LONGEST_S), math.inf)


def _outage(rng: random.Random, length_s: float) -> list[tuple[FaultKind, float, float, What]]:
    """An outage of any length that ends with the run."""
    at_s = rng.uniform(0.0, length_s * 0.7)
    left_s = length_s - at_s
    return _away(rng, at_s, _length(rng, left_s), left_s)


def _away(rng: random.Random, at_s: float, rest_s: float, left_s: float) -> list[tuple[FaultKind, float, float, What]]:
    """REST and streams are away; either may be back before the other."""
    streams_s = max(0.5, rest_s + rng.choice((-20.0, -3.0, -0.3, 0.0, 0.3, 3.0, 20.0)))
    return [
        (FaultKind.REST_DOWN, at_s, min(rest_s, left_s), {"how": rng.choice(("refused", "silent", "broken"))}),
        (FaultKind.STREAMS_DOWN, at_s, min(streams_s, left_s), {"channel": ""}),
    ]
