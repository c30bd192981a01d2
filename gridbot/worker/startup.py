"""Checks before the first order, and the settings of each symbol. Fails closed.

What is wrong with the account raises: an `ExchangeError` when the exchange did not answer (tried again), a
`StartRefused` when its answer makes trading unsafe. What is wrong with one symbol refuses its strategy alone, also when
it is the only one: the account is followed all the same, and the symbol is looked at again each minute (`terms`).
Nothing here sends an order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from gridbot.background import awaited
from gridbot.config.account_models import AccountConfig, StrategyConfig
from gridbot.core import Instrument
from gridbot.exchange.environment import Environment
from gridbot.exchange.examined import MAX_CLOCK_AHEAD_MS, MAX_CLOCK_BEHIND_MS
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.listing import UnreadableRows
from gridbot.orders.shadow_account import ShadowTerms
from gridbot.ports import ExchangeQueries
from gridbot.risk.symbol_state import ISOLATED_MARGIN, SHARED_MARGIN, Allows, SymbolWord, symbol_state
from gridbot.worker.known_account import KnownAccount

__all__ = [
    "CLOCK_AGE_S",
    "RETRY_WAITS_S",
    "Prepared",
    "PreparedSymbol",
    "RefusedStrategy",
    "StartRefused",
    "is_hopeless",
    "is_of_symbol",
    "prepare_account",
    "prepare_symbol",
    "refused_by_disk",
]

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_WAITS_S = (2.0, 5.0, 10.0)
KEY_EXPIRES_SOON_DAYS = 7
CLOCK_AGE_S = 60.0
"""How old the exchange's time may be that another account has measured."""
ONE = Decimal(1)
OF_SYMBOL = frozenset({ErrorKind.HALT, ErrorKind.PARAM, ErrorKind.RESYNC})
HOPELESS = frozenset({ErrorKind.AUTH, ErrorKind.HALT, ErrorKind.PARAM})


@dataclass(frozen=True, slots=True)
class PreparedSymbol:
    """A symbol that may be traded; `shadow` is what a shadow strategy reckons with, None for a live one."""

    instrument: Instrument
    shadow: ShadowTerms | None = None


@dataclass(frozen=True, slots=True)
class RefusedStrategy:
    """A strategy whose symbol may not be traded, and why. The others of its account trade.

    The account starts anew when the symbol may be traded. `waits`: nothing is wrong, it does not trade yet.
    """

    strat_id: str
    symbol: str
    reason: str
    shadow: bool = False
    waits: bool = False

    @property
    def key(self) -> str:
        """The key of its incident."""
        return f"{'listing' if self.waits else 'halt'}.{self.symbol}"

    def __str__(self) -> str:
        return f"{self.strat_id} {'waits' if self.waits else 'is halted'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The symbols that may be traded, by name, and the strategies that may not start."""

    symbols: Mapping[str, PreparedSymbol]
    refused: tuple[RefusedStrategy, ...] = ()
    user_id: str = ""
    """The exchange's number of the account; "" where it does not tell."""


@dataclass(frozen=True, slots=True)
class _Read:
    """An instrument, or why it could not be read, which concerns its symbol alone and is told after key and account."""

    instrument: Instrument | None = None
    error: ExchangeError | None = None

    def found(self) -> Instrument:
        """Raises the error."""
        if self.instrument is None:
            raise self.error or AssertionError("neither an instrument nor an error")
        return self.instrument


class StartRefused(Exception):
    """Trading would be unsafe; the text says what was expected, what was found and what to do."""


class _DoesNotTradeYet(Exception):
    """The symbol will trade later; the text says so."""


def refused_by_disk(data_dir: Path, error: OSError) -> StartRefused:
    """The disk takes nothing before the first order: nothing was sent, and it may pass."""
    return StartRefused(
        f"expected to write state and journal in {data_dir}, got: {error}; "
        "make room there, or let this user write there"
    )


def is_hopeless(error: ExchangeError) -> bool:
    """Whether trying again in a few seconds cannot help."""
    return error.kind in HOPELESS


