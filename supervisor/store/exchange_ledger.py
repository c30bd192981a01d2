"""Compares the records of each account with the exchange's transaction log, for `ledger check --exchange`.

Sends nothing but queries, as many as `address_pace` allows. The logs of many accounts are read at a time, and the
records of all accounts at once: a fleet takes little longer than its slowest account. The writer of a busy fleet has
the file of the records most of the time, so what is asked of it is asked together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.listing import Listing, Unreadable
from gridbot.exchange.requests import SETTLE_COIN, Transaction
from supervisor.store.address_pace import Paces
from supervisor.store.query import Limits, ask_all
from supervisor.store.transactions import Comparison, Recorded, compare

__all__ = ["PATIENT", "AccountCheck", "Corrected", "check_with_exchange", "connect"]

MARGIN_MS: Final = 60_000
LOOKS: Final = 3
FLUSH_S: Final = 1.0
NO_FEES: Final[Mapping[str, Decimal]] = MappingProxyType({})
PATIENT: Final = Limits(wait_s=30.0)
"""The writer of a busy fleet may hold the file for several seconds."""
AT_A_TIME: Final = 64
"""Accounts whose logs are read at the same time: each waits most of the time."""
PARTS: Final = 4
"""Parts of an account's log that are read at the same time: an exchange under load takes long for each page."""

# Both ends are wallet rows: between them the exchange's log and our executions must agree.
_BOUNDS: Final = """
    SELECT account, min(ts), max(ts) FROM (
        SELECT account, coalesce(exchange_ts, local_ts) AS ts FROM wallets WHERE wallet_balance IS NOT NULL)
    GROUP BY account"""

_EXECUTIONS: Final = """
    SELECT account, exec_id, symbol, exec_type, realised_pnl, fee, epoch_ms(exchange_ts), strategy, direction, is_maker,
        CAST(other_fees AS VARCHAR)
    FROM corrected_executions JOIN (VALUES {bounds}) AS bounds (account, start_ms, end_ms) USING (account)
    WHERE NOT shadow AND exchange_ts > make_timestamp(start_ms * 1000)
        AND exchange_ts <= make_timestamp(end_ms * 1000)"""


_CORRECTIONS: Final = """
    SELECT account, reason, count(DISTINCT exec_id), sum(realised_pnl - fee)
    FROM corrections WHERE NOT shadow GROUP BY account, reason ORDER BY account, reason"""

# One query of the exchange for each coin besides USDT that was ever charged.
_COINS: Final = """
    SELECT DISTINCT account, unnest(json_keys(other_fees))
    FROM executions WHERE other_fees IS NOT NULL AND NOT shadow"""

_OFFSETS: Final = "SELECT account, seq FROM ingest_offsets"


