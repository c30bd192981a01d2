"""What must hold for holds and loss limit, whatever happens: named functions for tests and simulations. Pure.

Each returns the violations as plain sentences, so an empty list is what is wanted.
"""

from __future__ import annotations

from collections.abc import Collection

from gridbot.risk import holds, loss_limit
from gridbot.risk.holds import (
    DURABLE,
    LIFTED_BY,
    PAUSED_ALREADY,
    SET_BY,
    Held,
    Hold,
    Holds,
    Ready,
    Resume,
    Unlatch,
    Who,
)

__all__ = ["latch_is_kept", "of_restart", "of_step"]


def of_step(before: Holds, event: holds.Event, after: Holds, changed: Collection[Hold], now_ms: int) -> list[str]:
    """A hold keeps its first reason, is set by those who may, and is lifted by the event that may.

    What the exchange does to a strategy that is paused already is told before that reason.
    """
    lifts = LIFTED_BY[type(event)] if isinstance(event, Ready | Resume | Unlatch) else frozenset[Hold]()
    found = [f"{hold} was lifted by {event}" for hold in before.held if hold not in after.held and hold not in lifts]
    found += [f"{hold} still holds after {event}" for hold in after.held if hold in lifts]
    found += [
        f"{hold} holds for another reason than at first: {held} -> {after.held[hold]}"
        for hold, held in before.held.items()
        if hold in after.held and after.held[hold] != held and not _is_added(hold, held, event, after.held[hold])
    ]
    for hold in after.held.keys() - before.held.keys():
        held = after.held[hold]
        if held.who not in SET_BY[hold] or held.since_ms != now_ms:
            found.append(f"{hold} was set by {held.who} at {held.since_ms}, now is {now_ms}")
    if set(changed) != {hold for hold in Hold if before.held.get(hold) != after.held.get(hold)}:
        found.append(f"{event} is said to have changed {sorted(changed)}: {before} -> {after}")
    return found


def _is_added(hold: Hold, before: Held, event: holds.Event, after: Held) -> bool:
    """Whether the exchange's reason now stands before the one of a pause, which it does not end."""
    if hold is not Hold.PAUSED or not isinstance(event, holds.Pause) or event.who is Who.OPERATOR:
        return False
    first = before.reason.rpartition(PAUSED_ALREADY)[2]
    return after == Held(f"{event.reason}{PAUSED_ALREADY}{first}", event.who, before.since_ms)


def of_restart(before: Holds, restored: Holds) -> list[str]:
    """What is durable comes back as it was, and nothing else."""
    wanted = {hold: held for hold, held in before.held.items() if hold in DURABLE}
    return [] if restored.held == wanted else [f"{wanted} came back as {dict(restored.held)}"]


def latch_is_kept(
    before: loss_limit.LossState,
    event: loss_limit.Event,
    after: loss_limit.LossState,
    effect: loss_limit.Latched | None,
) -> list[str]:
    """A latch ends with an operator's word, and a baseline moves only when counting begins anew; each latch is told."""
    found = []
    if isinstance(event, loss_limit.Checked):
        if before.latched and after != before:
            found.append(f"a latched account changed when it was checked: {before} -> {after}")
        if (effect is not None) is not (bool(after.latched) and not before.latched):
            found.append(f"{effect} was told: {before} -> {after}")
    if isinstance(event, loss_limit.Checked | loss_limit.Unknown) and after.baseline != before.baseline:
        found.append(f"the baseline moved from {before.baseline} to {after.baseline} by {event}")
    if effect is not None and after.latched != effect.reason:
        found.append(f"it is latched as {after.latched!r}, told was {effect.reason!r}")
    return found