async def prepare_account(
    queries: ExchangeQueries,
    account: AccountConfig,
    strategies: Sequence[StrategyConfig],
    now_ms: int,
    *,
    facts_age_s: float = 0.0,
    known: KnownAccount | None = None,
) -> Prepared:
    """Check clock, key, account and each symbol, set hedge mode and the configured leverage.

    An instrument may be one that another account has read `facts_age_s` ago. What an earlier life has left (`known`)
    is not asked again: whoever believes it proves it before anything trades.
    What is wrong with one symbol refuses its strategy alone.
    Key, account and instruments are read side by side, then the symbols are set up: on a full machine the way to each
    answer is long. Nothing is set before key and account are in order.
    """
    ahead = now_ms - await queries.server_time_ms(max_age_s=max(CLOCK_AGE_S, facts_age_s))
    if not -MAX_CLOCK_BEHIND_MS <= ahead <= MAX_CLOCK_AHEAD_MS:
        log.warning("the clock is %d ms off the exchange's; requests may be refused (10002): check NTP", ahead)
    reading = [_read_instrument(queries, each.symbol, facts_age_s) for each in strategies]
    checks = [_check_key(queries, account), _check_account(queries)] if known is None else []
    told: list[Any] = await _side_by_side(*checks, *reading)
    user_id, read = (told[0], told[2:]) if known is None else (known.user_id, told)
    are_set = frozenset[str]() if known is None else known.symbols
    preparing = [
        _prepared_or_not(queries, each, now_ms, found, is_set=each.symbol in are_set)
        for each, found in zip(strategies, read, strict=True)
    ]
    symbols, refused = {}, []
    for strategy, found in zip(strategies, await _side_by_side(*preparing), strict=True):
        if isinstance(found, RefusedStrategy):
            refused.append(found)
        else:
            symbols[strategy.symbol] = found
    return Prepared(symbols, tuple(refused), user_id)


async def _side_by_side(*questions: Coroutine[Any, Any, T]) -> list[T]:
    """What all of them return, once all have ended. Raises what the first of them that failed has raised."""
    asking = [awaited(question, name="a question of the start") for question in questions]
    try:
        answers = await asyncio.gather(*asking, return_exceptions=True)
    finally:
        for each in asking:  # the start itself was cancelled: nobody hears their answers
            each.cancel()
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


async def prepare_symbol(
    queries: ExchangeQueries, strategy: StrategyConfig, now_ms: int, *, facts_age_s: float = 0.0
) -> PreparedSymbol | RefusedStrategy:
    """Check a symbol, and set it up; or why its strategy may not trade. ExchangeError when nobody can say.

    Its instrument may be one that another account has read `facts_age_s` ago.
    """
    read = await _read_instrument(queries, strategy.symbol, facts_age_s)
    return await _prepared_or_not(queries, strategy, now_ms, read)


async def _read_instrument(queries: ExchangeQueries, symbol: str, facts_age_s: float) -> _Read:
    try:
        return _Read(await queries.instrument(symbol, max_age_s=facts_age_s))
    except ExchangeError as error:
        return _Read(error=error)


async def _prepared_or_not(
    queries: ExchangeQueries, strategy: StrategyConfig, now_ms: int, read: _Read, *, is_set: bool = False
) -> PreparedSymbol | RefusedStrategy:
    try:
        return await _prepared(queries, strategy, now_ms, read.found(), is_set=is_set)
    except _DoesNotTradeYet as yet:
        return RefusedStrategy(strategy.strat_id, strategy.symbol, str(yet), strategy.shadow_mode, True)
    except (StartRefused, ExchangeError) as error:
        if isinstance(error, ExchangeError) and not is_of_symbol(error):
            raise
        reason = str(error)
        if strategy.symbol not in reason:
            reason = f"expected to trade {strategy.symbol}, the exchange says: {reason}; correct the symbol"
        return RefusedStrategy(strategy.strat_id, strategy.symbol, reason, strategy.shadow_mode)


def is_of_symbol(error: ExchangeError) -> bool:
    """Whether an error is about the symbol that was asked for, and not about key, account, line or exchange."""
    return isinstance(error, UnreadableRows) or error.kind in OF_SYMBOL


