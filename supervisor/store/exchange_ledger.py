"""Compares the records of each account with the exchange's transaction log, for `ledger check --exchange`.

Sends nothing but queries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.config.loading import AccountConfig, GridbotConfig
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.requests import Transaction
from supervisor.store.query import ask
from supervisor.store.transactions import Comparison, Recorded, compare

__all__ = ["AccountCheck", "check_with_exchange"]

MARGIN_MS: Final = 60_000
LOOKS: Final = 3
FLUSH_S: Final = 1.0

# Both ends are wallet rows: between them the exchange's log and our executions must tell the same.
_BOUNDS: Final = """
    SELECT account, min(ts), max(ts) FROM (
        SELECT account, coalesce(exchange_ts, local_ts) AS ts FROM wallets WHERE wallet_balance IS NOT NULL)
    GROUP BY account ORDER BY account"""

_EXECUTIONS: Final = """
    SELECT exec_id, symbol, exec_type, realised_pnl - fee, epoch_ms(exchange_ts) FROM executions
    WHERE NOT shadow AND account = '{account}' AND exchange_ts > make_timestamp({start_ms} * 1000)
        AND exchange_ts <= make_timestamp({end_ms} * 1000)"""


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """One account: what was compared, or why it could not be."""

    account: str
    start: datetime
    end: datetime
    comparison: Comparison | None = None
    problem: str = ""


def check_with_exchange(
    config: GridbotConfig, data_dir: Path, only: Sequence[str], paper_url: Callable[[], str | None]
) -> Iterator[AccountCheck]:
    """Compare the configured accounts that have records (of those in `only`, if any). Raise SqlFailed.

    `paper_url` says where the paper exchange answers; it raises LookupError when none runs.
    """
    bounds = {account: (start, end) for account, start, end in ask(data_dir, _BOUNDS).rows}
    for account in config.accounts:
        if account.name not in bounds or (only and account.name not in only):
            continue
        start, end = bounds[account.name]
        start_ms, end_ms = _ms(start), _ms(end)
        try:
            listed = asyncio.run(_listed(account, paper_url, start_ms, end_ms))
        except (ExchangeError, LookupError, ValueError) as error:
            yield AccountCheck(account.name, start, end, problem=str(error))
            continue
        for left in range(LOOKS, 0, -1):
            recorded = _recorded(data_dir, account.name, start_ms, end_ms)
            comparison = compare(recorded, listed, since_ms=start_ms, until_ms=end_ms)
            if not comparison.lines or left == 1:
                break
            time.sleep(FLUSH_S)  # a wallet row may be stored a flush before the execution it is of
        yield AccountCheck(account.name, start, end, comparison)


def _recorded(data_dir: Path, account: str, start_ms: int, end_ms: int) -> dict[str, Recorded]:
    statement = _EXECUTIONS.format(account=account, start_ms=start_ms - MARGIN_MS, end_ms=end_ms + MARGIN_MS)
    return {row[0]: Recorded(*row) for row in ask(data_dir, statement).rows}


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


async def _listed(
    account: AccountConfig, paper_url: Callable[[], str | None], start_ms: int, end_ms: int
) -> list[Transaction]:
    """The account's transaction log after `start_ms` (UTC, ms) up to now."""
    rest = BybitRest(
        endpoints_for(account.environment, paper_url() if account.environment is Environment.PAPER else None),
        Credentials(account.api_key.get_secret_value(), account.api_secret.get_secret_value()),
        pool_size=1,
    )
    try:
        now_ms = await rest.server_time_ms()
        return await rest.transactions(start_ms + 1, max(now_ms, end_ms))
    finally:
        rest.close()
