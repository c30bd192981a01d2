"""What a strategy would trade, worked out offline: its ladder level by level, with sizes and totals. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from gridbot.config.account_models import AccountConfig, StrategyConfig
from gridbot.config.models import GridbotConfig
from gridbot.config.offline_market import offline_instrument, paper_start_price
from gridbot.core.instrument import Instrument
from gridbot.core.sizing import AmountKind, AmountRule, quantity_for
from gridbot.core.vocabulary import Side
from gridbot.exchange.environment import Environment
from gridbot.paper.market.instruments import LISTINGS
from gridbot.strategies.base import CannotTrade, PlannedLevel

__all__ = ["LadderReport", "Row", "Totals", "ladder_report"]

ROUNDED_UP_MUCH = Decimal("1.1")


@dataclass(frozen=True, slots=True)
class Row:
    """One level. Without a known price only `percent` (distance from the centre) and `side` are known.

    `wanted` is what the configuration asks for (USDT), `notional` what an order of it is worth.
    """

    side: str
    percent: Decimal
    price: Decimal | None = None
    size: Decimal | None = None
    notional: Decimal | None = None
    reason: str = ""
    wanted: Decimal | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "side": self.side,
            "percent": str(self.percent),
            "price": _text(self.price),
            "size": _text(self.size),
            "notional": _text(self.notional),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """The opening orders of one direction: how many, base coin, USDT."""

    direction: str
    orders: int
    size: Decimal
    notional: Decimal


@dataclass(frozen=True, slots=True)
class LadderReport:
    """One strategy's ladder, highest price first, and where its figures come from."""

    strategy: StrategyConfig
    summary: str
    environment: Environment
    price: Decimal | None
    price_source: str
    instrument: Instrument | None
    wallet: Decimal | None
    rows: tuple[Row, ...] = ()
    totals: tuple[Totals, ...] = ()
    problem: str = ""
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "strat_id": self.strategy.strat_id,
            "account": self.strategy.account,
            "environment": self.environment.value,
            "symbol": self.strategy.symbol,
            "shadow_mode": self.strategy.shadow_mode,
            "price": _text(self.price),
            "price_source": self.price_source,
            "tick_size": _text(self.instrument.tick_size if self.instrument else None),
            "wallet": _text(self.wallet),
            "levels": [row.as_json() for row in self.rows],
            "totals": [
                {"direction": t.direction, "orders": t.orders, "size": str(t.size), "notional": str(t.notional)}
                for t in self.totals
            ],
            "problem": self.problem,
            "notes": list(self.notes),
        }


def ladder_report(
    config: GridbotConfig,
    strategy: StrategyConfig,
    prices: Mapping[str, Decimal],
    wallets: Mapping[str, Decimal],
    *,
    asked: Instrument | None = None,
) -> LadderReport:
    """The ladder at the price given in `prices` (by symbol), else at the paper market's start price, else in percent.

    Sizes by fraction need a wallet balance: `wallets` (by account, USDT), else the paper balance. `asked` are the
    trading rules as the exchange has told them; else those that are known offline count.
    """
    account = config.account(strategy.account)
    price, source = _price(config, account, strategy, prices)
    instrument = asked or offline_instrument(strategy, account.environment, config.paper)
    wallet = _wallet(config, account, wallets)
    kind = strategy.decided_by
    report = LadderReport(strategy, kind.summary(strategy), account.environment, price, source, instrument, wallet)
    if price is None or instrument is None:
        outline = tuple(Row(_side(side), percent) for side, percent in kind.outline(strategy))
        return replace(report, rows=outline, notes=tuple(_unknowns(report, is_asked=asked is not None)))
    try:
        levels = kind.plan(strategy, instrument, price)
    except CannotTrade as error:
        return replace(report, problem=str(error))
    rows = [_row(level, report, instrument, price) for level in levels]
    rows = _beyond_margin(rows, strategy, wallet)
    totals = tuple(_totals(rows))
    notes = tuple(_unknowns(report, is_asked=asked is not None))
    return replace(report, rows=tuple(reversed(rows)), totals=totals, notes=notes)


