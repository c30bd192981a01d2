"""When a stream counts as dead, and how long to wait before reconnecting. Pure.

    CONNECTING ──opened──► SUBSCRIBING ──all topics confirmed──► READY
        │                      │                                  │
        └────── error, refusal, timeout, silence, close ──────────┴──► LOST (final: a new socket is made)

Silence means dead only on the public stream, where something moves every second (incident L20). A private stream may
be silent for hours (incident L21): there only the socket and its pongs count, one every `ping_interval_s`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridbot.exchange.stream_news import ConnectionState

__all__ = ["ConnectionView", "Limits", "backoff_s", "why_dead"]

SILENCE_FACTOR_MAX = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds.

    A connection may take `connect_s` until all topics are confirmed. `pong_s` is the longest time without a sign of
    life, `silence_s` without a public message; `check_s` passes between two checks. Tries are `backoff_first_s` apart,
    then twice as long each time, up to `backoff_max_s`; a connection that held for `settled_s` resets the count.
    """

    connect_s: float = 15.0
    pong_s: float = 45.0
    silence_s: float = 30.0
    check_s: float = 2.0
    backoff_first_s: float = 1.0
    backoff_max_s: float = 60.0
    settled_s: float = 30.0


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """What is known of a socket at one moment; ages in seconds.

    `quiet_rebuilds` counts the last reconnects in a row that were made only for silence and brought nothing but a
    snapshot. Then the market itself is silent, and the time allowed doubles with each, up to eightfold.
    """

    state: ConnectionState
    is_connected: bool
    state_age_s: float
    alive_age_s: float
    message_age_s: float
    watch_silence: bool
    quiet_rebuilds: int = 0


def why_dead(view: ConnectionView, limits: Limits) -> str | None:
    """Why this socket is to be given up; None while it is fine."""
    if view.state is ConnectionState.LOST:
        return "connection lost"
    if view.state is not ConnectionState.READY:
        return f"not ready after {view.state_age_s:.0f} s" if view.state_age_s > limits.connect_s else None
    if not view.is_connected:
        return "socket closed"
    if view.alive_age_s > limits.pong_s:
        return f"no pong for {view.alive_age_s:.0f} s"
    patience_s = limits.silence_s * min(2**view.quiet_rebuilds, SILENCE_FACTOR_MAX)
    if view.watch_silence and view.message_age_s > patience_s:
        return f"no message for {view.message_age_s:.0f} s"
    return None


def backoff_s(failures: int, jitter: float, limits: Limits) -> float:
    """Seconds before the next try after `failures` in a row, shortened by up to a quarter by `jitter` (0 to 1)."""
    full = min(limits.backoff_max_s, limits.backoff_first_s * 2.0 ** min(max(failures - 1, 0), 10))
    return full * (1 - 0.25 * jitter)
