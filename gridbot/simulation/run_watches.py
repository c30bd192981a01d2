"""Invariants that look at a run over time. Each is told what happens and finds what must not.

standstill-is-told, of one lane    every open or close of a leg was refused for a minute, and nobody says so
level-is-calm                      one level gets few orders in a minute, whatever becomes of them
told-once                          an incident is told when it begins, gets worse and ends, and not in between; one of
                                   a cap, which comes and goes with each order, once a minute at most
fills-are-asked-for                the executions that a finished order lacks are asked for by its id, soon
account-is-followed                rows that nobody can read and symbols that are gone keep nobody from comparing
ban-is-kept                        over the trade socket orders go on during a ban of the address
maintenance-is-told                while the exchange says that it is maintained, so does health, and not for long after
nothing-in-vain                    what the exchange does not take on a symbol or a leg is asked for once, not on and on
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from gridbot.bybit.ret_codes import RET_CODES
from gridbot.exchange.bans import BANNED
from gridbot.exchange.failures import ErrorKind
from gridbot.exchange.order_entry import OrderEntry
from gridbot.execution.send_lane import CANCEL, PLACE, RequestKind
from gridbot.simulation.fault_values import FaultKind
from gridbot.simulation.network import Network
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.symbol_states import FREE

__all__ = [
    "BanWatch",
    "FollowWatch",
    "IncidentWatch",
    "LaneWatch",
    "LevelWatch",
    "MaintenanceWatch",
    "ShutLane",
    "UnsettledWatch",
    "VainWatch",
]

Find = Callable[[str, str], None]
MINUTE_S = 60.0
ROW_MOST_S = 90.0
"""Between two refusals of one row; what comes later is another, and when none comes nothing is wanted any more."""
ROW_LEAST = 5
TOLD_S = 2.0
"""Within so long the worker tells: it looks once a second."""
WANTED_S = 20.0
"""So long after a refusal a lane is looked at: later nothing may want to pass, and a part of the cause may be over."""
LEVEL_MOST = 12
"""Orders of one level in a minute: a quick market and its retries need fewer."""
LEVELS_KEPT = 500
"""A simulated day has a thousand."""
FOLLOWED_S = 80.0
"""Longer than the longest interval between two comparisons, and one of them."""
GOES_ON_S = 5.0
"""Longer than a pause of an endpoint (10006), after which what waits leaves with the next look."""
ASKED_S = 8.0
"""Until executions that are missing are here, on a good line: the first two questions come within 3 s."""
ASKED_MOST_S = 30.0
"""The longest wait between two questions."""
KNOWN_S = 40.0
"""A worker reads the announcements 35 s after its start, and says so with its next report."""
OVER_S = 65.0
"""During a maintenance it reads them each minute."""
VAIN_S: Mapping[int, float] = {110074: 50.0, 110095: 50.0, 30228: 590.0, 110023: 590.0}
"""Until when a worker does not ask again, by code: the symbol does not trade (perhaps it does in a minute), is about to
be delisted, or the leg may only be reduced."""
VAIN_AFTER_S = 20.0
"""What was under way when the first was refused is over."""
SILENT_S = 5.0
"""A worker reports each second; one that has not for so long stood still, and knows what it knew before."""
LEVELS = ("info", "warning", "error", "critical")


class ShutLane(NamedTuple):
    """A lane through which nothing has passed for a minute; `code` is that of the refusals since `code_since_s`."""

    since_s: float
    symbol: str
    leg: str
    closes: bool
    code: int
    code_since_s: float

    def __str__(self) -> str:
        return f"every {'close' if self.closes else 'open'} of {self.symbol} (leg {self.leg}) was refused for a minute"


class LaneWatch:
    """Of each leg, what opens and what closes it: since when the exchange has refused every create."""

    def __init__(self) -> None:
        self._shut_s: dict[tuple[str, str, bool], float] = {}
        """When it was to be known of a lane that nothing passes."""
        self._rows: dict[tuple[str, str, bool], tuple[float, float, int, int, float]] = {}

    def answered(self, row: dict[str, object], code: int, now_s: float) -> None:
        """A create was answered."""
        lane = str(row.get("symbol")), str(row.get("positionIdx")), bool(row.get("reduceOnly"))
        if not code:
            self._rows.pop(lane, None)
            self._shut_s.pop(lane, None)
            return
        since_s, last_s, count, before, code_since_s = self._rows.get(lane, (now_s, now_s, 0, code, now_s))
        if now_s - last_s > ROW_MOST_S or _is_of_symbol(before) is not _is_of_symbol(code):
            since_s, count, code_since_s = now_s, 0, now_s  # another cause, or another time
            self._shut_s.pop(lane, None)
        self._rows[lane] = since_s, now_s, count + 1, code, code_since_s if code == before else now_s
        if count + 1 >= ROW_LEAST and now_s - since_s > MINUTE_S:
            self._shut_s.setdefault(lane, now_s)

    def ended(self, symbol: str, text: str) -> None:
        """The worker says how its incident about refusals has ended: all lanes begin anew when it was set right."""
        if text.endswith(FREE):
            self._rows = {lane: row for lane, row in self._rows.items() if lane[0] != symbol}
            self._shut_s = {lane: at_s for lane, at_s in self._shut_s.items() if lane[0] != symbol}

    def forget(self) -> None:
        """The worker that was refused is gone."""
        self._rows.clear()
        self._shut_s.clear()

    def shut(self, now_s: float) -> list[ShutLane]:
        """The lanes through which nothing has passed for a minute, though something is wanted."""
        return [
            ShutLane(since_s, *lane, code, code_since_s)
            for lane, (since_s, last_s, _, code, code_since_s) in self._rows.items()
            if now_s - self._shut_s.get(lane, now_s) > TOLD_S and now_s - last_s <= WANTED_S
        ]


def _is_of_symbol(code: int) -> bool:
    """Whether it says that the symbol takes no orders now: that is one standstill, with an incident of its own."""
    return RET_CODES.get(code) is ErrorKind.SYMBOL


class LevelWatch:
    """The newest orders of each level."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._asked: dict[tuple[str, ...], deque[tuple[float, str]]] = {}

    def asked(self, row: dict[str, object], now_s: float) -> None:
        """A create is at the exchange; one that is sent again under its id is the same order."""
        level = tuple(str(row.get(name)) for name in ("symbol", "positionIdx", "side", "price"))
        if len(self._asked) > LEVELS_KEPT:
            self._asked = {level: asked for level, asked in self._asked.items() if now_s - asked[-1][0] <= MINUTE_S}
        newest = self._asked.setdefault(level, deque())
        while newest and now_s - newest[0][0] > MINUTE_S:
            newest.popleft()
        link = str(row.get("orderLinkId"))
        if all(link != known for _, known in newest):
            newest.append((now_s, link))
        if len(newest) > LEVEL_MOST:
            self._find("level-is-calm", f"{' '.join(level)}: more than {LEVEL_MOST} orders within a minute")