@dataclass(frozen=True, slots=True)
class Corrected:
    """Corrections of an account for one reason: of how many executions, and by how much in all (USDT)."""

    reason: str
    executions: int
    net: Decimal


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """One account: what was compared, or why it could not be. `as_of`: the newest record that was looked at.

    `unreadable` are rows of the exchange's log: what they moved was compared with nothing. `on_paper`: it is the paper
    exchange's.
    """

    account: str
    start: datetime
    end: datetime
    comparison: Comparison | None = None
    problem: str = ""
    as_of: int = 0
    corrected: tuple[Corrected, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    on_paper: bool = False

    @property
    def explained(self) -> bool:
        """Whether the whole log was read, and each movement is in both."""
        return self.comparison is not None and not (self.comparison.lines or self.unreadable)

    @property
    def figures(self) -> list[dict[str, object]]:
        """The arguments of `correct`: the exchange's figures and ours of each execution that differs."""
        found = self.comparison.differing if self.comparison is not None else []
        return [
            {
                "exec_id": ours.exec_id,
                "strategy": ours.strategy,
                "symbol": ours.symbol,
                "direction": ours.direction,
                "exec_type": ours.kind,
                "is_maker": ours.is_maker,
                "exchange_ts": ours.exchange_ts,
                "recorded_realised": str(ours.realised),
                "recorded_fee": str(ours.fee),
                "realised": str(row.realised),
                "fee": str(row.cost),
            }
            for ours, row in found
        ]


@dataclass(frozen=True, slots=True)
class _Period:
    """The time between an account's first and last wallet row."""

    start: datetime
    end: datetime
    coins: tuple[str, ...] = (SETTLE_COIN,)

    @property
    def start_ms(self) -> int:
        return _ms(self.start)

    @property
    def end_ms(self) -> int:
        return _ms(self.end)


def check_with_exchange(
    config: GridbotConfig, data_dir: Path, only: Sequence[str], paper_url: Callable[[], str | None], paces: Paces
) -> list[AccountCheck]:
    """Compare the configured accounts that have records (of those in `only`, if any). Raise SqlFailed.

    `paper_url` says where the paper exchange answers; it raises LookupError when none runs.
    """
    coins: dict[str, tuple[str, ...]] = {}
    charged, periods = ask_all(data_dir, [_COINS, _BOUNDS], PATIENT)
    for account, coin in charged.rows:
        coins[account] = (*coins.get(account, ()), coin)
    bounds = {
        account: _Period(start, end, (SETTLE_COIN, *sorted(coins.get(account, ()))))
        for account, start, end in periods.rows
    }
    chosen = [a for a in config.accounts if a.name in bounds and (not only or a.name in only)]
    on_paper = {account.name for account in chosen if account.environment is Environment.PAPER}
    listed = asyncio.run(_listings(chosen, bounds, paper_url, paces))
    found = {
        name: AccountCheck(name, bounds[name].start, bounds[name].end, problem=answer)
        for name, answer in listed.items()
        if isinstance(answer, str)
    }
    logs = {name: answer for name, answer in listed.items() if not isinstance(answer, str)}
    for left in range(LOOKS, 0, -1):
        if not logs:
            break
        as_of, recorded, corrected = _recorded(data_dir, {name: bounds[name] for name in logs})
        for name in list(logs):
            period = bounds[name]
            comparison = compare(recorded[name], logs[name], since_ms=period.start_ms, until_ms=period.end_ms)
            if not comparison.lines or left == 1:
                found[name] = AccountCheck(
                    name,
                    period.start,
                    period.end,
                    comparison,
                    as_of=as_of[name],
                    corrected=corrected.get(name, ()),
                    unreadable=logs[name].unreadable,
                    on_paper=name in on_paper,
                )
                del logs[name]
        if not logs:
            break
        time.sleep(FLUSH_S)  # a wallet row may be stored a flush before the execution it is of
    return [found[account.name] for account in chosen]


def _recorded(
    data_dir: Path, periods: Mapping[str, _Period]
) -> tuple[dict[str, int], dict[str, dict[str, Recorded]], dict[str, tuple[Corrected, ...]]]:
    """By account: its newest record, its executions in its period and a little beyond, its corrections."""
    bounds = ", ".join(
        f"('{name}', {period.start_ms - MARGIN_MS}, {period.end_ms + MARGIN_MS})" for name, period in periods.items()
    )
    statements = [_OFFSETS, _EXECUTIONS.format(bounds=bounds), _CORRECTIONS]
    offsets, executions, corrections = ask_all(data_dir, statements, PATIENT)
    found: dict[str, dict[str, Recorded]] = {name: {} for name in periods}
    for account, exec_id, *row, others in executions.rows:
        fees = {coin: Decimal(fee) for coin, fee in orjson.loads(others).items()} if others else NO_FEES
        found[account][exec_id] = Recorded._make((exec_id, *row, fees))
    corrected: dict[str, tuple[Corrected, ...]] = {}
    for account, reason, count, net in corrections.rows:
        corrected[account] = (*corrected.get(account, ()), Corrected(reason, count, net))
    return dict(offsets.rows), found, corrected


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


async def _listings(
    accounts: Sequence[AccountConfig],
    periods: Mapping[str, _Period],
    paper_url: Callable[[], str | None],
    paces: Paces,
) -> dict[str, Listing[Transaction] | str]:
    """The transaction log of each account by name, or why it could not be read."""
    url: str | LookupError | None = None
    if any(account.environment is Environment.PAPER for account in accounts):
        try:
            url = paper_url()
        except LookupError as error:
            url = error
    slots = asyncio.Semaphore(AT_A_TIME)

    async def one(account: AccountConfig) -> Listing[Transaction] | str:
        on_paper = account.environment is Environment.PAPER
        if on_paper and isinstance(url, LookupError):
            return str(url)
        async with slots:
            try:
                address = str(url) if on_paper and url else None
                return await _listed(account, address, periods[account.name], paces)
            except (ExchangeError, ValueError) as error:
                return str(error)

    async with paces.open():
        answers = await asyncio.gather(*(one(account) for account in accounts))
    return {account.name: answer for account, answer in zip(accounts, answers, strict=True)}


def connect(account: AccountConfig, paper_url: str | None, paces: Paces) -> BybitRest:
    """A client for queries of an account, silent during a ban. Raises ValueError when a paper account has no url."""
    rest = BybitRest(
        endpoints_for(account.environment, paper_url),
        Credentials(account.api_key.get_secret_value(), account.api_secret.get_secret_value()),
        pool_size=PARTS,
        banned_for_s=paces.banned_for_s(account),
        budget=paces.budget_of(account),
        on_ban=partial(paces.banned, account),
    )
    paces.hear_bans(account, rest.banned)
    return rest


async def _listed(account: AccountConfig, paper_url: str | None, period: _Period, paces: Paces) -> Listing[Transaction]:
    """The account's transaction log after the start of its period up to now."""
    rest = connect(account, paper_url, paces)
    try:
        now_ms = await rest.server_time_ms()
        start_ms, end_ms = period.start_ms + 1, max(now_ms, period.end_ms)
        found: list[Transaction] = []
        unreadable: list[Unreadable] = []
        for coin in period.coins:
            rows = await rest.transactions(start_ms, end_ms, coin=coin, at_a_time=PARTS)
            found += rows
            unreadable += rows.unreadable
        return Listing(found, unreadable)
    finally:
        rest.close()
