"""Which fault applies to what: rules with counters and seeded draws. Pure; times are seconds since the start."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from gridbot.paper.faults.fault_config import FRAME_FAULTS, REQUEST_FAULTS, FaultConfig, FaultKind

__all__ = ["FaultPlan", "OutFrame"]

KEEP_FRAMES = 50
RULES_KEPT = 1_000
"""The newest ones; a test that adds more has forgotten to clear."""


@dataclass(slots=True)
class _Rule:
    config: FaultConfig
    since_s: float
    draw: random.Random
    seen: int = 0
    struck: int = 0
    sent: deque[bytes] = field(default_factory=lambda: deque(maxlen=KEEP_FRAMES))

    def active(self, at_s: float) -> bool:
        start = self.since_s + self.config.at_s
        return at_s >= start and (not self.config.for_s or at_s < start + self.config.for_s)

    def strikes(self, at_s: float) -> bool:
        """Count a match and decide about it."""
        config = self.config
        if not self.active(at_s) or (config.times and self.struck >= config.times):
            return False
        self.seen += 1
        if self.seen <= config.after:
            return False
        if config.probability < 1 and self.draw.random() >= config.probability:
            return False
        self.struck += 1
        return True


@dataclass(frozen=True, slots=True)
class OutFrame:
    """A frame to send, and how much later than usual."""

    data: bytes
    delay_s: float = 0.0


class FaultPlan:
    """All rules of one exchange. The same seed, rules and order of matches give the same faults."""

    def __init__(self, seed: int, faults: Iterable[FaultConfig] = ()) -> None:
        self._seed = seed
        self._rules: list[_Rule] = []
        self._added = 0
        for fault in faults:
            self.add(fault, 0.0)

    def add(self, fault: FaultConfig, now_s: float) -> None:
        """Add a rule; its times count from now."""
        self._added += 1
        del self._rules[: -RULES_KEPT + 1]
        self._rules.append(_Rule(fault, now_s, random.Random(f"{self._seed}:{self._added}")))

    def clear(self) -> None:
        self._rules.clear()

    def report(self) -> list[dict[str, Any]]:
        """Each rule with how often it matched and struck."""
        return [
            rule.config.model_dump(mode="json", exclude_defaults=True) | {"seen": rule.seen, "struck": rule.struck}
            for rule in self._rules
        ]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def on_request(self, endpoint: str, account: str, at_s: float, *, operation: str = "") -> FaultConfig | None:
        """The first fault that applies to a request; `operation` is its name where it came over a trade socket.

        Such a request does not count for its address, so no ban comes of it.
        """
        kinds = REQUEST_FAULTS - {FaultKind.IP_BAN} if operation else REQUEST_FAULTS
        names = ("", endpoint, operation or endpoint)
        for rule in self._rules:
            config = rule.config
            meant = config.kind in kinds and config.endpoint in names and _of(config, account)
            if meant and rule.strikes(at_s):
                return config
        return None

    def on_frame(self, topic: str, account: str, frame: bytes, at_s: float) -> list[OutFrame]:
        """Frames to send instead of a frame; usually just that one."""
        for rule in self._rules:
            config = rule.config
            if config.kind not in FRAME_FAULTS or not _of(config, account):
                continue
            if config.topic and topic != config.topic and not topic.startswith(config.topic + "."):
                continue
            if config.kind is FaultKind.DOUBLE_FILLED and b'"Filled"' not in frame:
                continue
            earlier = rule.sent[0] if rule.sent else None
            rule.sent.append(frame)
            if rule.strikes(at_s):
                return _spoil(config, frame, earlier)
        return [OutFrame(frame)]

    def due(self, at_s: float) -> list[FaultConfig]:
        """Connection faults whose time has come, each once."""
        return [
            rule.config
            for rule in self._rules
            if rule.config.kind in (FaultKind.DROP_CONNECTIONS, FaultKind.RESTART)
            and not rule.struck
            and rule.strikes(at_s)
        ]

    def refuses(self, channel: str, at_s: float) -> bool:
        """True while new WebSocket connections of this channel are refused."""
        return any(
            rule.config.kind is FaultKind.REFUSE_CONNECTIONS
            and rule.config.channel in ("", channel)
            and rule.active(at_s)
            for rule in self._rules
        )

    def skew_ms(self, at_s: float) -> int:
        """What is added to the exchange's clock now."""
        return sum(
            rule.config.skew_ms
            for rule in self._rules
            if rule.config.kind is FaultKind.CLOCK_SKEW and rule.active(at_s)
        )


def _of(config: FaultConfig, account: str) -> bool:
    return config.account in ("", account)


def _spoil(config: FaultConfig, frame: bytes, earlier: bytes | None) -> list[OutFrame]:
    match config.kind:
        case FaultKind.LOSE_FRAME:
            return []
        case FaultKind.DUPLICATE_FRAME:
            return [OutFrame(frame), OutFrame(frame)]
        case FaultKind.STALE_FRAME:
            return [OutFrame(frame), OutFrame(earlier or frame)]
        case FaultKind.DOUBLE_FILLED:
            return [OutFrame(frame), OutFrame(_second_filled(frame))]
        case _:
            return [OutFrame(frame, config.delay_ms / 1000)]


def _second_filled(frame: bytes) -> bytes:
    """The second `Filled` of a cancel that lost its race with a fill (docs/bybit.md 3.12)."""
    message = orjson.loads(frame)
    for row in message["data"]:
        if row.get("orderStatus") == "Filled":
            row["cancelType"] = "CancelByUser"
            row["rejectReason"] = "EC_OrigClOrdIDDoesNotExist"
    return orjson.dumps(message)
