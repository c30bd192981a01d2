"""One cap of a fleet over all its hosts: what the database has of every account goes in, who may be worth how much and
whom the cap holds comes out. Pure; USDT, times in ms UTC of the database.

    rows of `cap_use`       what the holder of each account has told last, and what it was granted
    body of `cap_scope`     peak, losses and latches of the whole fleet, as this function left them
    `look`                  counts the rows, deals what is free, latches: the rules of one host (`cap_scope`,
                            `notional_shares`), over accounts of all of them

Any host does it, one at a time (the scope's row is locked), a few times a second. What one account may be worth stays
with the account: when its host dies nothing of it is given to others until the next holder says what is really used.

The answer to a question may be lost, so each word has a number: a holder keeps to less when it has heard of it, and
says so with that number (`taken`). Until then what it had counts. So the sum of what hosts may use is never above the
cap, whoever is cut off, frozen, dead or late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from gridbot.config.fleet_models import FleetCaps
from gridbot.core.limits import OnBreach
from gridbot.core.strict_numbers import saved_decimal
from gridbot.risk.fleet_share import CapHold
from supervisor.caps.cap_scope import Adopted, CapScope, Figures, Reported, Resumed, loss_used, restored, step
from supervisor.caps.notional_shares import Member, Shares, deal

__all__ = ["AWAY_S", "UNBOUND", "ScopeLook", "ScopeSeen", "Told", "UseRow", "look", "others_of", "taken"]

AWAY_S: Final = 5.0
"""A holder that has said nothing for so long is lent nothing more, and asked for nothing."""
ZERO: Final = Decimal(0)
UNBOUND: Final = -1
NOTHING: Final = Figures(ZERO, ZERO, ZERO, ZERO, "")


@dataclass(frozen=True, slots=True)
class Told:
    """What the holder of an account says of it in one scope.

    It is worth `used`, wants `short` more, and is worth no more than `kept` since the word `number` of the fleet;
    `UNBOUND`: its host has started before there was a limit here, and keeps to none.
    `hold` is what its worker says that this scope holds it for; `lifts` counts the times that it was resumed.
    """

    scope: str
    account: str
    epoch: int
    seq: int
    used: Decimal
    short: Decimal
    kept: Decimal
    number: int
    figures: Figures | None
    hold: CapHold | None
    lifts: int


@dataclass(frozen=True, slots=True)
class UseRow:
    """A row of `cap_use`: what was told last, by which host and run, and what the account was granted.

    It may be worth `reserved` at most, and is to be worth `share`, since the word `number`. `age_s`: since it was told.
    """

    told: Told
    host: str
    instance: str
    reserved: Decimal
    share: Decimal
    number: int
    age_s: float = 0.0


def taken(row: UseRow | None, told: Told, host: str, instance: str) -> UseRow | None:
    """The row after the holder of the account's lease has told this; None when something newer was told already.

    What an account was granted grows here never. It shrinks to what its holder keeps to, once that has heard the newest
    word, or is another one than before.
    """
    if row is None:
        return UseRow(told, host, instance, told.kept, told.kept, 0)
    if (told.epoch, told.seq) <= (row.told.epoch, row.told.seq):
        return None
    hears = told.epoch > row.told.epoch or told.number == row.number
    reserved = min(row.reserved, told.kept) if hears else row.reserved
    figures = row.told.figures if told.figures is None else told.figures
    told = replace(told, lifts=max(row.told.lifts, told.lifts), figures=figures)
    return UseRow(told, host, instance, reserved, row.share, row.number)


@dataclass(frozen=True, slots=True)
class ScopeSeen:
    """A scope as every host sees it. `held` has all accounts of the fleet that the cap holds, by its `holds`th change.

    `shown` is what `look` makes for people and for hosts that are cut off; `age_s`: since somebody looked.
    """

    scope: str
    version: int
    holds: int
    held: Mapping[str, CapHold]
    shown: Mapping[str, Any]
    age_s: float


@dataclass(frozen=True, slots=True)
class ScopeLook:
    """What comes of a look: the new body, who is held, what is shown, and each account with another share.

    `granted`: by account its share, the number of that word, and what it may be worth until it has heard it. `reason`
    says which cap was crossed now.
    """

    body: dict[str, Any]
    held: dict[str, CapHold]
    shown: dict[str, Any]
    granted: dict[str, tuple[Decimal, int, Decimal]]
    reason: str = ""


def look(
    name: str,
    caps: FleetCaps,
    accounts: Sequence[str],
    body: Mapping[str, Any] | None,
    rows: Sequence[UseRow],
    now_ms: int,
) -> ScopeLook:
    """One look at a scope and the `accounts` that the configuration has in it. Never raises for what `body` is."""
    names = frozenset(accounts)
    known = {row.told.account: row for row in rows if row.told.account in names}
    scope, lifts = _opened(name, caps, accounts, body, now_ms)
    for account, row in known.items():
        if row.told.lifts > lifts.get(account, 0):
            step(scope, Resumed(account))
        lifts[account] = row.told.lifts
        if row.told.hold is not None:
            step(scope, Adopted(account, row.told.hold))
    figures = {account: row.told.figures for account, row in known.items() if row.told.figures is not None}
    breach = step(scope, Reported(figures, now_ms)) if figures else None
    granted, shares = _dealt(scope, known)
    return ScopeLook(
        {**scope.to_document(), "lifts": lifts},
        dict(scope.held),
        _shown(scope, shares, known, granted),
        granted,
        "" if breach is None else breach.reason,
    )


def _opened(
    name: str, caps: FleetCaps, accounts: Sequence[str], body: Mapping[str, Any] | None, now_ms: int
) -> tuple[CapScope, dict[str, int]]:
    if body is None:
        return CapScope(name, caps, tuple(accounts)), {}
    try:
        lifts = {str(account): int(count) for account, count in body["lifts"].items()}
        return restored(name, caps, accounts, body), lifts
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        scope = CapScope(name, caps, tuple(accounts))
        reason = f"what the fleet's database has of {name} cannot be read ({error!r}), so it is unknown whom it holds"
        scope.held = dict.fromkeys(scope.accounts, CapHold(reason, now_ms, OnBreach.REDUCE))
        return scope, {}


def _dealt(
    scope: CapScope, known: Mapping[str, UseRow]
) -> tuple[dict[str, tuple[Decimal, int, Decimal]], Shares | None]:
    if scope.caps.max_notional is None:
        return {}, None
    shares = Shares(scope.accounts)
    shares.limit = scope.caps.max_notional.resolve(scope.wallets)
    for account, row in known.items():
        share = min(row.share, row.reserved)
        bound = None if row.told.number == UNBOUND else row.reserved
        there = row.age_s < AWAY_S and bound is not None
        shares.members[account] = Member(share, row.number, bound, row.told.used, row.told.short, there)
    names = [each.name for each in deal(shares)]
    found = {name: shares.members[name] for name in names}
    return {name: (one.share, one.number, one.bound or ZERO) for name, one in found.items()}, shares


def _shown(
    scope: CapScope,
    shares: Shares | None,
    known: Mapping[str, UseRow],
    granted: Mapping[str, tuple[Decimal, int, Decimal]],
) -> dict[str, Any]:
    uses: list[list[str]] = []
    if shares is not None:
        uses.append(["max_notional", str(shares.used), str(shares.limit)])
    for cap, use in (("max_drawdown", scope.fallen()), ("session_loss_limit", loss_used(scope))):
        if use is not None:
            uses.append([cap, str(use.fall), str(use.most)])
    hosts: dict[str, dict[str, Any]] = {}
    for account, row in known.items():
        reserved = granted[account][2] if account in granted else row.reserved
        now = scope.figures.get(account, NOTHING)
        added = (1, reserved, row.told.used, now.low, now.high, now.wallet, now.result)
        before = hosts.get(row.host, dict.fromkeys(_OF_HOST, ZERO))
        hosts[row.host] = {key: before[key] + more for key, more in zip(_OF_HOST, added, strict=True)}
    return {
        "caps": uses,
        "on_breach": str(scope.caps.on_breach),
        "accounts": len(scope.accounts),
        "known": len(scope.figures),
        "lent": str(ZERO if shares is None else shares.limit - shares.free),
        "peak": None if scope.drawdown.peak is None else str(scope.drawdown.peak),
        "base": str(scope.base),
        "hosts": {host: {key: str(value) for key, value in values.items()} for host, values in hosts.items()},
    }


_OF_HOST: Final = ("accounts", "reserved", "used", "low", "high", "wallet", "result")


def others_of(shown: Mapping[str, Any], me: str) -> Figures:
    """The figures of all accounts that other hosts have, added up. KeyError, ValueError for others' `shown`."""
    sums = dict.fromkeys(_OF_HOST, ZERO)
    for host, values in shown["hosts"].items():
        if host != me:
            sums = {key: sums[key] + saved_decimal(values[key]) for key in _OF_HOST}
    return Figures(sums["low"], sums["high"], sums["wallet"], sums["result"], "")
