"""Warnings about caps over several accounts, and about what cancels when the machine is gone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from gridbot.config.ladder_report import LadderReport
from gridbot.config.models import GridbotConfig
from gridbot.exchange.environment import Environment

__all__ = ["cap_warnings", "dead_man_warnings"]

ZERO = Decimal(0)


def cap_warnings(config: GridbotConfig, reports: Sequence[LadderReport]) -> Iterator[str]:
    """One sentence for each cap below what the ladders of its accounts want."""
    for scope, (caps, accounts) in config.cap_scopes().items():
        if caps.max_notional is None:
            continue
        live = [r for r in reports if r.strategy.account in accounts and not r.strategy.shadow_mode]
        wallets = {report.strategy.account: report.wallet for report in live}
        if caps.max_notional.of_wallet and None in wallets.values():
            continue  # nothing can be said: no wallet is known offline
        most = caps.max_notional.resolve(sum((wallet or ZERO for wallet in wallets.values()), ZERO))
        wanted = sum((_wanted(report) for report in live), ZERO)
        if wanted > most:
            yield (
                f"{scope}: max_notional is {most.normalize():f} USDT, the ladders of its accounts want {wanted:.2f} "
                "USDT together; what is above it is not placed, whoever asks first has it"
            )


def dead_man_warnings(config: GridbotConfig) -> Iterator[str]:
    """One sentence for each `dead_man` that does nothing, as far as that can be known offline."""
    for account in config.accounts:
        if account.dead_man is None:
            continue
        name = f"account {account.name}: dead_man"
        if account.environment is Environment.PAPER and not config.paper.dcp:
            yield f"{name} does nothing: the paper exchange has no disconnect-cancel-all unless `paper.dcp` is true"
        elif account.environment is Environment.DEMO:
            yield f"{name} may do nothing: Bybit does not say that its demo has it; an incident tells if it is refused"


def _wanted(report: LadderReport) -> Decimal:
    """What all opening orders of a ladder are worth once they have filled, at most what its own cap lets through."""
    wanted = sum((total.notional for total in report.totals), ZERO)
    own = report.strategy.caps.max_notional
    if own is None or (own.of_wallet and report.wallet is None):
        return wanted
    return min(wanted, own.resolve(report.wallet or ZERO))
