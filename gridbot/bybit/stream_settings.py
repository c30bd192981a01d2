"""How the streams are run. Times in seconds."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from gridbot.bybit.line_room import LineRoom
from gridbot.bybit.watchdog import Limits

__all__ = ["StreamSettings"]


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """`private_auth_expire_s` is how long a sign-in stays valid. `public_trades`: subscribe to the market's trades too.

    `dead_man`: subscribe to the topic that the exchange's disconnect-cancel-all goes by; without it that does nothing.
    `limits` are the watchdog's. `jitter` gives a number from 0 to 1 that shortens a back-off. `room` is what all
    connections of the process share.
    """

    ping_interval_s: float = 20.0
    ping_timeout_s: float = 10.0
    private_auth_expire_s: int = 10
    public_trades: bool = False
    dead_man: bool = False
    limits: Limits = field(default_factory=Limits)
    jitter: Callable[[], float] = random.random
    room: LineRoom = field(default_factory=LineRoom)
