"""Asks each exchange about its accounts, with the keys of each. A refused key keeps no other account from being read.

Requests of an account: the time, what its key may do, margin mode, fees, wallet, orders, positions, the newest
executions (`PAGES` at most), disconnect-cancel-all, and for each symbol its terms. Of an exchange: its time three
times, and for each symbol rules and price once. All wait for the turn that `supervisor/control/guest.py` gives them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, TypeVar

from gridbot import background
from gridbot.bybit.examination import clock_of, dead_man_of, fees_of, held_legs, newest_executions, terms_of
from gridbot.bybit.rest import BybitRest
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.core.instrument import Instrument
from gridbot.doctor.doctor_facts import AccountFacts, Local, SymbolFacts, Unread
from gridbot.doctor.findings import Finding, Verdict
from gridbot.doctor.stranger_findings import RECENT_MS
from gridbot.doors.plain_text import one_line
from gridbot.exchange.environment import Environment
from gridbot.exchange.examined import ClockReading
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.remedies import with_reading_remedy
from gridbot.exchange.requests import FeeRate
from supervisor.store.address_pace import Paces
from supervisor.store.exchange_ledger import connect

__all__ = ["Asked", "ask_exchanges", "hushed"]

T = TypeVar("T")
PAGES: Final = 5
"""Of the newest executions: five hundred."""
AT_A_TIME: Final = 64
LONGEST: Final = 300
NOT_RUNNING: Final = "not asked: no paper exchange runs before the bot does; what needs it is left out until then"


@dataclass(slots=True)
class Asked:
    """What came of it: facts of each account that was reached, `reach` of each, and the clock of each exchange."""

    facts: dict[str, AccountFacts] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    clocks: dict[str, ClockReading | Unread] = field(default_factory=dict)


@dataclass(slots=True)
class _Market:
    """What accounts of one exchange share: each is read once, by whoever comes first."""

    instruments: dict[str, asyncio.Task[Instrument | Unread]] = field(default_factory=dict)
    prices: dict[str, asyncio.Task[Decimal | Unread]] = field(default_factory=dict)
    clock: asyncio.Task[ClockReading | Unread] | None = None


def ask_exchanges(
    config: GridbotConfig,
    accounts: Sequence[AccountConfig],
    paper_url: str | None,
    paces: Paces,
    local: Callable[[AccountConfig], Local],
) -> Asked:
    """Read these accounts. `paper_url` None: no paper exchange runs. `local` is asked after the orders were read."""
    return asyncio.run(_ask(config, accounts, paper_url, paces, local))


async def _ask(
    config: GridbotConfig,
    accounts: Sequence[AccountConfig],
    paper_url: str | None,
    paces: Paces,
    local: Callable[[AccountConfig], Local],
) -> Asked:
    asked = Asked()
    markets: dict[Environment, _Market] = {}
    slots = asyncio.Semaphore(AT_A_TIME)

    async def one(account: AccountConfig) -> AccountFacts | Finding:
        on_paper = account.environment is Environment.PAPER
        if on_paper and paper_url is None:
            return Finding("reach", Verdict.OK, NOT_RUNNING, account.name)
        async with slots:
            rest = connect(account, paper_url if on_paper else None, paces)
            try:
                market = markets.setdefault(account.environment, _Market())
                return await _account(config, account, rest, market, local)
            except (ExchangeError, ValueError) as error:
                return Finding("reach", Verdict.REFUSED, f"not examined: {_words(error)}", account.name)
            finally:
                rest.close()

    async with paces.open():
        answers = await asyncio.gather(*(one(account) for account in accounts))
        for environment, market in markets.items():
            if market.clock is not None:
                asked.clocks[str(environment)] = await market.clock
    for account, answer in zip(accounts, answers, strict=True):
        if isinstance(answer, Finding):
            asked.findings.append(answer)
        else:
            asked.facts[account.name] = answer
            text = f"{account.environment} answers with this key"
            asked.findings.append(Finding("reach", Verdict.OK, text, account.name))
    return asked


async def _account(
    config: GridbotConfig,
    account: AccountConfig,
    rest: BybitRest,
    market: _Market,
    local: Callable[[AccountConfig], Local],
) -> AccountFacts:
    """Raises ExchangeError when the exchange does not answer, refuses the key, or bans us: nothing else comes then."""
    if market.clock is None:
        market.clock = background.awaited(_read(clock_of(rest)), name="the time of an exchange")
    clock = await market.clock
    if isinstance(clock, Unread):
        await rest.server_time_ms()  # says why, or works now
    key = await _read(rest.api_key_info(), fatal=account.environment is not Environment.DEMO)
    wallet = await _read(rest.wallet(), fatal=True)
    now_ms = await rest.server_time_ms()
    symbols = list(dict.fromkeys(strategy.symbol for strategy in config.strategies_of(account.name)))
    found = asyncio.gather(*(_symbol(rest, market, symbol) for symbol in symbols))
    info, fees, dead_man, orders, legs, executions = await asyncio.gather(
        _read(rest.account_info()),
        _read(fees_of(rest)),
        _read(dead_man_of(rest)),
        _read(rest.open_orders()),
        _read(held_legs(rest)),
        _read(newest_executions(rest, now_ms - RECENT_MS, PAGES)),
    )
    by_symbol = await found
    if (ban := rest.silence()) is not None:
        raise ban
    return AccountFacts(
        account.name,
        account.environment,
        key,
        info,
        wallet,
        dead_man,
        orders,
        legs,
        executions,
        {symbol: _with_fees(facts, symbol, fees) for symbol, facts in zip(symbols, by_symbol, strict=True)},
        await asyncio.to_thread(local, account),
        now_ms,
    )


async def _symbol(rest: BybitRest, market: _Market, symbol: str) -> SymbolFacts:
    async def price() -> Decimal:
        return (await rest.tickers(symbol)).last_price

    if symbol not in market.instruments:
        market.instruments[symbol] = background.awaited(_read(rest.instrument(symbol)), name=f"the rules of {symbol}")
    instrument = await market.instruments[symbol]
    if isinstance(instrument, Unread):
        return SymbolFacts(instrument)
    if symbol not in market.prices:
        market.prices[symbol] = background.awaited(_read(price()), name=f"the price of {symbol}")
    terms = await _read(terms_of(rest, symbol))
    return SymbolFacts(instrument, await market.prices[symbol], terms)


def _with_fees(facts: SymbolFacts, symbol: str, fees: Mapping[str, FeeRate] | Unread) -> SymbolFacts:
    if isinstance(fees, Unread):
        return replace(facts, fees=fees)
    return replace(facts, fees=fees.get(symbol, Unread(f"the exchange tells no fees of {symbol}")))


async def _read(question: Awaitable[T], *, fatal: bool = False) -> T | Unread:
    """The answer, or why there is none. `fatal` raises that."""
    try:
        return await question
    except ExchangeError as error:
        if fatal:
            raise
        return Unread(_words(error), is_absent=error.kind is ErrorKind.PARAM and error.http_status is None)


def _words(error: Exception) -> str:
    text = with_reading_remedy(error, once=True) if isinstance(error, ExchangeError) else str(error)
    return one_line(text, LONGEST)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """What connections say of themselves, such as the offset of a clock, is a finding here and no line of a log."""
    log = logging.getLogger("gridbot")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
