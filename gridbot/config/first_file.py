"""A first configuration file from a few answers: what is proposed, and what is wrong with an answer. Pure.

An answer is judged by the checks that `check` makes offline: the file is made of it and of proposals for all that was
not answered yet, and read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Final

from gridbot.config.errors import ConfigError
from gridbot.config.first_answers import Answers, Draft, known_price, variables
from gridbot.config.first_text import text_of_draft
from gridbot.config.ladder_report import LadderReport, ladder_report
from gridbot.config.ladder_warnings import ladder_warnings
from gridbot.config.loading import load_text
from gridbot.config.models import GridbotConfig
from gridbot.config.setting_warnings import setting_warnings
from gridbot.exchange.environment import Environment

__all__ = ["SmallWallet", "completed", "draft_of", "fault_of"]

MAKER_FEE: Final = Decimal("0.02")
"""Percent of an order's value: Bybit's for accounts without a discount, and the paper exchange's."""
LEAST_STEP: Final = 2 * MAKER_FEE
LEVELS: Final = 20
FEWEST_LEVELS: Final = 4
STEP: Final = Decimal("0.2")
PAPER_MONEY: Final = Decimal(10_000)
MOST_WALLETS: Final = Decimal(4)
"""What the orders of one direction may be worth together, in wallets, when sizes are proposed."""
ZERO, ONE, THOUSANDTH = Decimal(0), Decimal(1), Decimal("0.001")
SMALLEST: Final = "0.01"
"""USDT: less than any exchange takes, so it becomes the smallest order."""


class SmallWallet(Exception):
    """No grid of the symbol fits the wallet. `least` is the USDT that one needs."""

    def __init__(self, least: Decimal) -> None:
        super().__init__(least)
        self.least = least


def completed(answers: Answers, path: Path) -> Answers:
    """The answers with a proposal for each that is missing. Raises SmallWallet, ConfigError."""
    price = answers.price or known_price(answers.symbol)
    wallet = answers.wallet
    if wallet is None and answers.environment is Environment.PAPER:
        wallet = PAPER_MONEY
    filled = replace(answers, price=price, wallet=wallet, step=answers.step or STEP)
    if wallet is None or price is None:
        return replace(filled, levels=answers.levels or LEVELS, amount=answers.amount or "x0.05")
    levels = answers.levels or _levels(_smallest_order(filled, path)[1], wallet)
    if answers.amount is not None:
        return replace(filled, levels=levels)
    size, worth = _smallest_order(replace(filled, levels=levels), path)
    fraction = (ONE / levels).quantize(THOUSANDTH).normalize()
    filled = replace(filled, levels=levels, amount=f"x{fraction:f}")  # all levels together are worth a wallet
    if size and any(_size_faults(_read(Draft(filled), path)[1])):
        times = max(1, math.floor(wallet * fraction / worth))
        return replace(filled, amount=f"q{times * size:f}")
    return filled


def draft_of(answers: Answers, path: Path) -> Draft:
    """All that the file is made of, and what `check` warns of. Raises SmallWallet, ConfigError."""
    whole = completed(answers, path)
    config, report = _read(Draft(whole), path)
    warned = (*setting_warnings(config), *ladder_warnings([report]))
    total = sum((each.notional for each in report.totals), ZERO)
    caps = 10
    if whole.wallet and total:
        caps = max(1, math.ceil(2 * total / whole.wallet))
    return Draft(whole, caps, report, warned)


def fault_of(answers: Answers, path: Path) -> str | None:
    """What is wrong with the answers so far, in a sentence; None when nothing is."""
    if answers.step is not None and answers.step <= LEAST_STEP:
        return (
            f"expected a step of more than {LEAST_STEP.normalize():f} percent, got {answers.step:f}; "
            f"each pair of fills pays two fees of {MAKER_FEE:f} percent, and would lose"
        )
    try:
        whole = completed(answers, path)
        _, report = _read(Draft(whole), path)
    except SmallWallet as small:
        return (
            f"expected at least {small.least:f} USDT for {answers.symbol}, whose smallest orders want that, "
            f"got {answers.wallet or PAPER_MONEY:f}; take another symbol, or more money"
        )
    except ConfigError as error:
        problem = error.problems[0]
        return f"expected {problem.expected}, got {problem.got}; {problem.do}"
    if report.problem:
        return report.problem
    return next(_size_faults(report), None) if answers.amount is not None else None


def _size_faults(report: LadderReport) -> Iterator[str]:
    amount = report.strategy.amount
    for row in report.rows:
        if row.size == 0:
            yield f"expected an order that the exchange takes, got {amount}; give each order more"
        elif row.reason.startswith("rounded up"):
            near = f"q{row.size:f} ({row.notional:.2f} USDT)"
            yield f"expected whole steps of {report.strategy.symbol}, such as {near}, got {amount}; write that, or more"
    most = report.strategy.max_margin * (report.wallet or 0)
    for total in report.totals:
        if most and total.notional > most:
            yield (
                f"expected orders of at most {most / total.orders:.2f} USDT, got {amount}: {total.orders} of them are "
                f"worth {total.notional:.2f} USDT, more than {report.strategy.max_margin:f} wallets; lower it, or take "
                "fewer levels"
            )


def _read(draft: Draft, path: Path) -> tuple[GridbotConfig, LadderReport]:
    answers = draft.answers
    environ = {name: f"set-later:{name}" for name in variables(answers)}
    config = load_text(text_of_draft(draft), path, environ=environ).config
    prices: Mapping[str, Decimal] = {} if answers.price is None else {answers.symbol: answers.price}
    wallets: Mapping[str, Decimal] = {} if answers.wallet is None else {answers.account: answers.wallet}
    return config, ladder_report(config, config.strategies[0], prices, wallets)


def _smallest_order(answers: Answers, path: Path) -> tuple[Decimal, Decimal]:
    """The largest of the smallest orders of a ladder: coins, and USDT rounded up; zeros when no rules are known."""
    levels = answers.levels or FEWEST_LEVELS
    _, report = _read(Draft(replace(answers, levels=levels, amount=SMALLEST)), path)
    orders = [(row.size, row.notional) for row in report.rows if row.size and row.notional]
    size = max((size for size, _ in orders), default=ZERO)
    worth = max((worth for _, worth in orders), default=ZERO)
    return (size, worth.to_integral_value(ROUND_CEILING)) if worth > 1 else (ZERO, ZERO)


def _levels(least: Decimal, wallet: Decimal) -> int:
    """As many levels as smallest orders fit into the wallet, 20 at most. Raises SmallWallet."""
    if not least:
        return LEVELS
    fits = 2 * math.floor(MOST_WALLETS * wallet / least)
    if fits < FEWEST_LEVELS:
        raise SmallWallet((FEWEST_LEVELS // 2 * least / MOST_WALLETS).to_integral_value(ROUND_CEILING))
    return min(LEVELS, fits)
