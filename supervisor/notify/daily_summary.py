"""The daily summary: what the fleet has, who did worst, what was restarted, which caps are near. Pure.

Figures come from the status model. What was earned in a day is the difference of two summaries of realised profit less
fees and funding; deposits and withdrawals change the equity only. Each kind of money (mainnet, demo, testnet, paper)
has a line of its own: no sum is over two of them. Shadow strategies earn nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from gridbot.commands.wording import counted
from gridbot.core.strict_numbers import decimal_or_none
from gridbot.doors.plain_text import one_line

__all__ = ["AccountFigures", "Figures", "figures_of", "kept_for_the_next", "summary_text"]

WORST: Final = 3
SETTLES_S: Final = 120.0
"""Seconds after its start that the supervisor has for the first reports of all accounts."""
NEAR: Final = 0.8
"""Part of a cap from which on it is near."""
MOST_NAMES: Final = 10


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """Money in USDT; None where nothing was reported. `earned` is realised less fees and funding, of all time."""

    money: str
    equity: Decimal | None
    earned: Decimal | None
    unrealised: Decimal | None
    restarts: int
    is_well: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one moment. `caps` has those that are near, in words; `run` is that of the supervisor, for the restarts.

    `is_settling`: it has just started, and not every account has reported.
    """

    run: str
    accounts: Mapping[str, AccountFigures]
    caps: tuple[str, ...] = ()
    is_settling: bool = False

    def to_document(self) -> dict[str, Any]:
        """JSON-able; what the next summary compares with."""
        rows = {
            name: [each.money, *(_text(value) for value in (each.equity, each.earned, each.unrealised)), each.restarts]
            for name, each in self.accounts.items()
        }
        return {"run": self.run, "accounts": rows}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Figures:
        """Read what `to_document` wrote. KeyError, TypeError, ValueError for anything else."""
        accounts = {}
        for name, (money, equity, earned, unrealised, restarts) in document["accounts"].items():
            values = (_read(equity), _read(earned), _read(unrealised))
            accounts[str(name)] = AccountFigures(str(money), *values, int(restarts), True)
        return cls(str(document["run"]), accounts)


def figures_of(status: Mapping[str, Any]) -> Figures:
    """Of the status model."""
    accounts = {str(row["account"]): _account(row) for row in status["accounts"]}
    near = [f"{row['scope']} {_use(row)}" for row in status.get("caps", ()) if _is_near(row)]
    for row in status["accounts"]:
        near += [f"{row['account']} {_use(cap)}" for cap in row.get("caps") or () if _is_near(cap)]
    is_young = float(status["supervisor"]["uptime_s"]) < SETTLES_S
    is_settling = is_young and any(each.equity is None for each in accounts.values())
    texts = tuple(one_line(text, 120) for text in near)
    return Figures(str(status["supervisor"]["run_id"]), accounts, texts, is_settling)


def kept_for_the_next(now: Figures, before: Figures | None) -> Figures:
    """What the next summary compares with: of an account that does not report now, what it said last."""
    old = before.accounts if before is not None else {}
    kept = {
        name: replace(old[name], restarts=each.restarts) if each.earned is None and name in old else each
        for name, each in now.accounts.items()
    }
    return replace(now, accounts=kept)


def summary_text(now: Figures, before: Figures | None, open_alerts: int, waiting: int) -> str:
    """The summary; `before` is the one of the day before. `waiting` are notices whose address cannot be reached."""
    old = before.accounts if before is not None else {}
    lines = [*_money(now, old), *_worst(now, old)]
    ill = [name for name, each in now.accounts.items() if not each.is_well]
    lines.append(f"Accounts: {len(now.accounts)}, not well: {_names(ill) or 'none'}")
    restarted = [f"{name} {count}" for name in now.accounts if (count := _restarts(name, now, before))]
    lines.append(f"Restarts: {_names(restarted) or 'none'}")
    lines.append(f"Caps near: {_names(list(now.caps)) or 'none'}")
    lines.append(f"Open alerts: {open_alerts}")
    if waiting:
        lines.append(f"Messages that wait for an address that cannot be reached: {waiting}")
    return "\n".join(lines)


def _account(row: Mapping[str, Any]) -> AccountFigures:
    live = [each for each in row["strategies"] if each.get("mode") != "shadow"]
    parts = [[_read(each.get(name)) for name in ("realised", "fees", "funding", "unrealised")] for each in live]
    is_known = bool(parts) and all(value is not None for values in parts for value in values[:3])
    earned = sum((_net(values) for values in parts), Decimal(0)) if is_known else None
    loose = [values[3] for values in parts if values[3] is not None]
    return AccountFigures(
        money=str(row.get("environment") or "unknown"),
        equity=_read(row.get("equity")),
        earned=earned,
        unrealised=sum(loose, Decimal(0)) if loose else None,
        restarts=int(row["process"]["restarts"]),
        is_well=row["health"] == "healthy" and row["process"]["state"] == "RUNNING",
    )


def _net(values: list[Decimal | None]) -> Decimal:
    realised, fees, funding = (value or Decimal(0) for value in values[:3])
    return realised - fees - funding  # as `gridbot.core.execution_ledger` has it


def _money(now: Figures, old: Mapping[str, AccountFigures]) -> list[str]:
    lines = []
    for money in dict.fromkeys(each.money for each in now.accounts.values()):
        names = [name for name, each in now.accounts.items() if each.money == money]
        equities = [equity for name in names if (equity := now.accounts[name].equity) is not None]
        silent = len(names) - len(equities)
        known = (
            f" (without {counted(silent, 'account')} that {'does' if silent == 1 else 'do'} not report)"
            if silent
            else ""
        )
        total = f"{sum(equities, Decimal(0)):,.2f} USDT" if equities else "not known"
        line = f"{money}: equity {total}{known}"
        earned = [change for name in names if (change := _earned(name, now, old)) is not None]
        lines.append(line + (f", earned {sum(earned, Decimal(0)):+,.2f}" if earned else ""))
    return lines


def _worst(now: Figures, old: Mapping[str, AccountFigures]) -> list[str]:
    changes = [(change, name) for name in now.accounts if (change := _change(name, now, old)) is not None]
    worst = sorted(changes)[:WORST]
    return [f"Worst: {', '.join(f'{name} {change:+,.2f}' for change, name in worst)}"] if worst else []


def _earned(name: str, now: Figures, old: Mapping[str, AccountFigures]) -> Decimal | None:
    one, other = now.accounts[name], old.get(name)
    if other is None or one.earned is None or other.earned is None or one.money != other.money:
        return None
    return one.earned - other.earned


def _change(name: str, now: Figures, old: Mapping[str, AccountFigures]) -> Decimal | None:
    """What was earned, and what the open legs have gained or lost meanwhile."""
    earned = _earned(name, now, old)
    if earned is None:
        return None
    return earned + (now.accounts[name].unrealised or 0) - (old[name].unrealised or 0)


def _restarts(name: str, now: Figures, before: Figures | None) -> int:
    count = now.accounts[name].restarts
    if before is None or before.run != now.run or name not in before.accounts:
        return count
    return max(0, count - before.accounts[name].restarts)


def _is_near(cap: Mapping[str, Any]) -> bool:
    return cap.get("share") is not None and float(cap["share"]) >= NEAR


def _use(cap: Mapping[str, Any]) -> str:
    return f"{cap['cap']}: {cap['used']} of {cap['limit']} ({float(cap['share']) * 100:.0f} %)"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _read(value: Any) -> Decimal | None:
    return decimal_or_none(value)
