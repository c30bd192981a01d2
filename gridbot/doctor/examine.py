"""All findings of an account and its strategies: what was read goes to the checks of each family. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gridbot.config.account_models import AccountConfig, StrategyConfig
from gridbot.config.ladder_report import LadderReport, Row, ladder_report
from gridbot.config.models import GridbotConfig
from gridbot.core.instrument import Instrument
from gridbot.core.margin import LegMargin, reserve_fee
from gridbot.core.risk_rules import LegState
from gridbot.core.vocabulary import Direction, Side
from gridbot.doctor.account_findings import dead_man_finding, margin_mode_finding
from gridbot.doctor.doctor_facts import NOT_ASKED, AccountFacts, SymbolFacts, Unread
from gridbot.doctor.filled_ladder import Rung, SymbolBook
from gridbot.doctor.findings import Finding, Verdict
from gridbot.doctor.key_findings import key_findings
from gridbot.doctor.margin_findings import margin_findings
from gridbot.doctor.market_findings import (
    fee_finding,
    instrument_finding,
    leverage_finding,
    narrowest_step,
    position_mode_finding,
    risk_limit_finding,
    size_finding,
)
from gridbot.doctor.stranger_findings import Ours, foreign_orders, foreign_positions, rival
from gridbot.exchange.environment import Environment
from gridbot.exchange.examined import HeldLeg, SymbolTerms
from gridbot.exchange.requests import FeeRate
from gridbot.orders.ids import account_tag

__all__ = ["Examined", "examined_account"]

ZERO: Final = Decimal(0)
USUAL_FEES: Final = (Decimal("0.0002"), Decimal("0.00055"))
"""Maker and taker of an account of VIP level 0."""
NO_FACTS: Final = SymbolFacts()


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, and the ladders as they would be placed with what the exchange has told."""

    findings: tuple[Finding, ...]
    reports: tuple[LadderReport, ...]
    maker_fees: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A strategy with all that is known of its symbol. `fees` are Bybit's usual ones where `is_usual`."""

    strategy: StrategyConfig
    facts: SymbolFacts
    report: LadderReport
    fees: FeeRate | Unread
    is_usual: bool
    legs: Mapping[Direction, HeldLeg]

    @property
    def leverage(self) -> Decimal | None:
        """What it will trade with."""
        terms = self.facts.terms
        return self.strategy.leverage or (terms.leverage if isinstance(terms, SymbolTerms) else None)

    def rungs(self, side: Side) -> list[Rung]:
        """Opening orders of a side, the nearest first, as far as the strategy's own caps let them fill."""
        rows = [row for row in self.report.rows if row.side == side.value]  # the highest price first
        direction = Direction.LONG if side is Side.BUY else Direction.SHORT
        held = {way: leg.value for way, leg in self.legs.items()}
        wallet, cap = self.report.wallet, self.strategy.caps.max_notional
        limits = []
        if wallet is not None:
            limits.append(self.strategy.max_margin * wallet - held.get(direction, ZERO))
        if cap is not None and not (cap.of_wallet and wallet is None):
            limits.append(cap.resolve(wallet or ZERO) - sum(held.values()))
        most = min(limits, default=None)
        found, total = [], ZERO
        for row in rows if side is Side.BUY else reversed(rows):
            rung = _rung(row)
            total += ZERO if rung is None else rung.price * rung.qty
            if most is not None and total > most:
                break
            if rung is not None:
                found.append(rung)
        return found

    def leg(self, direction: Direction) -> LegState:
        held = self.legs.get(direction)
        leverage = self.leverage or Decimal(1)
        return LegState(leverage=leverage) if held is None else LegState(held.size, held.entry_price, None, leverage)

    def missing(self) -> str:
        """What of the symbol is not known, of all that money is reckoned with; "" when all is."""
        if not isinstance(self.facts.instrument, Instrument):
            return "the rules"
        known = {
            "risk tiers": bool(self.facts.instrument.tiers),
            "price": self.report.price is not None and not isinstance(self.facts.price, Unread),
            "leverage": self.leverage is not None,
            "fees": not isinstance(self.fees, Unread),
        }
        return " and ".join(name for name, is_known in known.items() if not is_known)

    def book(self) -> SymbolBook | None:
        """None where something is missing."""
        instrument, price, fees = self.facts.instrument, self.report.price, self.fees
        if self.missing() or not isinstance(instrument, Instrument) or price is None or isinstance(fees, Unread):
            return None
        return SymbolBook(
            instrument.symbol,
            price,
            instrument.tiers,
            fees.maker,
            reserve_fee(fees.taker),
            self.leg(Direction.LONG),
            self.leg(Direction.SHORT),
            self.rungs(Side.BUY),
            self.rungs(Side.SELL),
        )


def examined_account(config: GridbotConfig, facts: AccountFacts, now_ms: int, *, is_online: bool = True) -> Examined:
    """Without `is_online` only what follows from the file and the paper exchange's own rules."""
    account = config.account(facts.account)
    strategies = config.strategies_of(facts.account)
    planned = [_planned(config, account, strategy, facts) for strategy in strategies]
    findings: list[Finding] = []
    live = [each for each in planned if not each.strategy.shadow_mode]
    if is_online:
        findings += _of_account(account, live, strategies, facts, in_fleet=config.fleet.is_host)
    findings += _of_money(account, live, facts)
    for each in planned:
        findings += _of_strategy(each, facts, now_ms, is_online=is_online)
    fees = {each.strategy.strat_id: each.fees.maker for each in planned if isinstance(each.fees, FeeRate)}
    return Examined(tuple(findings), tuple(each.report for each in planned), fees)


