"""The caps of fleet and groups as the status model and the incidents have them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from gridbot.incidents import Name, Standing
from gridbot.risk.caps import WARN_AT
from supervisor.caps.cap_scope import CapScope, loss_used
from supervisor.caps.notional_shares import Shares

__all__ = ["cap_rows", "latches", "standing", "with_use"]

Message = dict[str, Any]


def cap_rows(scopes: Mapping[str, CapScope], shares: Mapping[str, Shares]) -> list[Message]:
    """Each cap of each scope, with what is used (USDT as text; `share` of the limit) and whom it holds."""
    rows: list[Message] = []
    for name, scope in scopes.items():
        uses: list[tuple[str, Decimal, Decimal]] = []
        if name in shares:
            uses.append(("max_notional", shares[name].used, shares[name].limit))
        if (fall := scope.fallen()) is not None:
            uses.append(("max_drawdown", fall.fall, fall.most))
        if (loss := loss_used(scope)) is not None:
            uses.append(("session_loss_limit", loss.fall, loss.most))
        about: Message = {
            "accounts": len(scope.accounts),
            "known": len(scope.figures),
            "on_breach": str(scope.caps.on_breach),
            "held": sorted(scope.held),
            "reason": next((hold.reason for hold in scope.held.values()), ""),
        }
        rows += [{"scope": name, "cap": cap, **with_use(now, most), **about} for cap, now, most in uses]
    return rows


def with_use(now: Decimal, most: Decimal) -> Message:
    """What is used of a limit, and which part of it; None for a limit of 0."""
    share = round(float(now / most), 4) if most > 0 else None
    return {"used": f"{now:.2f}", "limit": f"{most:.2f}", "share": share}


def latches(scopes: Iterable[CapScope]) -> list[tuple[str, str]]:
    """A sentence for each scope that holds somebody, and its name."""
    return [
        (
            f"{scope.name}: {next(iter(scope.held.values())).reason}; "
            f"held until it is resumed: {', '.join(scope.held)}",
            scope.name,
        )
        for scope in scopes
        if scope.held
    ]


def standing(rows: Iterable[Mapping[str, Any]], held: Iterable[tuple[str, str]]) -> dict[Name, Standing]:
    """Warnings at 80 % of each cap, and latches."""
    found: dict[Name, Standing] = {}
    for row in rows:
        scope, cap = row["scope"], row["cap"]
        if row["share"] is not None and row["share"] >= float(WARN_AT):
            text = f"{scope}: {row['share']:.0%} of {cap} used: {row['used']} of {row['limit']} USDT"
            found[Name(f"cap.{scope}.{cap}", "supervisor")] = Standing("warning", text)
    for text, scope in held:
        found[Name("cap_latch", "supervisor", scope)] = Standing("error", text)
    return found