class IncidentWatch:
    """The incidents that the running worker has told to begin and not to end."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._open: dict[str, str] = {}
        self._causes: dict[str, set[str]] = {}
        self._began_s: dict[str, float] = {}

    def told(self, key: str, level: str, text: str, now_s: float) -> None:
        """An alert; with the level info it is one's end.

        Faults of one key may have several causes; that nothing gets through is told once more when it has one more, and
        what the exchange lets one do with a symbol when it is something else.
        """
        if level == "info":
            self._open.pop(key, None)
            return
        causes = {text} if key.startswith("listing.") else set(text.split("; ")[1:])
        known = self._causes.get(key, set()) if key in self._open else set()
        self._causes[key] = known | causes
        is_news = key.startswith("fault") or (key.startswith(("refused", "listing.")) and causes - known)
        if key in self._open and not is_news and LEVELS.index(level) <= LEVELS.index(self._open[key]):
            self._find("told-once", f"{key} was told again while it was open: {text}")
        else:
            if key.startswith("cap.") and now_s - self._began_s.get(key, -MINUTE_S) < MINUTE_S:
                self._find("told-once", f"{key} began again within a minute: {text}")
            self._began_s[key] = now_s
            self._open[key] = level

    def is_open(self, key: str) -> bool:
        """Whether this one has begun and not ended."""
        return key in self._open

    def forget(self) -> None:
        """The worker is gone, and its incidents with it."""
        self._open.clear()
        self._causes.clear()
        self._began_s.clear()


class VainWatch:
    """Since when creates are refused for the state of their symbol or leg, while nothing else goes wrong."""

    def __init__(self, find: Find, network: Network) -> None:
        self._find, self._network = find, network
        self._since_s: dict[tuple[str, str, int], float] = {}

    def answered(self, row: dict[str, object], code: int, now_s: float) -> None:
        """A create was answered."""
        if code not in VAIN_S:
            return
        name = str(row.get("symbol")), str(row.get("positionIdx")), code
        since_s = self._since_s.get(name, -math.inf)
        if since_s <= self._network.trouble_s or now_s - since_s >= VAIN_S[code]:
            self._since_s[name] = now_s
        elif now_s - since_s > VAIN_AFTER_S:
            self._find("nothing-in-vain", f"{name[0]} (leg {name[1]}) is asked again, refused with {code} just before")

    def forget(self) -> None:
        """The worker that was refused is gone."""
        self._since_s.clear()


class MaintenanceWatch:
    """Since when a worker reports that has to know of the exchange's maintenance."""

    def __init__(self, find: Find, network: Network) -> None:
        self._find, self._network = find, network
        self._since_s: float | None = None
        self._last_s = self._over_s = -math.inf

    def reported(self, reasons: Collection[str], now_s: float, *, is_trading: bool) -> None:
        """A worker says how it is. One that has not started, is banned or stood still until now has read nothing."""
        last_s, self._last_s = self._last_s, now_s
        is_banned = self._network.on(FaultKind.BAN) or any(BANNED in reason for reason in reasons)
        if not is_trading or is_banned or now_s - last_s > SILENT_S:
            self._since_s = None
            return
        self._since_s = now_s if self._since_s is None else self._since_s
        is_told = any("maintenance of the exchange" in reason for reason in reasons)
        for fault in self._network.on(FaultKind.MAINTENANCE):
            self._over_s = now_s
            begun_s = now_s - self._network.at_s() + fault.at_s + float(fault.what["after_s"])
            if not is_told and now_s > max(begun_s, self._since_s) + KNOWN_S:
                self._find(
                    "maintenance-is-told", f"it is under way for {now_s - begun_s:.0f} s, reasons are {list(reasons)}"
                )
        if is_told and now_s > max(self._over_s, self._since_s) + OVER_S:
            self._find("maintenance-is-told", f"none is under way, reasons are {list(reasons)}")

    def forget(self) -> None:
        """The worker is gone."""
        self._since_s = None


