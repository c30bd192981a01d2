"""What a host of a fleet knows of the caps over all hosts, and what it tells of its own accounts. Pure; USDT, seconds.

    tell     each half second: what the accounts here use, want, keep to, and are held for (`Told`)
    hear     what they were granted, whom a cap holds, what all hosts use together
    alone    the database is away: the accounts here are counted beside what the others had last, and are held when that
             crosses a cap; what was granted stays, and no more is to be had

What was granted is passed on only from an answer that has our newest number (`seq`): whatever was sent before it and is
still on its way is refused by the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

from gridbot.core.strict_numbers import saved_decimal
from gridbot.risk.drawdown import DrawdownState
from gridbot.risk.fleet_share import CapHold
from supervisor.caps.cap_scope import Breached, CapScope, Figures, Reported, step
from supervisor.caps.caps_shown import with_use
from supervisor.caps.fleet_scope import UNBOUND, ScopeSeen, Told, UseRow, others_of
from supervisor.caps.notional_shares import Granted, Shares

__all__ = ["ALONE_S", "HostCaps", "over_rows"]

ALONE_S: Final = 2.0
"""Without an answer for so long a host counts by itself."""
ELSEWHERE: Final = "(other hosts)"
"""Stands for all accounts of other hosts. No account has such a name."""
ZERO: Final = Decimal(0)
Key = tuple[str, str]


class HostCaps:
    """One per supervisor of a fleet. `me` is the host's name."""

    def __init__(self, me: str) -> None:
        self.me = me
        self.seen: dict[str, ScopeSeen] = {}
        self._rows: dict[Key, UseRow] = {}
        self._lifted: dict[Key, int] = {}
        """Which latch (by its time) was lifted here: it counts no more, whatever the database still has."""
        self._lifting: dict[Key, int] = {}
        """The count of lifts that the database has yet to hear of; 0 while its own count is not known."""
        self._counted: dict[str, dict[str, Figures]] = {}
        self.seq = 0
        """The number of what was told last."""
        self.heard_s = float("-inf")

    # ------------------------------------------------------------------ tell

    def told(
        self, scope: CapScope, shares: Shares | None, account: str, epoch: int, used: Decimal, said: CapHold | None
    ) -> Told | None:
        """What to tell of an account here that is worth `used`; None while its worker has not said what it keeps to.
        `said`: what it says that this scope holds it for."""
        row = self._rows.get((scope.name, account))
        number, lifts = (0, 0) if row is None else (row.number, row.told.lifts)
        short, kept = ZERO, used
        if shares is None:
            number = UNBOUND
        elif (member := shares.members[account]).bound is None:
            return None
        else:
            used, short, kept = member.used, member.short, shares.lent(account)
        if (scope.name, account) in self._lifting and row is not None:
            lifts = self._lifting[scope.name, account] = self._lifting[scope.name, account] or lifts + 1
        figures = scope.figures.get(account)
        return Told(scope.name, account, epoch, self.seq, used, short, kept, number, figures, said, lifts)

    def lift(self, scope: str, account: str, hold: CapHold) -> None:
        """An operator has resumed an account that this latch held."""
        self._lifted[scope, account] = hold.since_ms
        self._lifting[scope, account] = 0

    def forget(self, account: str) -> None:
        """Another host has the account."""
        for known in (self._rows, self._lifted, self._lifting):
            for key in [key for key in known if key[1] == account]:
                del known[key]

    # ------------------------------------------------------------------ hear

    def hear(self, told: Iterable[Told], rows: Iterable[UseRow], scopes: Iterable[ScopeSeen], now_s: float) -> None:
        """The database has taken `told`, and has these rows of our accounts with our numbers now."""
        self.heard_s = now_s
        self._rows = {(row.told.scope, row.told.account): row for row in rows}
        for key, row in self._rows.items():
            if 0 < self._lifting.get(key, 0) <= row.told.lifts:
                del self._lifting[key]
        self.seen = {each.scope: each for each in scopes}
        for scope, account in list(self._lifted):
            held = self.seen[scope].held.get(account) if scope in self.seen else None
            if (scope, account) not in self._lifting and (
                held is None or held.since_ms != self._lifted[scope, account]
            ):
                del self._lifted[scope, account]
        self._counted = {}
        for each in told:
            if each.figures is not None:
                self._counted.setdefault(each.scope, {})[each.account] = each.figures

    def granted(self, scope: str) -> Granted:
        """What the accounts here may be worth."""
        grants = {account: min(row.share, row.reserved) for (name, account), row in self._rows.items() if name == scope}
        ours = sum((row.reserved for (name, _), row in self._rows.items() if name == scope), ZERO)
        shown = self.seen[scope].shown if scope in self.seen else {}
        limit = next((saved_decimal(most) for cap, _, most in shown.get("caps", ()) if cap == "max_notional"), ZERO)
        lent = saved_decimal(shown.get("lent", "0"))
        return Granted(grants, limit, max(ZERO, lent - ours))

    def hold(self, scope: str, account: str) -> CapHold | None:
        """What the fleet's cap holds an account for; None when it does not, or when it was lifted here."""
        found = self.seen[scope].held.get(account) if scope in self.seen else None
        return None if found is None or found.since_ms == self._lifted.get((scope, account)) else found

    # ------------------------------------------------------------------ the database is away

    def alone(self, scope: CapScope, now_s: float, now_ms: int) -> Breached | None:
        """Whether what the accounts here have lost since the last answer crosses a cap, the others being as they were.

        None as long as the database answers: then `fleet_scope.look` says so.
        """
        seen = self.seen.get(scope.name)
        if seen is None or now_s - self.heard_s < ALONE_S or not scope.accounts:
            return None
        shown = seen.shown
        whole = CapScope(scope.name, scope.caps, (*scope.accounts, ELSEWHERE))
        whole.figures = {ELSEWHERE: others_of(shown, self.me), **self._counted.get(scope.name, {})}
        whole.drawdown = DrawdownState(None if shown["peak"] is None else saved_decimal(shown["peak"]))
        whole.base, whole.held = saved_decimal(shown["base"]), dict(scope.held)
        now = {name: each for name, each in scope.figures.items() if name in whole.figures}
        breach = step(whole, Reported(now, now_ms)) if now else None
        names = () if breach is None else tuple(name for name in breach.names if name != ELSEWHERE)
        if breach is None or not names:
            return None
        reason = f"{breach.reason} (counted by host {self.me} alone: the fleet's database is away)"
        return Breached(reason, names)

    def rows(self) -> list[dict[str, Any]]:
        """Each cap over all hosts, as `over_rows` has them."""
        return over_rows(self.seen.values(), self.me)


