"""What a reader must know before believing the figures: liquidations, caps, halts, gaps, losses, optimism. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gridbot.report.backtest_row import Backtest
from gridbot.report.facts import Facts
from gridbot.report.money_split import AccountMoney
from gridbot.report.page_text import amount, count, duration, moment, often, signed
from gridbot.report.position_facts import Gap, PriceEnds, PriceGap
from gridbot.report.position_questions import GAP_S
from gridbot.report.report_span import DAY_MS, HOUR_MS, MINUTE_MS, Asked

__all__ = ["Caution", "cautions"]

SHORT_DAYS: Final = 30
GRAVE: Final = "grave"
WARN: Final = "warn"
NOTE: Final = "note"

CAPS: Final = {
    "max_notional": "the cap on the value of positions and opening orders",
    "account_max_notional": "the account's cap on the value of positions and opening orders",
    "max_margin": "the cap on the margin of one side",
    "max_open_orders": "the cap on resting orders",
    "max_orders_per_minute": "the cap on orders a minute",
    "insufficient_balance": "the end of the free balance",
}
HALTS: Final = {
    "session_loss": "the loss limit stopped trading",
    "halted": "a strategy was halted",
    "paused": "trading was paused, by an operator or behind a liquidation",
    "breaker": "levels were taken out of use after repeated refusals",
    "auth_cooldown": "the exchange did not accept the API key",
    "ip_ban": "the exchange banned this address",
}
FORCED: Final = {"BustTrade": "liquidated", "AdlTrade": "reduced by auto-deleveraging", "Delivery": "settled"}


@dataclass(frozen=True, slots=True)
class Caution:
    """`weight`: grave, warn or note. `title` says what, `text` the details."""

    weight: str
    title: str
    text: str


_TIMED: Final = re.compile(r"\d{4}-\d\d-\d\d ", re.ASCII).match
"""A warning of a backtest that begins with a time is what an operator would have been told then."""


def cautions(
    asked: Asked, facts: Facts, account_money: AccountMoney | None, backtest: Backtest | None, tried: int = 0
) -> list[Caution]:
    """The gravest first. `tried`: other backtests of the same days with other settings."""
    found = [
        *_forced(facts),
        *_money(account_money, facts),
        *_lost(facts),
        *_caps(facts),
        *_halts(facts),
        *_running(asked, facts),
        *_data(asked, facts),
        *_believed(facts),
        *_alerts(facts),
        *_trust(asked, facts, backtest, tried),
    ]
    return sorted(found, key=lambda caution: (GRAVE, WARN, NOTE).index(caution.weight))


def _forced(facts: Facts) -> Iterator[Caution]:
    for kind in dict.fromkeys(row.exec_type for row in facts.unusual):
        rows = [row for row in facts.unusual if row.exec_type == kind]
        first, realised = rows[0], sum((row.realised_pnl for row in rows), Decimal(0))
        word = FORCED.get(kind, f"changed by an execution of kind {kind}")
        more = f", and {count(len(rows) - 1)} more executions of this kind" if len(rows) > 1 else ""
        yield Caution(
            GRAVE if kind in FORCED else WARN,
            f"{first.symbol} was {word}" + (" (shadow)" if first.shadow else ""),
            f"{moment(first.at_ms)} UTC: {amount(first.qty)} of the {first.direction} position at "
            f"{amount(first.price)}{more}; realised {signed(realised)} USDT by them.",
        )


def _money(found: AccountMoney | None, facts: Facts) -> Iterator[Caution]:
    if found is None:
        yield Caution(WARN, "No balance is recorded", "What the equity changed by is not known; the parts below are.")
        return
    if not found.adds_up:
        paid = found.unexplained > 0 and any(row.exec_type == "BustTrade" for row in facts.unusual)
        insured = "what the exchange's insurance paid after the liquidation, where the wallet did not cover it, "
        yield Caution(
            GRAVE,
            f"{signed(found.unexplained)} USDT of the change of equity is not explained",
            f"No execution or open position accounts for it: {insured if paid else ''}a deposit, a withdrawal, a paper "
            "account that began anew, or records that are lost.",
        )
    if abs(found.outside) >= Decimal("0.01"):
        yield Caution(
            NOTE,
            f"{signed(found.outside)} USDT lies outside of the first and last recorded balance",
            "Executions of the span that no balance includes yet; they are in the parts, not in the change of equity.",
        )


def _lost(facts: Facts) -> Iterator[Caution]:
    for row in facts.lost:
        yield Caution(
            GRAVE,
            f"{count(row.records)} records of this account are lost",
            f"Fills may be among them, and at what time nobody knows. {row.reason}",
        )
    for coin in facts.other_coins:
        yield Caution(
            WARN,
            f"Fees were paid in {coin.coin or 'another coin'}",
            f"Of {count(coin.executions)} executions; they are in no figure of this page.",
        )


def _caps(facts: Facts) -> Iterator[Caution]:
    for row in facts.refusals:
        if row.ret_code is None and row.reason in CAPS:
            yield Caution(
                WARN,
                f"{row.strategy} reached {CAPS[row.reason]}",
                f"{count(row.times)} orders were not placed for it, from {moment(row.first_ms)} to "
                f"{moment(row.last_ms)} UTC. The grid was thinner than its settings say.",
            )


def _halts(facts: Facts) -> Iterator[Caution]:
    for halt in facts.halts:
        whose = halt.strategy or "Whole account"
        until = "still set at the end" if halt.still else f"last change {moment(halt.last_ms)} UTC"
        reason = f" Reason: {halt.reason}" if halt.reason else ""
        yield Caution(
            GRAVE if halt.kind == "session_loss" else NOTE if halt.kind == "breaker" else WARN,
            f"{whose}: {HALTS.get(halt.kind, halt.kind)}",
            f"{often(halt.times).capitalize()} since {moment(halt.first_ms)} UTC, {until}.{reason}",
        )


def _running(asked: Asked, facts: Facts) -> Iterator[Caution]:
    crashes = [run for run in facts.runs if run.state == "crashed"]
    if crashes:
        last = crashes[-1].ended_ms
        yield Caution(WARN, f"The bot crashed {often(len(crashes))}", f"The last time at {moment(last)} UTC.")
    pauses = []
    covered = asked.from_ms
    for run in facts.runs:
        if run.started_ms - covered > MINUTE_MS and not run.is_first:
            pauses.append((run.started_ms - covered, covered))
        covered = max(covered, run.ended_ms or run.started_ms)
    if facts.runs and asked.to_ms - covered > 2 * MINUTE_MS:
        pauses.append((asked.to_ms - covered, covered))
    if pauses:
        longest, since = max(pauses)
        yield Caution(
            WARN,
            f"The bot did not run for {duration(sum(length for length, _ in pauses))} of the span",
            f"{often(len(pauses)).capitalize()}; the longest {duration(longest)} from {moment(since)} UTC. "
            "Resting orders may have filled meanwhile; those fills are in the figures.",
        )


def _gap(gap: Gap) -> str:
    several = "gap" if gap.gaps == 1 else "gaps"
    return (
        f"{count(gap.gaps)} {several}, {duration(gap.missing_ms)} together; the longest {duration(gap.longest_ms)} "
        f"from {moment(gap.longest_from_ms)} UTC."
    )


def _begins_late(ends: PriceEnds, facts: Facts) -> bool:
    fills = [row.first_ms for row in facts.money if row.symbol == ends.symbol and row.first_ms is not None]
    return bool(fills) and ends.first_ms - min(fills) > HOUR_MS


def _price_gaps(asked: Asked, facts: Facts) -> Iterator[PriceGap]:
    """Those between prices, and those before the first and behind the last one; none where a note tells of it."""
    between = {gap.symbol: gap for gap in facts.price_gaps}
    for ends in facts.price_ends:
        usual = (ends.last_ms - ends.first_ms) // max(1, ends.rows - 1)
        edges = [(asked.to_ms - ends.last_ms, ends.last_ms)]
        if not _begins_late(ends, facts):
            edges.append((ends.first_ms - asked.from_ms, asked.from_ms))
        edges = [edge for edge in edges if edge[0] > max(GAP_S * 1000, 3 * usual)]
        gap = between.get(ends.symbol)
        longest = max([*edges, *([(gap.longest_ms, gap.longest_from_ms)] if gap else [])], default=None)
        if longest is not None:
            missing = sum(length for length, _ in edges) + (gap.missing_ms if gap else 0)
            yield PriceGap(len(edges) + (gap.gaps if gap else 0), missing, *longest, ends.symbol)


def _data(asked: Asked, facts: Facts) -> Iterator[Caution]:
    for gap in _price_gaps(asked, facts):
        yield Caution(WARN, f"Prices of {gap.symbol} have gaps", f"{_gap(gap)} Curves are drawn straight across them.")
    for stream in facts.stream_gaps:
        yield Caution(
            NOTE,
            f"The {stream.stream} stream was interrupted",
            f"{_gap(stream)} What happened meanwhile was asked for afterwards.",
        )
    for ends in facts.price_ends:
        if ends.marks < ends.rows:
            yield Caution(
                WARN,
                f"Mark prices of {ends.symbol} are missing",
                f"{count(ends.rows - ends.marks)} of {count(ends.rows)} prices have none: open results, margin and "
                "liquidation are those of the last traded price there.",
            )
    removed = [ends for ends in facts.price_ends if _begins_late(ends, facts)]
    if removed:
        yield Caution(
            NOTE,
            f"Prices of {', '.join(ends.symbol for ends in removed)} begin at {moment(removed[0].first_ms)} UTC",
            "Older ones were removed because of their age (keep_tickers). Those of fills are used before.",
        )
    traded = {row.symbol for row in facts.money if row.fills}
    for symbol in sorted(traded - {ends.symbol for ends in facts.price_ends}):
        yield Caution(
            NOTE,
            f"No prices of {symbol} are recorded",
            "They may have been removed because of their age (keep_tickers). Those of fills are used instead.",
        )


def _believed(facts: Facts) -> Iterator[Caution]:
    if facts.adjustments:
        first = facts.adjustments[0]
        yield Caution(
            WARN,
            f"The exchange's position was believed {often(len(facts.adjustments))} instead of our own count",
            f"First {moment(first.at_ms)} UTC, {first.symbol} {first.direction}: {amount(first.size_before)} became "
            f"{amount(first.size)}. {first.reason}",
        )


def _alerts(facts: Facts) -> Iterator[Caution]:
    limited = any(halt.kind == "session_loss" for halt in facts.halts)
    for alert in facts.alerts:
        if limited and alert.key == "session_loss_limit":
            continue  # said above
        whose = f"{alert.strategy}: " if alert.strategy else ""
        yield Caution(
            GRAVE if alert.level == "CRITICAL" else WARN,
            f"Alert: {whose}{alert.key.replace('_', ' ')}",
            f"{moment(alert.first_ms)} UTC: {alert.text}",
        )


def _trust(asked: Asked, facts: Facts, backtest: Backtest | None, tried: int) -> Iterator[Caution]:
    if asked.length_ms < SHORT_DAYS * DAY_MS:
        yield Caution(
            WARN,
            f"Only {duration(asked.length_ms)}: too short to judge by",
            f"Under {SHORT_DAYS} days a grid has seldom met the market that it loses in: a long move one way.",
        )
    environments = {run.environment for run in facts.runs}
    if backtest is not None:
        yield from _backtest(backtest, tried)
    elif "paper" in environments:
        matching = _paper_matching(facts)
        extra = " Its matching `touch` fills at the first trade at a price: optimistic." if matching == "touch" else ""
        yield Caution(
            WARN,
            "Paper money",
            f"Orders met a simulated exchange, which moves no market and has no queue but a modelled one.{extra}",
        )
    elif environments & {"testnet", "demo"}:
        yield Caution(WARN, "Test money", "Prices and liquidity there are not those of the real exchange.")


def _paper_matching(facts: Facts) -> str:
    return "touch" if any('"matching":"touch"' in (run.config or "") for run in facts.runs) else ""


def _backtest(backtest: Backtest, tried: int) -> Iterator[Caution]:
    if not backtest.finished:
        yield Caution(GRAVE, "The backtest was interrupted", "It ends before the end that was asked for.")
    if backtest.matching == "touch":
        yield Caution(
            WARN,
            "Optimistic matching: touch",
            "Orders fill at the first trade at their price, as if nobody stood before them in the queue.",
        )
    yield Caution(
        WARN,
        "A backtest",
        "The past, with orders that moved no market. Settings that were chosen by looking at these same days look "
        "better here than they will be: judge them by days that were not used for choosing.",
    )
    if tried:
        runs = "1 other backtest" if tried == 1 else f"{count(tried)} other backtests"
        verb = "covers" if tried == 1 else "cover"
        yield Caution(
            WARN,
            f"Chosen on the same days? {runs} with other settings {verb} some of them",
            "The best of several looks better than it is: part of its lead is chance, which will not come again.",
        )
    alerts = [word for word in backtest.warnings if _TIMED(word)]
    for word in backtest.warnings:
        if word not in alerts:
            yield Caution(WARN, "Of the backtest's market", word)
    if alerts:
        yield Caution(
            WARN,
            f"An operator would have been told that something is wrong: {count(len(alerts))} "
            f"kind{'' if len(alerts) == 1 else 's'} of it",
            f"First {alerts[0]}. All are listed below the settings.",
        )