async def _check_key(queries: ExchangeQueries, account: AccountConfig) -> str:
    """Returns the exchange's number of the account; "" where it does not tell."""
    try:
        key = await queries.api_key_info()
    except ExchangeError as error:
        if account.environment is Environment.DEMO and error.kind is not ErrorKind.AUTH:
            log.info("the demo environment has no information about keys (%s); continuing", error)
            return ""
        raise
    if key.read_only:
        raise StartRefused(
            "expected a key that may trade, got a read-only one; create a key with Contract: Orders, Positions"
        )
    missing = {"Order", "Position"} - set(key.contract_trade)
    if missing:
        raise StartRefused(
            f"expected the key permissions Contract: Order and Position, {' and '.join(sorted(missing))} missing; "
            "change the key on Bybit"
        )
    if not key.is_unified:
        raise StartRefused("expected a unified trading account, got an older kind; upgrade the account on Bybit")
    if key.deadline_days is not None and 0 <= key.deadline_days <= KEY_EXPIRES_SOON_DAYS:
        log.warning("the key expires in %d days; bind it to this machine's address or renew it", key.deadline_days)
    if key.can_withdraw and not account.allow_withdraw_permission:
        raise StartRefused(
            "expected a key that cannot withdraw money, this one can; take that permission away on Bybit (trading does "
            "not need it), or set `allow_withdraw_permission: true` in the account"
        )
    return key.user_id


async def _check_account(queries: ExchangeQueries) -> str:
    """Only in cross margin are balances, and so all checks of funds, those of the whole account (docs/bybit.md 2.5).

    Returns the margin mode.
    """
    info = await queries.account_info()
    if info.margin_mode not in SHARED_MARGIN:
        known = info.margin_mode == ISOLATED_MARGIN
        mode = "isolated margin" if known else f"{info.margin_mode}, a margin mode nobody knows"
        raise StartRefused(f"expected cross margin, the account is in {mode}; switch it to cross on Bybit")
    return info.margin_mode


async def _prepared(
    queries: ExchangeQueries, strategy: StrategyConfig, now_ms: int, instrument: Instrument, *, is_set: bool
) -> PreparedSymbol:
    symbol = strategy.symbol
    state = symbol_state(instrument, now_ms)
    if state.word is SymbolWord.WAITING:
        raise _DoesNotTradeYet(state.text)
    if state.word is SymbolWord.DELISTED:
        raise StartRefused(state.text)
    if strategy.tick_size is not None and strategy.tick_size != instrument.tick_size:
        raise StartRefused(
            f"expected tick_size {strategy.tick_size} for {symbol} as configured, the exchange has "
            f"{instrument.tick_size}; correct it or leave the key out"
        )
    if strategy.shadow_mode:
        return PreparedSymbol(instrument, await _shadow_terms(queries, strategy))
    if state.allows is Allows.NOTHING or is_set:
        return PreparedSymbol(instrument)  # of one that is settled nothing can be set any more, and nothing is placed
    try:
        await queries.ensure_hedge_mode(symbol)
    except ExchangeError as error:
        if error.kind is ErrorKind.RESYNC:
            raise StartRefused(
                f"expected {symbol} in hedge mode, and it cannot be switched: {error}; "
                "close its position and orders, or switch it by hand"
            ) from error
        raise
    if strategy.leverage is not None:
        await queries.set_leverage(symbol, strategy.leverage)
    return PreparedSymbol(instrument)


async def _shadow_terms(queries: ExchangeQueries, strategy: StrategyConfig) -> ShadowTerms:
    """Leverage and fees that a live strategy would have; Bybit's usual fees where the exchange does not tell."""
    leverage = strategy.leverage
    if leverage is None:
        leverage = await queries.leverage(strategy.symbol)
    try:
        fees = await queries.fee_rate(strategy.symbol)
    except ExchangeError as error:
        if error.kind in HOPELESS:
            raise
        log.info("%s: no fees of the account (%s); Bybit's usual ones count", strategy.symbol, error)
        return ShadowTerms(leverage or ONE)
    return ShadowTerms(leverage or ONE, fees.maker, fees.taker)