def _of_account(
    account: AccountConfig,
    live: Sequence[_Planned],
    strategies: Sequence[StrategyConfig],
    facts: AccountFacts,
    *,
    in_fleet: bool,
) -> Iterator[Finding]:
    name = account.name
    symbols = [each.strategy.symbol for each in live]
    tag, names = account_tag(account.environment, name), (each.strat_id for each in strategies)
    ours = Ours.of(tag, names, symbols, in_fleet=in_fleet)
    local = facts.local
    yield from key_findings(name, facts.key, allows_withdrawals=account.allow_withdraw_permission)
    yield margin_mode_finding(name, facts.info)
    yield dead_man_finding(name, account.dead_man, facts.dead_man, account.environment)
    yield foreign_orders(name, facts.orders, ours, local.next_number, local.adopted)
    yield foreign_positions(name, facts.legs, ours)
    yield rival(name, ours, local, facts.orders, facts.executions, facts.server_ms)


def _of_money(account: AccountConfig, live: Sequence[_Planned], facts: AccountFacts) -> list[Finding]:
    if not live:
        return []
    balance = _balance(facts, live)
    books = [each.book() for each in live]
    known = [book for book in books if book is not None]
    if balance is None or len(known) < len(books):
        unread = next((each.text for each in (facts.wallet, facts.legs) if isinstance(each, Unread)), "")
        missing = [f"{each.missing()} of {each.strategy.symbol}" for each in live if each.missing()]
        why = unread or f"what it takes is missing: {', '.join(missing)}"
        if all(each.facts is NO_FACTS for each in live):
            return []  # offline, and the exchange's own: it is left out with everything else
        return [Finding("margin", Verdict.WARNING, f"not known: {why}", account.name)]
    ours = {each.strategy.symbol for each in live}
    foreign = [] if isinstance(facts.legs, Unread) else [leg for leg in facts.legs if leg.symbol not in ours]
    initial, maintenance = (sum((getattr(leg, name) for leg in foreign), ZERO) for name in LegMargin._fields)
    return margin_findings(account.name, known, balance, LegMargin(initial, maintenance))


def _balance(facts: AccountFacts, live: Sequence[_Planned]) -> Decimal | None:
    """The margin balance now: the wallet in USDT and what all positions have won or lost."""
    if isinstance(facts.wallet, Unread):
        return live[0].report.wallet
    balance = facts.wallet.wallet_balance
    if balance is None or isinstance(facts.legs, Unread):
        return None
    return balance + sum((leg.unrealised or ZERO for leg in facts.legs), ZERO)


def _of_strategy(each: _Planned, facts: AccountFacts, now_ms: int, *, is_online: bool) -> Iterator[Finding]:
    strategy, symbol = each.strategy, each.facts
    about = f"{strategy.account}/{strategy.strat_id}"
    if is_online:
        yield instrument_finding(about, strategy, symbol.instrument, now_ms)
        if isinstance(symbol.instrument, Unread):
            return  # nothing else of it is known
        used = _is_used(strategy.symbol, facts)
        shadow = strategy.shadow_mode
        yield position_mode_finding(about, strategy.symbol, symbol.terms, is_used=used, is_shadow=shadow)
    if symbol is not NO_FACTS:
        yield leverage_finding(about, strategy.leverage, symbol.terms, symbol.instrument)
        sides = (sum((rung.price * rung.qty for rung in each.rungs(side)), ZERO) for side in Side)
        held = max((leg.value for leg in each.legs.values()), default=ZERO)
        yield risk_limit_finding(about, symbol.instrument, each.leverage, max(sides) + held)
        prices = [row.price for row in each.report.rows if row.price is not None]
        yield fee_finding(about, each.fees, narrowest_step(prices), is_usual=each.is_usual)
        yield size_finding(about, each.report, symbol.instrument)


def _is_used(symbol: str, facts: AccountFacts) -> bool:
    rows = [each for each in (facts.orders, facts.legs) if not isinstance(each, Unread)]
    return any(row.symbol == symbol for listing in rows for row in listing)


def _planned(config: GridbotConfig, account: AccountConfig, strategy: StrategyConfig, facts: AccountFacts) -> _Planned:
    symbol = facts.symbols.get(strategy.symbol, NO_FACTS)
    wallet = None if isinstance(facts.wallet, Unread) else facts.wallet.wallet_balance
    report = ladder_report(
        config,
        strategy,
        {} if isinstance(symbol.price, Unread) else {strategy.symbol: symbol.price},
        {} if wallet is None else {account.name: wallet},
        asked=symbol.instrument if isinstance(symbol.instrument, Instrument) else None,
    )
    fees = symbol.fees
    is_usual = isinstance(fees, Unread) and fees is not NOT_ASKED and account.environment is Environment.DEMO
    if is_usual:
        fees = FeeRate(strategy.symbol, *USUAL_FEES)
    legs = () if isinstance(facts.legs, Unread) else facts.legs
    held = {leg.direction: leg for leg in legs if leg.symbol == strategy.symbol}
    return _Planned(strategy, symbol, report, fees, is_usual, held)


def _rung(row: Row) -> Rung | None:
    return Rung(row.price, row.size) if row.price and row.size else None
