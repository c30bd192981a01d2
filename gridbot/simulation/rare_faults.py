"""Faults that are rare on an exchange, each drawn apart from the rest of a plan, which is the same without it.

Whether a run has one is drawn by kind, so one more kind changes no other run.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from gridbot.simulation.fault_values import FaultKind

__all__ = ["drawn_apart"]

What = dict[str, str | float | int]
Drawn = tuple[FaultKind, float, float, What]
RELOADS = ("step", "count", "amount", "caps", "remove", "add")
"""What of the configuration is another one."""
SKEWS_MS = (-29_000, -8_000, -8_000, -900, -40, 3, 700, 6_000, 25_000)
"""How far the exchange's clock is set ahead, for a while."""
STRANGE = ("status", "side", "qty", "leg")
"""What of a row has a value that nobody knows."""


def drawn_apart(seed: int, length_s: float) -> list[Drawn]:
    """(kind, when, for how long, what) of each rare fault of a seed."""
    found: list[Drawn] = []
    for name, (chance, draw) in _RARE.items():
        rng = random.Random(f"{name}:{seed}")
        if rng.random() < chance:
            found += draw(rng, length_s)
    return found


def _begin(rng: random.Random, length_s: float) -> float:
    return rng.uniform(0.05, 0.6) * length_s


def _band(rng: random.Random, length_s: float) -> list[Drawn]:
    """Mark and index price leave the traded price behind; at times the exchange narrows its band as well, untold."""
    at_s = _begin(rng, length_s)
    for_s = min(length_s - at_s, rng.uniform(20.0, 90.0))
    what: What = {
        "pick": rng.random(),
        "away": rng.choice((-0.04, -0.02, 0.02, 0.04)),
        "narrow": rng.choice((0, 0, 1)),
    }
    return [(FaultKind.BAND, at_s, for_s, what)]


def _old_listing(rng: random.Random, length_s: float) -> list[Drawn]:
    """Several times a replica of the exchange stands still for a while: its listings are of when that began."""
    drawn: list[Drawn] = []
    for _ in range(rng.randint(2, 3)):
        at_s = rng.uniform(0.0, 0.85) * length_s
        for_s = min(length_s - at_s, rng.uniform(7.0, 20.0))
        drawn.append((FaultKind.OLD_LISTING, at_s, for_s, {}))
        # Orders that this listing lacks, and a reason to ask for it.
        move = round(rng.choice((-1, 1)) * rng.uniform(0.002, 0.006), 4)
        drawn.append((FaultKind.GAP, at_s + for_s * rng.uniform(0.02, 0.1), 0.0, {"move": move}))
        drawn.append((FaultKind.RECONCILE, at_s + for_s * rng.uniform(0.85, 0.98), 0.0, {}))
    return drawn


def _strange_rows(rng: random.Random, length_s: float) -> list[Drawn]:
    """Rows with values that nobody knows, mostly of a symbol that nobody trades; perhaps already at a start, or to the
    end of the run."""
    at_s = _begin(rng, length_s)
    for_s = min(length_s - at_s, rng.uniform(80.0, 200.0))
    symbol = rng.choice(("SOLUSDT", "SOLUSDT", "NEWUSDT", "ETHUSDT"))
    what: What = {"symbol": symbol, "how": rng.choice(STRANGE), "stays": rng.randint(0, 1)}
    drawn: list[Drawn] = [(FaultKind.STRANGE_ROWS, at_s, for_s, what)]
    if rng.random() < 0.5:
        drawn.append((FaultKind.DEATH, at_s + 1.0, 0.0, _death(rng)))
    return drawn


def _unlisted(rng: random.Random, length_s: float) -> list[Drawn]:
    """A symbol is listed no more, perhaps to the end of the run, and the worker has to start without it."""
    at_s = _begin(rng, length_s)
    for_s = min(length_s - at_s, rng.uniform(80.0, 200.0))
    symbol = rng.choice(("BTCUSDT", "ETHUSDT", "ETHUSDT"))
    return [
        (FaultKind.UNLISTED, at_s, for_s, {"symbol": symbol, "stays": rng.randint(0, 1)}),
        (FaultKind.DEATH, at_s + 1.0, 0.0, _death(rng)),
    ]


def _death(rng: random.Random) -> What:
    away_s = round(rng.uniform(0.5, 5.0), 2)
    return {"steps": rng.randint(1, 60), "away_s": away_s, "torn": 0, "spoils": "", "how": "torn"}


def _mode(rng: random.Random, length_s: float) -> list[Drawn]:
    """The owner switches a symbol to one-way mode, and leaves it there."""
    at_s = _begin(rng, length_s)
    return [(FaultKind.HAND_MODE, at_s, min(5.0, length_s - at_s), {"pick": rng.random(), "back": 0})]


def _delisting(rng: random.Random, length_s: float) -> list[Drawn]:
    """A symbol is delisted within the run; perhaps the worker starts anew just then."""
    at_s = _begin(rng, length_s)
    what: What = {
        "pick": rng.random(),
        "in_s": round(rng.uniform(0.0, 0.3) * length_s, 1),
        "settling_s": rng.choice((0, 2, 30)),
    }
    drawn: list[Drawn] = [(FaultKind.DELISTING, at_s, 0.0, what)]
    if rng.random() < 0.5:
        drawn.append((FaultKind.DEATH, at_s + float(what["in_s"]) + rng.uniform(-2.0, 4.0), 0.0, _death(rng)))
    return drawn


