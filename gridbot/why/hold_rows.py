"""What holds a strategy and its account: since when, who, why, what lifts it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gridbot.risk.brake import Stops
from gridbot.risk.holds import Held, Hold
from gridbot.risk.symbol_state import Allows
from gridbot.why.asked_about import Scene

__all__ = ["held_row", "hold_rows"]

Row = dict[str, Any]


def hold_rows(scene: Scene, now_s: float) -> list[Row]:
    """One row each, the account's first.

    `since_ms` is UTC, None where it is not known; `left_s` how long it lasts, None until somebody lifts it.
    """
    return [*_of_account(scene, now_s), *_of_strategy(scene, now_s)]


def _of_account(scene: Scene, now_s: float) -> Iterator[Row]:
    gate, account = scene.gate, scene.account
    lifts = {Hold.STOPPING: "", Hold.SESSION_LOSS: scene.command(f"resume {account}")}
    for hold, held in gate.holds.held.items():
        yield _held("account", hold, held, lifts.get(hold, scene.command(f"resume {account}")))
    if gate.brake.reason:
        what = "cap_latch" if gate.brake.stops is Stops.ALL else "only_reduces"
        lifted_by = "" if gate.brake.passes else scene.command(f"resume {account}")
        yield held_row("account", what, gate.brake.reason, lifted_by=lifted_by)
    if why := gate.auth.why(now_s):
        left_s = (gate.auth.until_s or now_s) - now_s
        yield held_row("account", "auth_cooldown", why, left_s=left_s, lifted_by=scene.command(f"restart {account}"))
    ban = scene.sending.ban
    if ban is not None and ban.is_on(now_s) and not scene.is_shadow:
        yield held_row("account", "ip_ban", str(ban), left_s=ban.until_s - now_s)
    if scene.sending.late:
        yield held_row("account", "requests", scene.sending.late)


def _of_strategy(scene: Scene, now_s: float) -> Iterator[Row]:
    view = scene.view
    for hold, held in view.holds.held.items():
        yield _held("strategy", hold, held, "" if hold is Hold.NOT_READY else scene.resume)
    symbol = view.symbol_watch.state
    if symbol.text:
        what = "symbol" if symbol.allows is not Allows.ALL else "symbol_announced"
        yield held_row("strategy", what, symbol.text)
    for direction, leg in view.legs.items():
        if leg.reduce_only:
            yield held_row("strategy", "reduce_only", f"the exchange lets the {direction} only be reduced")
        if leg.unsure:
            yield held_row("strategy", "position_unsure", f"the exchange contradicts the {direction} position")
    if scene.blocked:
        yield held_row("strategy", "refused", scene.blocked)


def _held(of: str, hold: Hold, held: Held, lifted_by: str) -> Row:
    return held_row(of, str(hold), held.reason, since_ms=held.since_ms or None, by=str(held.who), lifted_by=lifted_by)


def held_row(
    of: str,
    what: str,
    text: str,
    *,
    since_ms: int | None = None,
    by: str = "",
    left_s: float | None = None,
    lifted_by: str = "",
) -> Row:
    """One row; see `hold_rows`."""
    left = None if left_s is None else round(max(0.0, left_s), 1)
    return {
        "of": of,
        "what": what,
        "text": text,
        "since_ms": since_ms,
        "by": by,
        "left_s": left,
        "lifted_by": lifted_by,
    }
