"""What becomes of requests and frames on their way. Every latency and loss is drawn from the seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from gridbot.simulation.run_faults import Fault, FaultKind, Plan
from gridbot.simulation.virtual_loop import VirtualLoop

__all__ = ["Network", "RequestFate"]

BASE_S = (0.002, 0.012)
"""One way, on a good line."""
SLOW_CHANCE = 0.02
SLOW_S = 0.3
NOTICES = frozenset({"/v5/system/status", "/v5/announcements/index"})
"""Requests that no fault is about, with draws of their own: what happens to all others is as it was without them."""


@dataclass(frozen=True, slots=True)
class RequestFate:
    """Seconds on the way there and back, and what goes wrong: "", refused, silent or broken, before or after the
    exchange saw the request; `code` answers instead, `after` with the work done."""

    there_s: float
    back_s: float
    before: str = ""
    after: str = ""
    code: int = 0
    code_after: bool = False
    http_status: int = 200


class Network:
    """One per run. `strike` counts what faults did; `trouble_s` is when one last acted, on the loop's clock.

    `silent_until_s` is when the last request that gets no answer will be given up: who asked knows nothing before.
    `create_lost_s` is when a create last left that never arrived.
    """

    def __init__(self, plan: Plan, loop: VirtualLoop) -> None:
        self._loop = loop
        self._start_s = loop.time()
        self._draw = random.Random(f"network:{plan.seed}")
        self._draw_notices = random.Random(f"notices:{plan.seed}")
        self._lasting = [fault for fault in plan.faults if fault.for_s > 0]
        self._own = {fault.number: random.Random(f"fault:{plan.seed}:{fault.number}") for fault in plan.faults}
        self.struck: Counter[FaultKind] = Counter()
        self.trouble_s = self._start_s
        self.silent_until_s = self._start_s
        self.create_lost_s = self._start_s

    def at_s(self) -> float:
        """Seconds since the run began."""
        return self._loop.now_s - self._start_s

    def strike(self, fault: Fault) -> None:
        """Note that a fault acts now."""
        self.struck[fault.kind] += 1
        self.trouble_s = self._loop.now_s

    def waited_for_s(self) -> float:
        """When a fault last acted, or a request was last waited for in vain, on the loop's clock."""
        return max(self.trouble_s, min(self.silent_until_s, self._loop.now_s))

    def on(self, *kinds: FaultKind) -> Iterable[Fault]:
        """Lasting faults of these kinds that act now."""
        at_s = self._loop.now_s - self._start_s
        return [fault for fault in self._lasting if fault.kind in kinds and fault.is_on(at_s)]

    def latency(self) -> float:
        """Seconds one way."""
        return _latency(self._draw)

    def jitter(self) -> float:
        """A number from 0 to 1, for back-offs."""
        return self._draw.random()

    def chance(self, fault: Fault) -> bool:
        """Draw whether a fault with a chance acts now."""
        return self._own[fault.number].random() < float(fault.what.get("chance", 1.0))

    # ------------------------------------------------------------------ requests

    def request(self, path: str, *, by_socket: bool = False) -> RequestFate:
        """What becomes of a request to a path; one over the trade socket knows no faults of HTTP alone."""
        if path in NOTICES:
            return RequestFate(_latency(self._draw_notices), _latency(self._draw_notices))
        there_s, back_s = self.latency(), self.latency()
        for fault in self.on(*(SOCKET_KINDS if by_socket else REQUEST_KINDS)):
            what = fault.what
            endpoint = str(what.get("endpoint", ""))
            if (endpoint and not path.startswith(endpoint)) or not self.chance(fault):
                continue
            self.strike(fault)
            match fault.kind:
                case FaultKind.REST_DOWN | FaultKind.LOST_REQUESTS:
                    if "create" in path:
                        self.create_lost_s = self._loop.now_s
                    return RequestFate(there_s, back_s, before=str(what["how"]))
                case FaultKind.LOST_REPLIES:
                    return RequestFate(there_s, back_s, after=str(what["how"]))
                case FaultKind.REFUSALS | FaultKind.NO_CREATES:
                    return RequestFate(there_s, back_s, code=int(what["code"]))
                case FaultKind.LATE_REFUSALS:
                    return RequestFate(there_s, back_s, code=int(what["code"]), code_after=True)
                case FaultKind.BAN:
                    return RequestFate(there_s, back_s, code=10018, http_status=403)
                case _:
                    late_s = float(what["late_s"]) * self._own[fault.number].random()
                    share = self._own[fault.number].random()
                    there_s, back_s = there_s + late_s * share, back_s + late_s * (1 - share)
        return RequestFate(there_s, back_s)

    def answer(self, back_s: float) -> list[float]:
        """Each copy of an answer over the trade socket that arrives: seconds on the way."""
        copies = [back_s]
        for fault in self.on(FaultKind.REPEATED_ANSWERS, FaultKind.LATE_ANSWERS):
            if not self.chance(fault):
                continue
            self.strike(fault)
            late_s = float(fault.what["late_s"])
            copies = [*copies, back_s + late_s] if fault.kind is FaultKind.REPEATED_ANSWERS else [back_s + late_s]
        return copies

    # ------------------------------------------------------------------ streams

    def refuses(self, channel: str) -> bool:
        """Whether a new connection of a channel is refused now."""
        for fault in self.on(FaultKind.STREAMS_DOWN):
            if fault.what["channel"] in ("", channel):
                self.strike(fault)
                return True
        return False

    def is_dark(self, channel: str) -> bool:
        """Whether nothing passes on a channel though it is connected."""
        for fault in self.on(FaultKind.DARK):
            if fault.what["channel"] in ("", channel):
                self.strike(fault)
                return True
        return False

    def frame(self, topic: str) -> list[tuple[float, bool]]:
        """Each copy of a frame that arrives: seconds on the way, and whether it keeps its place in the topic."""
        late_s, keeps, copies = self.latency(), True, 1
        for fault in self.on(FaultKind.LOST_FRAMES, FaultKind.REPEATED_FRAMES, FaultKind.LATE_FRAMES):
            wanted = str(fault.what["topic"])
            if (wanted and not topic.startswith(wanted)) or not self.chance(fault):
                continue
            self.strike(fault)
            match fault.kind:
                case FaultKind.LOST_FRAMES:
                    return []
                case FaultKind.REPEATED_FRAMES:
                    copies = 2
                case _:
                    late_s, keeps = late_s + float(fault.what["late_s"]), False
        return [(late_s, keeps)] + [(late_s + self.latency() * 3, False)] * (copies - 1)


REQUEST_KINDS = (
    FaultKind.REST_DOWN,
    FaultKind.REST_SLOW,
    FaultKind.LOST_REQUESTS,
    FaultKind.LOST_REPLIES,
    FaultKind.REFUSALS,
    FaultKind.LATE_REFUSALS,
    FaultKind.NO_CREATES,
    FaultKind.BAN,
)


SOCKET_KINDS = (
    FaultKind.LOST_REQUESTS,
    FaultKind.LOST_REPLIES,
    FaultKind.REFUSALS,
    FaultKind.LATE_REFUSALS,
    FaultKind.NO_CREATES,
)


def _latency(draw: random.Random) -> float:
    seconds = draw.uniform(*BASE_S)
    return seconds + draw.random() * SLOW_S if draw.random() < SLOW_CHANCE else seconds