def _not_open(rng: random.Random, length_s: float) -> list[Drawn]:
    """A symbol does not trade for a while, and perhaps the worker starts meanwhile. What rests takes part in a call
    auction if there is one."""
    at_s = _begin(rng, length_s)
    for_s = min(length_s - at_s, rng.uniform(5.0, 90.0))
    status = rng.choice(("PendingOpen", "PreLaunch", "Settling", "Delivering"))
    drawn: list[Drawn] = [(FaultKind.NOT_OPEN, at_s, for_s, {"pick": rng.random(), "status": status})]
    if rng.random() < 0.5:
        drawn.append((FaultKind.DEATH, at_s + 1.0, 0.0, _death(rng)))
    if status == "PreLaunch":
        drawn[0][3]["phase"] = rng.choice(("NotStarted", "CallAuction", "CallAuctionNoCancel"))
    return drawn


def _lot(rng: random.Random, length_s: float) -> list[Drawn]:
    """Another lot while it trades; what is held and what rests may be no whole one any more."""
    what: What = {"pick": rng.random(), "times": rng.choice(("2", "5", "10", "0.1", "0.5"))}
    return [(FaultKind.LOT_CHANGE, _begin(rng, length_s), 0.0, what)]


def _cut(rng: random.Random, length_s: float) -> list[Drawn]:
    """A risk tier is cut: a leg can only be reduced, for a while."""
    at_s = rng.uniform(0.1, 0.6) * length_s
    return [(FaultKind.RISK_CUT, at_s, min(length_s - at_s, rng.uniform(5.0, 120.0)), {"pick": rng.random()})]


def _adl(rng: random.Random, length_s: float) -> list[Drawn]:
    """The exchange deleverages: parts of legs go without an order."""
    count = rng.randint(1, 3)
    return [
        (
            FaultKind.ADL,
            rng.uniform(0.1, 0.9) * length_s,
            0.0,
            {"pick": rng.random(), "part": rng.choice((0.3, 0.7, 1.0))},
        )
        for _ in range(count)
    ]


def _cover(rng: random.Random, length_s: float) -> list[Drawn]:
    """The owner's own order closes a whole leg, far away: nothing is left for ours to close."""
    at_s = rng.uniform(0.2, 0.5) * length_s
    return [(FaultKind.HAND_COVER, at_s, 0.0, {"pick": rng.random()})]


def _ended(rng: random.Random, length_s: float) -> list[Drawn]:
    """The exchange accepts every order, and ends it before it can rest."""
    at_s = _begin(rng, length_s)
    return [(FaultKind.ENDED_AT_ONCE, at_s, min(length_s - at_s, rng.uniform(20.0, 150.0)), {})]


def _maintenance(rng: random.Random, length_s: float) -> list[Drawn]:
    """The exchange announces maintenance that begins `after_s` later, and that it is over."""
    at_s = rng.uniform(0.0, 10.0)
    for_s = (length_s - at_s) * rng.uniform(0.6, 1.0)
    return [(FaultKind.MAINTENANCE, at_s, for_s, {"after_s": rng.uniform(5.0, 20.0)})]


def _trade_socket(rng: random.Random, length_s: float) -> list[Drawn]:
    """The trade socket alone is away, dark or cut, and its answers are lost, late or doubled. Nothing of it matters to
    an account whose orders go by HTTP but the lost answers."""
    drawn: list[Drawn] = []
    for _ in range(rng.randint(2, 5)):
        at_s = rng.uniform(0.02, 0.9) * length_s
        for_s = min(length_s - at_s, rng.uniform(2.0, 60.0))
        chance = rng.choice((0.2, 0.5, 1.0))
        create: What = {"endpoint": "/v5/order/c", "chance": chance}
        kind, what = rng.choice(_OF_THE_SOCKET)
        extra: What = create if kind in (FaultKind.LOST_REPLIES, FaultKind.LOST_REQUESTS) else {"chance": chance}
        drawn.append((kind, at_s, 0.0 if kind is FaultKind.DROP else for_s, {**extra, **what}))
        # Something that is under way just then.
        move = round(rng.choice((-1, 1)) * rng.uniform(0.002, 0.006), 4)
        after_s = -rng.uniform(0.003, 0.03) if kind in (FaultKind.DROP, FaultKind.STREAMS_DOWN) else rng.random()
        drawn.append((FaultKind.GAP, min(length_s - 0.001, at_s + after_s), 0.0, {"move": move}))
    return drawn


