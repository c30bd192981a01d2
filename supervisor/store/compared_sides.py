"""Reads a strategy of the records as a side of a comparison: what is known of it, and its rows into a file.

As `sql` does, also while the bot runs: the database is held while a statement runs, and never while rows are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from gridbot.commands.wording import did_you_mean, one_of
from gridbot.compare.comparison import Money, Source
from gridbot.compare.store_side import KNOWN, StoreSide
from gridbot.orders.ids import parse
from gridbot.store.schema import quote
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.query import Query

__all__ = ["Facts", "facts_of", "money_of", "side_of", "source_of"]


@dataclass(frozen=True, slots=True)
class Facts:
    """When it did something first and last, the last sign of life of its account, its symbols (with the tick size where
    it is known), and how many records of the account are lost. Times are UTC; None: it never did anything."""

    first: datetime | None
    last: datetime | None
    alive: datetime | None
    ticks: Mapping[str, Decimal | None]
    lost: int


def side_of(name: str, query: Query, option: str) -> StoreSide:
    """The strategy that is meant by ACCOUNT/STRATEGY. Raise CommandError (usage) for one that the records do not know,
    SqlFailed when they cannot be read."""
    known = [f"{account}/{strategy}" for account, strategy in query.ask(KNOWN).rows]
    account, _, strategy = name.partition("/")
    if not known:
        raise CommandError(f"nothing is recorded in {query.data_dir} yet: nothing to compare", ExitCode.NOTHING)
    if name not in known:
        listed = one_of(known[:12]) if len(known) <= 12 else f"one of {len(known)} as ACCOUNT/STRATEGY"
        raise CommandError(f"{option}: expected {listed}, got {name!r:.80}{did_you_mean(name, known)}", ExitCode.USAGE)
    return StoreSide(account, strategy)


def facts_of(query: Query, side: StoreSide) -> Facts:
    """Raise SqlFailed."""
    [(first, last, alive)] = query.ask(side.span()).rows
    ticks = {symbol: _tick(price, link_id) for symbol, price, link_id in query.ask(side.named_levels()).rows}
    lost = f"SELECT coalesce(sum(to_seq - from_seq + 1), 0) FROM ingest_gaps WHERE account = {quote(side.account)}"
    [(missing,)] = query.ask(lost).rows
    return Facts(first, last, alive, ticks, int(missing))


def source_of(
    query: Query, side: StoreSide, since: datetime, until: datetime, kinds: Sequence[str], directory: Path
) -> Source:
    """Copy its rows into files in `directory`, and say how they are read from there. Raise SqlFailed."""
    rows, refusals = (directory / f"{name}.parquet" for name in ("rows", "refusals"))
    query.write_parquet(side.rows(since, until, tuple(kinds)), rows)
    query.write_parquet(side.refusals(since, until), refusals)
    read = "SELECT * EXCLUDE (moment), epoch_ms(moment) AS at_ms FROM read_parquet({})"
    return Source(read.format(quote(str(rows))), read.format(quote(str(refusals))))


def money_of(query: Query, side: StoreSide, since: datetime, until: datetime) -> Money:
    """Raise SqlFailed."""
    [row] = query.ask(side.money(since, until)).rows
    return Money(*row)


def _tick(price: Decimal | None, link_id: str | None) -> Decimal | None:
    """Tick size by an order of ours: its id has the price in ticks."""
    found = parse(link_id or "")
    if found is None or not price or not found.ticks:
        return None
    tick = price / found.ticks
    return tick if tick * found.ticks == price else None