class BanWatch:
    """Since when nothing leaves of what waits and may leave over the trade socket, though the address is banned.

    That something waits is no fault: where levels are asked for without end, something always waits for its quota.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._since: dict[RequestKind, tuple[float, object]] = {}

    def look(self, orchestrator: Orchestrator | None, now_s: float) -> None:
        """Once a second. What opens may wait while the private stream has missed news."""
        lanes = _may_leave(orchestrator) if orchestrator is not None else {}
        self._since = {
            kind: before if (before := self._since.get(kind)) and before[1] == last else (now_s, last)
            for kind, last in lanes.items()
        }
        if any(now_s - since_s > GOES_ON_S for since_s, _ in self._since.values()):
            self._find("ban-is-kept", f"orders wait for {GOES_ON_S:.0f} s of a ban though the trade socket is up")


def _may_leave(orchestrator: Orchestrator) -> dict[RequestKind, object]:
    """The lanes in which something waits that may leave during the ban; with each what changes as soon as one leaves:
    how many creates have, and which cancel is the next (of cancels none overtakes another)."""
    executor, queue = orchestrator.context.executor, orchestrator.context.executor.queue
    ban = executor.ban
    if ban is None or not ban.is_on(orchestrator.context.clock.monotonic_s()) or not queue.free:
        return {}
    if orchestrator.order_entry.way is not OrderEntry.WEBSOCKET:
        return {}
    lanes: dict[RequestKind, object] = {}
    if queue.cancels.wanted:
        lanes[CANCEL] = next(order.key for order in queue.cancels.waiting if order.state is CANCEL.wanted)
    sees_all = orchestrator.streams.private_alive and not orchestrator.reconciler.misses_news
    if queue.creates.wanted if sees_all else queue.creates.together_without_opens():
        lanes[PLACE] = executor.creates_sent
    return lanes


class FollowWatch:
    """Since when nothing but odd rows kept the account from being compared with the exchange."""

    def __init__(self, find: Find, network: Network) -> None:
        self._find, self._network = find, network
        self._since_s: float | None = None

    def look(self, orchestrator: Orchestrator | None, now_s: float, *, is_away: bool = False) -> None:
        """Once a second; `is_away`: no worker is to run. After a ban it is silent for longer than this looks."""
        done_s = (orchestrator.reconciler.last_s or 0.0) if orchestrator is not None else 0.0
        if is_away:
            done_s = now_s
        since_s = max(self._network.trouble_s, done_s, self._since_s or now_s)
        self._since_s = since_s
        if now_s - since_s > FOLLOWED_S and not self._network.struck[FaultKind.BAN]:
            self._find(
                "account-is-followed", f"not compared with the exchange for {FOLLOWED_S:.0f} s, without a reason"
            )


class UnsettledWatch:
    """Since when finished orders lack executions."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._since_s: dict[str, float] = {}
        self._banned_s = 0.0

    def look(self, unsettled: Collection[str], now_s: float, trouble_s: float, *, is_banned: bool = False) -> None:
        """Once a second, while a worker runs. Waits double: one that began in the trouble ends later by as much.

        A ban that the worker knows of (`is_banned`) is trouble, too: orders go on by socket, questions wait.
        """
        self._banned_s = now_s if is_banned else self._banned_s
        trouble_s = max(trouble_s, self._banned_s)
        self._since_s = {key: self._since_s.get(key, now_s) for key in unsettled}
        for key, since_s in self._since_s.items():
            before_s = max(0.0, trouble_s - since_s)
            if now_s - max(since_s, trouble_s) > ASKED_S + min(before_s, ASKED_MOST_S):
                self._find("fills-are-asked-for", f"{key} is over and lacks executions for {now_s - since_s:.0f} s")

    def forget(self) -> None:
        """The worker is gone."""
        self._since_s.clear()