def over_rows(scopes: Iterable[ScopeSeen], me: str) -> list[dict[str, Any]]:
    """Each cap of each scope over all hosts, as the caps of one host are shown. `hosts`: what each of them may use of
    `max_notional`; `here`: what the accounts of host `me` may use and do use. USDT as text."""
    found = []
    for seen in scopes:
        mine: Mapping[str, str] = seen.shown["hosts"].get(me, {})
        about = {
            "accounts": seen.shown["accounts"],
            "known": seen.shown["known"],
            "on_breach": seen.shown["on_breach"],
            "held": sorted(seen.held),
            "reason": next((hold.reason for hold in seen.held.values()), ""),
            "seen_s": round(seen.age_s, 1),
            "here": {key: _money(mine.get(key, "0")) for key in ("reserved", "used")},
            "hosts": {host: _money(values["reserved"]) for host, values in sorted(seen.shown["hosts"].items())},
        }
        found += [
            {"scope": seen.scope, "cap": cap, **with_use(saved_decimal(now), saved_decimal(most)), **about}
            for cap, now, most in seen.shown["caps"]
        ]
    return found


def _money(text: str) -> str:
    """Rounded down: the parts of hosts that are shown side by side are no more together than the cap that is shown."""
    return f"{(saved_decimal(text) * 100).to_integral_value(ROUND_FLOOR) / 100:.2f}"