def _price(
    config: GridbotConfig, account: AccountConfig, strategy: StrategyConfig, prices: Mapping[str, Decimal]
) -> tuple[Decimal | None, str]:
    if strategy.symbol in prices:
        return prices[strategy.symbol], "--price"
    if account.environment is Environment.PAPER:
        price = paper_start_price(config.paper, strategy.symbol)
        return price, "start of the paper market" if price is not None else "known when the paper market starts"
    return None, "known when the exchange is asked"


def _wallet(config: GridbotConfig, account: AccountConfig, wallets: Mapping[str, Decimal]) -> Decimal | None:
    if account.name in wallets:
        return wallets[account.name]
    if account.environment is not Environment.PAPER:
        return None
    return config.paper.default_balance if account.balance is None else account.balance


def _side(side: Side | None) -> str:
    return "wait" if side is None else side.value


def _row(level: PlannedLevel, report: LadderReport, instrument: Instrument, centre: Decimal) -> Row:
    price = instrument.price(level.ticks)
    percent = (price - centre) / centre * 100
    side = _side(level.side)
    if level.side is None or level.remark:
        return Row(side, percent, price, reason=level.remark or "at the price: no order")
    rule = AmountRule.parse(report.strategy.amount)
    if rule.kind is AmountKind.WALLET_FRACTION and report.wallet is None:
        return Row(side, percent, price)
    size = quantity_for(rule, price, instrument, report.wallet)
    wanted = _wanted(rule, price, report.wallet)
    if size == 0:
        return Row(side, percent, price, size, size, "below the smallest order: nothing is sent", wanted)
    much = size * price > wanted * ROUNDED_UP_MUCH
    reason = f"rounded up from {wanted:.2f} USDT to what the exchange takes" if much else ""
    return Row(side, percent, price, size, size * price, reason, wanted)


def _wanted(rule: AmountRule, price: Decimal, wallet: Decimal | None) -> Decimal:
    if rule.kind is AmountKind.QUANTITY:
        return rule.value * price
    return rule.value if rule.kind is AmountKind.NOTIONAL else rule.value * (wallet or 0)


def _beyond_margin(rows: list[Row], strategy: StrategyConfig, wallet: Decimal | None) -> list[Row]:
    """Mark the levels whose orders `max_margin` would withhold once all nearer levels have filled."""
    if not wallet:
        return rows
    marked = list(rows)
    for side, order in (("Buy", range(len(rows) - 1, -1, -1)), ("Sell", range(len(rows)))):
        total = Decimal(0)
        for index in order:
            row = rows[index]
            if row.side != side or not row.notional:
                continue
            total += row.notional
            if total > strategy.max_margin * wallet and not row.reason:
                reason = f"withheld by max_margin {strategy.max_margin} when the nearer ones have filled"
                marked[index] = replace(row, reason=reason)
    return marked


def _totals(rows: list[Row]) -> Iterator[Totals]:
    for side, direction in (("Buy", "long"), ("Sell", "short")):
        sized = [(row.size, row.notional) for row in rows if row.side == side and row.size and row.notional]
        if sized:
            size = sum((size for size, _ in sized), Decimal(0))
            yield Totals(direction, len(sized), size, sum((notional for _, notional in sized), Decimal(0)))


def _unknowns(report: LadderReport, *, is_asked: bool) -> Iterator[str]:
    strategy = report.strategy
    if report.price is None:
        yield f"the price is {report.price_source}; name one with --price {strategy.symbol}=PRICE to see more"
    if report.instrument is None:
        yield f"the trading rules of {strategy.symbol} are not known offline; give it a tick_size to see prices"
    elif report.price is not None and report.environment is not Environment.PAPER and not is_asked:
        if strategy.symbol in LISTINGS:
            yield "trading rules are those shipped with the paper exchange; the start takes the exchange's own"
        else:
            yield f"quantity step and minimum of {strategy.symbol} are not known offline; sizes are not rounded"
    if report.wallet is None and strategy.amount.startswith("x"):
        yield f"the wallet is not known offline; name it with --wallet {strategy.account}=USDT to see sizes"


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
