"""Compares the records of each account with the exchange's transaction log, for `ledger check --exchange`.

Sends nothing but queries. The logs of many accounts are read at a time, within half of the requests that the exchange
allows their address, and the records of all accounts at once: a fleet takes little longer than its slowest account.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import orjson

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.requests import SETTLE_COIN, Transaction
from gridbot.rolling_limit import RollingLimit
from supervisor.store.query import Limits, ask
from supervisor.store.transactions import Comparison, Recorded, compare

__all__ = ["PATIENT", "AccountCheck", "Corrected", "check_with_exchange", "connect"]

MARGIN_MS: Final = 60_000
LOOKS: Final = 3
FLUSH_S: Final = 1.0
PATIENT: Final = Limits(wait_s=30.0)
"""The writer of a busy fleet may hold the file for several seconds."""
AT_A_TIME: Final = 24
"""Accounts whose logs are read at the same time: each waits most of the time, and each holds its log in memory."""
ADDRESS_REQUESTS: Final = 600
ADDRESS_WINDOW_S: Final = 5.0
"""What Bybit allows an address, all accounts together."""

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
    """One account: what was compared, or why it could not be. `as_of`: the newest record that was looked at."""

    account: str
    start: datetime
    end: datetime
    comparison: Comparison | None = None
    problem: str = ""
    as_of: int = 0
    corrected: tuple[Corrected, ...] = ()

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
    config: GridbotConfig, data_dir: Path, only: Sequence[str], paper_url: Callable[[], str | None]
) -> list[AccountCheck]:
    """Compare the configured accounts that have records (of those in `only`, if any). Raise SqlFailed.

    `paper_url` says where the paper exchange answers; it raises LookupError when none runs.
    """
    coins: dict[str, tuple[str, ...]] = {}
    for account, coin in ask(data_dir, _COINS, PATIENT).rows:
        coins[account] = (*coins.get(account, ()), coin)
    bounds = {
        account: _Period(start, end, (SETTLE_COIN, *sorted(coins.get(account, ()))))
        for account, start, end in ask(data_dir, _BOUNDS, PATIENT).rows
    }
    chosen = [a for a in config.accounts if a.name in bounds and (not only or a.name in only)]
    listed = asyncio.run(_listings(config, chosen, bounds, paper_url))
    found = {
        name: AccountCheck(name, bounds[name].start, bounds[name].end, problem=answer)
        for name, answer in listed.items()
        if isinstance(answer, str)
    }
    corrected = _corrected(data_dir)
    logs = {name: answer for name, answer in listed.items() if not isinstance(answer, str)}
    for left in range(LOOKS, 0, -1):
        as_of = dict(ask(data_dir, _OFFSETS, PATIENT).rows)  # before the rows: they may be newer, never older
        recorded = _recorded(data_dir, {name: bounds[name] for name in logs})
        for name in list(logs):
            period = bounds[name]
            comparison = compare(recorded[name], logs[name], since_ms=period.start_ms, until_ms=period.end_ms)
            if not comparison.lines or left == 1:
                found[name] = AccountCheck(
                    name, period.start, period.end, comparison, as_of=as_of[name], corrected=corrected.get(name, ())
                )
                del logs[name]
        if not logs:
            break
        time.sleep(FLUSH_S)  # a wallet row may be stored a flush before the execution it is of
    return [found[account.name] for account in chosen]


def _recorded(data_dir: Path, periods: Mapping[str, _Period]) -> dict[str, dict[str, Recorded]]:
    """The executions of each account in its period and a little beyond."""
    found: dict[str, dict[str, Recorded]] = {name: {} for name in periods}
    if periods:
        bounds = ", ".join(
            f"('{name}', {period.start_ms - MARGIN_MS}, {period.end_ms + MARGIN_MS})"
            for name, period in periods.items()
        )
        for account, *row, others in ask(data_dir, _EXECUTIONS.format(bounds=bounds), PATIENT).rows:
            row.append({coin: Decimal(fee) for coin, fee in orjson.loads(others or "{}").items()})
            found[account][row[0]] = Recorded(*row)
    return found


def _corrected(data_dir: Path) -> dict[str, tuple[Corrected, ...]]:
    """The corrections of each account so far, by their reason."""
    found: dict[str, tuple[Corrected, ...]] = {}
    for account, reason, executions, net in ask(data_dir, _CORRECTIONS, PATIENT).rows:
        found[account] = (*found.get(account, ()), Corrected(reason, executions, net))
    return found


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


async def _listings(
    config: GridbotConfig,
    accounts: Sequence[AccountConfig],
    periods: Mapping[str, _Period],
    paper_url: Callable[[], str | None],
) -> dict[str, list[Transaction] | str]:
    """The transaction log of each account by name, or why it could not be read."""
    url: str | LookupError | None = None
    if any(account.environment is Environment.PAPER for account in accounts):
        try:
            url = paper_url()
        except LookupError as error:
            url = error
    of_paper, of_bybit = _half(config.paper.limits.ip_requests), _half(ADDRESS_REQUESTS)
    slots = asyncio.Semaphore(AT_A_TIME)

    async def one(account: AccountConfig) -> list[Transaction] | str:
        on_paper = account.environment is Environment.PAPER
        if on_paper and isinstance(url, LookupError):
            return str(url)
        async with slots:
            try:
                address = str(url) if on_paper and url else None
                return await _listed(account, address, periods[account.name], of_paper if on_paper else of_bybit)
            except (ExchangeError, ValueError) as error:
                return str(error)

    answers = await asyncio.gather(*(one(account) for account in accounts))
    return {account.name: answer for account, answer in zip(accounts, answers, strict=True)}


def _half(of_address: int) -> RollingLimit | None:
    """Half of what an address may send; the workers need the rest. None without a limit."""
    return RollingLimit(max(1, of_address // 2), ADDRESS_WINDOW_S) if of_address else None


def connect(account: AccountConfig, paper_url: str | None) -> BybitRest:
    """A client for queries of an account. Raises ValueError when a paper account has no url."""
    return BybitRest(
        endpoints_for(account.environment, paper_url),
        Credentials(account.api_key.get_secret_value(), account.api_secret.get_secret_value()),
        pool_size=1,
    )


async def _listed(
    account: AccountConfig, paper_url: str | None, period: _Period, of_address: RollingLimit | None
) -> list[Transaction]:
    """The account's transaction log after the start of its period up to now."""
    rest = connect(account, paper_url)
    try:
        now_ms = await rest.server_time_ms()
        start_ms, end_ms, found = period.start_ms + 1, max(now_ms, period.end_ms), []
        for coin in period.coins:
            found += await rest.transactions(start_ms, end_ms, coin=coin, of_address=of_address)
        return found
    finally:
        rest.close()