def _banned(rng: random.Random, length_s: float) -> list[Drawn]:
    """The address is banned from a reconcile on, to the end of a short run; the market moves, and the worker or its
    private stream may fall out meanwhile."""
    at_s = rng.uniform(0.1, 0.5) * length_s
    drawn: list[Drawn] = [(FaultKind.BAN, at_s, 1.0, {}), (FaultKind.RECONCILE, at_s + 0.1, 0.0, {})]
    for _ in range(rng.randint(2, 6)):
        move = round(rng.choice((-1, 1)) * rng.uniform(0.002, 0.006), 4)
        drawn.append((FaultKind.GAP, rng.uniform(at_s + 1.0, length_s - 0.001), 0.0, {"move": move}))
    if rng.random() < 0.5:
        drawn.append((FaultKind.DROP, rng.uniform(at_s + 1.0, length_s - 0.001), 0.0, {"channel": "private"}))
    return drawn


def _flatten(rng: random.Random, length_s: float) -> list[Drawn]:
    """An operator cancels or closes everything, perhaps twice; the worker may die meanwhile; then all is resumed."""
    at_s = rng.uniform(0.2, 0.8) * length_s
    names = ("cancel", "flatten", "flatten", "kill")
    drawn: list[Drawn] = [(FaultKind.FLATTEN, at_s, 0.0, {"name": rng.choice(names)})]
    if rng.random() < 0.3:
        again_s = min(length_s, at_s + rng.uniform(0.0, 2.0))
        drawn.append((FaultKind.FLATTEN, again_s, 0.0, {"name": rng.choice(names)}))
    if rng.random() < 0.6:
        drawn.append((FaultKind.DEATH, min(length_s, at_s + rng.uniform(0.0, 2.0)), 0.0, _death(rng)))
    drawn.append((FaultKind.RESUME, min(length_s, at_s + rng.uniform(10.0, 60.0)), 0.0, {}))
    return drawn


def _exchange_clock(rng: random.Random, length_s: float) -> list[Drawn]:
    """The exchange's own clock is off and is set right again: one way or the other it goes back. Often before a leg has
    its first fill, so that this is older than the leg by its time."""
    at_s = rng.choice((0.0, rng.uniform(0.0, 5.0), rng.uniform(0.0, 0.8) * length_s))
    for_s = min(length_s - at_s, rng.choice((1.5, rng.uniform(2.0, 30.0))))
    drawn: list[Drawn] = [
        (FaultKind.EXCHANGE_SKEW, at_s, for_s, {"ms": rng.choice(SKEWS_MS)}),
        (FaultKind.WICK, at_s + for_s * rng.uniform(0.1, 0.9), 0.0, {"move": rng.choice((-0.008, 0.008))}),
    ]
    return drawn


_OF_THE_SOCKET: tuple[tuple[FaultKind, What], ...] = (
    (FaultKind.STREAMS_DOWN, {"channel": "trade"}),
    (FaultKind.DARK, {"channel": "trade"}),
    (FaultKind.DROP, {"channel": "trade"}),
    (FaultKind.DROP, {"channel": "trade"}),
    (FaultKind.LOST_REPLIES, {"how": "silent"}),
    (FaultKind.LOST_REPLIES, {"how": "broken"}),
    (FaultKind.LOST_REQUESTS, {"how": "broken"}),
    (FaultKind.REPEATED_ANSWERS, {"late_s": 0.01}),
    (FaultKind.REPEATED_ANSWERS, {"late_s": 12.0}),
    (FaultKind.LATE_ANSWERS, {"late_s": 3.0}),
    (FaultKind.LATE_ANSWERS, {"late_s": 12.0}),
)


def _reload(rng: random.Random, length_s: float) -> list[Drawn]:
    """The configuration is reloaded several times, at times twice at once or with a death in the midst."""
    drawn: list[Drawn] = []
    for _ in range(rng.randint(2, 6)):
        at_s = rng.uniform(0.05, 1.0) * length_s
        drawn.append((FaultKind.RELOAD, at_s, 0.0, {"how": rng.choice(RELOADS), "pick": rng.random()}))
        if rng.random() < 0.2:
            drawn.append((FaultKind.RELOAD, at_s, 0.0, {"how": rng.choice(RELOADS), "pick": rng.random()}))
        if rng.random() < 0.2:
            what: What = {"steps": rng.randint(1, 60), "away_s": round(rng.uniform(1.0, 8.0), 2), "torn": 0}
            drawn.append((FaultKind.DEATH, min(at_s + rng.choice((0.0, 0.1, 1.0)), length_s), 0.0, what))
    return drawn


_RARE: dict[str, tuple[float, Callable[[random.Random, float], list[Drawn]]]] = {
    "band": (0.15, _band),
    "old listing": (0.15, _old_listing),
    "strange rows": (0.12, _strange_rows),
    "unlisted": (0.08, _unlisted),
    "mode": (0.08, _mode),
    "cover": (0.1, _cover),
    "delisting": (0.1, _delisting),
    "not open": (0.08, _not_open),
    "lot": (0.08, _lot),
    "cut": (0.08, _cut),
    "adl": (0.1, _adl),
    "ended": (0.06, _ended),
    "maintenance": (0.06, _maintenance),
    "trade socket": (0.4, _trade_socket),
    "banned": (0.04, _banned),
    "flatten": (0.15, _flatten),
    "reload": (0.2, _reload),
    "exchange clock": (0.15, _exchange_clock),
}
"""How many runs have it."""
