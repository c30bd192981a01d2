"""The worker's money beside the exchange's, once a run has come to rest. Amounts in USDT, quantities in base coin."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from gridbot.paper.accounts.account import Account
from gridbot.simulation import run_checks
from gridbot.worker.orchestrator import Orchestrator

__all__ = ["legs_differ", "totals_differ"]

ZERO = Decimal(0)


def legs_differ(orchestrator: Orchestrator, account: Account, shadows: Collection[str]) -> list[str]:
    """Size and entry of each leg of the account, of whichever symbol, where the ledger has others."""
    theirs, ours = {}, {}
    traders = {symbol: runner.strat_id for symbol, runner in orchestrator.live.items()}
    traders |= {each.symbol: each.strat_id for each in orchestrator.refused if each.strat_id not in shadows}
    moved = run_checks.moved_unseen(account.executions)
    unread = {each.symbol for each in orchestrator.refused if each.symbol in moved}
    for (symbol, idx), leg in account.legs.items():
        if not leg.size and (idx > 0) is not account.hedge.get(symbol, False):
            continue  # of the other position mode
        if symbol in unread:
            continue  # only a reading of the position shows it, and what does not trade has none
        key = symbol, leg.direction.value
        theirs[key] = leg.size, leg.cost / leg.size if leg.size else ZERO
        ours[key] = orchestrator.context.ledger.leg(traders.get(symbol, ""), leg.direction, symbol)
    return run_checks.money_of_legs(theirs, ours)


def totals_differ(
    orchestrator: Orchestrator, account: Account, shadows: Collection[str], *, with_realised: bool
) -> list[str]:
    """Fees, funding, balance and, if wanted, realised PnL of the whole account."""
    totals = [each for name, each in orchestrator.context.ledger.totals.items() if name not in shadows]
    sums = {
        "realised": sum((t.realised for t in totals), ZERO),
        "fees": sum((t.fees for t in totals), ZERO),
        "funding": -sum((t.funding for t in totals), ZERO),
    }
    theirs = {"fees": account.fees, "funding": account.funding, "balance": account.wallet}
    if with_realised:
        theirs["realised"] = account.realised
    return run_checks.money_of_totals(theirs, {**sums, "balance": orchestrator.context.funds.wallet_balance})
