"""Warnings about settings that are allowed but often a mistake. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from gridbot.config.account_models import AccountConfig, StrategyConfig
from gridbot.config.models import GridbotConfig
from gridbot.exchange.environment import Environment

__all__ = ["setting_warnings"]

MAKER_FEE_ELSEWHERE = Decimal("0.0002")
"""Bybit's maker fee for accounts without a discount, as a fraction."""
NO_FEES: Mapping[str, Decimal] = MappingProxyType({})
LARGE_MIN_TOTAL_MARGIN = Decimal("0.6")


def setting_warnings(config: GridbotConfig, maker_fees: Mapping[str, Decimal] = NO_FEES) -> Iterator[str]:
    """One sentence for each such setting, accounts first. `maker_fees`: by strategy, where they are known."""
    for account in config.accounts:
        yield from _account_warnings(config, account)
    for strategy in config.strategies:
        yield from _strategy_warnings(strategy, maker_fees.get(strategy.strat_id, _maker_fee(config, strategy)))


def _account_warnings(config: GridbotConfig, account: AccountConfig) -> Iterator[str]:
    live = sum(not strategy.shadow_mode for strategy in config.strategies_of(account.name))
    if account.environment is Environment.MAINNET and live:
        yield f"account {account.name}: real money; strategies that send orders to mainnet: {live}"
    if not config.strategies_of(account.name):
        yield f"account {account.name}: no strategy names it; its worker would only watch"
    if account.caps.session_loss_limit is None:
        yield f"account {account.name}: session_loss_limit is off; nothing stops a losing session"


def _strategy_warnings(strategy: StrategyConfig, maker_fee: Decimal) -> Iterator[str]:
    name = f"strategy {strategy.strat_id}"
    caps = strategy.caps
    for key in ("max_notional", "max_open_orders", "max_orders_per_minute"):
        if getattr(caps, key) is None:
            yield f"{name}: caps.{key} is off"
    levels = strategy.decided_by.most_orders(strategy)
    if caps.max_open_orders is not None and caps.max_open_orders < levels:
        yield f"{name}: caps.max_open_orders {caps.max_open_orders} is less than its {levels} levels; some stay empty"
    if strategy.min_total_margin > LARGE_MIN_TOTAL_MARGIN:
        rule = "doubling one side" if strategy.increase_same_position_on_low_margin else "halving one side"
        yield (
            f"{name}: min_total_margin {strategy.min_total_margin} is far above the default 0.15; "
            f"the rule for equal positions ({rule}) would hold nearly always"
        )
    for warning in strategy.decided_by.warnings(strategy, maker_fee):
        yield f"{name}: {warning}"
    if strategy.leverage is not None and strategy.max_margin > strategy.leverage:
        yield (
            f"{name}: max_margin {strategy.max_margin} cannot be reached with leverage {strategy.leverage}; "
            "orders would be refused for lack of balance first"
        )
    if strategy.min_liq_ratio >= 1:
        yield f"{name}: min_liq_ratio {strategy.min_liq_ratio} never acts: longs liquidate below the price"
    if strategy.max_liq_ratio <= 1:
        yield f"{name}: max_liq_ratio {strategy.max_liq_ratio} never acts: shorts liquidate above the price"


def _maker_fee(config: GridbotConfig, strategy: StrategyConfig) -> Decimal:
    paper = config.account(strategy.account).environment is Environment.PAPER
    return config.paper.maker_fee if paper else MAKER_FEE_ELSEWHERE
