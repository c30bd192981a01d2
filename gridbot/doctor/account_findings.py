"""An account as it is set up: clock, margin mode, what cancels when the machine is gone. Pure."""

from __future__ import annotations

from typing import Final

from gridbot.doctor.doctor_facts import Unread
from gridbot.doctor.findings import Finding, Verdict
from gridbot.exchange.dead_man import DeadMan
from gridbot.exchange.environment import Environment
from gridbot.exchange.examined import (
    MAX_CLOCK_AHEAD_MS,
    MAX_CLOCK_BEHIND_MS,
    REFUSED_AHEAD_MS,
    REFUSED_BEHIND_MS,
    ClockReading,
    DeadManState,
)
from gridbot.exchange.requests import AccountInfo
from gridbot.risk.symbol_state import ISOLATED_MARGIN, SHARED_MARGIN

__all__ = ["clock_finding", "dead_man_finding", "margin_mode_finding"]

SLOW_MS: Final = 1_000
"""Half the way of an answer beyond which nobody can tell a clock by it."""
OK, WARNING, REFUSED = Verdict.OK, Verdict.WARNING, Verdict.REFUSED


def clock_finding(exchange: str, clock: ClockReading | Unread) -> Finding:
    """`clock`, of an exchange."""
    if isinstance(clock, Unread):
        return Finding("clock", WARNING, f"the exchange's time is not known: {clock.text}", exchange)
    ahead, room = clock.ahead_ms, clock.give_or_take_ms
    text = f"our clock is {abs(ahead):.0f} ms {'ahead' if ahead >= 0 else 'behind'}, give or take {room:.0f} ms"
    surely = max(0.0, abs(ahead) - room)
    if surely >= (REFUSED_AHEAD_MS if ahead >= 0 else REFUSED_BEHIND_MS):
        text += "; the exchange refuses requests with such a time (10002): set the clock by NTP"
        return Finding("clock", REFUSED, text, exchange)
    is_off = not -MAX_CLOCK_BEHIND_MS <= ahead <= MAX_CLOCK_AHEAD_MS
    if is_off and (surely or room <= SLOW_MS):
        return Finding("clock", WARNING, f"{text}; set the clock by NTP", exchange)
    if room > SLOW_MS:
        return Finding("clock", WARNING, f"{text}: the line to the exchange is too slow to tell", exchange)
    return Finding("clock", OK, text, exchange)


def margin_mode_finding(account: str, info: AccountInfo | Unread) -> Finding:
    """`margin_mode`."""
    if isinstance(info, Unread):
        return Finding("margin_mode", WARNING, f"not known: {info.text}", account)
    mode = info.margin_mode
    if mode in SHARED_MARGIN:
        return Finding("margin_mode", OK, "cross" if mode == "REGULAR_MARGIN" else "portfolio margin", account)
    known = "isolated margin" if mode == ISOLATED_MARGIN else f"{mode}, a margin mode nobody knows"
    text = f"expected cross margin, the account is in {known}; switch it to cross on Bybit"
    return Finding("margin_mode", REFUSED, text, account)


def dead_man_finding(
    account: str, wanted: DeadMan | None, state: DeadManState | Unread, environment: Environment
) -> Finding:
    """`dead_man`."""
    if isinstance(state, Unread):
        if wanted is None:
            return Finding("dead_man", OK, "off; whether the account could use it is not known", account)
        return Finding(
            "dead_man", WARNING, f"{wanted}; whether the account may use it is not known: {state.text}", account
        )
    if wanted is None and not state.may_use:
        return Finding("dead_man", OK, "off, and the account may not use it", account)
    if wanted is None:
        text = (
            f"off in the file, and on at the exchange ({state.after_s} s): it acts only where our stream asks; "
            "`dead_man: dcp 30` makes use of it"
        )
        return Finding("dead_man", WARNING, text, account)
    if not state.may_use:
        remedy = "set `paper.dcp: true`" if environment is Environment.PAPER else "have Bybit allow it to the account"
        text = (
            f"{wanted}, and the exchange does not allow it: orders stay when this machine is gone; {remedy}, or `off`"
        )
        return Finding("dead_man", WARNING, text, account)
    return Finding("dead_man", OK, f"{wanted}; at the exchange {state.after_s} s now, the start sets it", account)
