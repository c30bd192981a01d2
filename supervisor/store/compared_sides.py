"""Reads strategies of the records as sides of a comparison: what is known of them, their rows into a file, their money.

As `sql` does, also while the bot runs: the database is opened three times, held while a statement runs, and never while
rows are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from gridbot.commands.wording import did_you_mean, one_of
from gridbot.compare.comparison import Money, Source
from gridbot.compare.pair_tables import edged
from gridbot.compare.store_side import KNOWN, StoreSide
from gridbot.orders.ids import parse
from gridbot.store.schema import quote
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.query import Query, ask_all

__all__ = ["Facts", "facts_of", "take"]


@dataclass(frozen=True, slots=True)
class Facts:
    """When it did something first and last, the last sign of life of its account, its symbols (with the tick size where
    it is known), and how many records of the account are lost. Times are UTC; None: it never did anything."""

    side: StoreSide
    first: datetime | None
    last: datetime | None
    alive: datetime | None
    ticks: Mapping[str, Decimal | None]
    lost: int


def facts_of(query: Query, names: Sequence[str]) -> list[Facts]:
    """Of strategies that are named ACCOUNT/STRATEGY. Raise CommandError for one that the records do not know, SqlFailed
    when they cannot be read."""
    sides = [StoreSide(account, strategy) for account, _, strategy in (name.partition("/") for name in names)]
    asked = [each for side in sides for each in (side.span(), side.named_levels(), side.lost())]
    known, *answers = (answer.rows for answer in ask_all(query.data_dir, [KNOWN, *asked], query.limits))
    _require([f"{account}/{strategy}" for account, strategy in known], names, query.data_dir)
    found = []
    for number, side in enumerate(sides):
        [(first, last, alive)], levels, [(lost,)] = answers[3 * number : 3 * number + 3]
        ticks = {symbol: _tick(price, link_id) for symbol, price, link_id in levels}
        found.append(Facts(side, first, last, alive, ticks, int(lost)))
    return found


def take(
    query: Query,
    sides: Sequence[StoreSide],
    since: datetime,
    until: datetime,
    kinds: Sequence[str],
    file: Path,
    edge: timedelta = timedelta(0),
) -> list[tuple[Source, Money]]:
    """Copy their rows, and those up to `edge` around the span, into the Parquet file `file`: how they are read from
    there, and the sums of each in the span.

    Raise SqlFailed.
    """
    span = (since, until)
    parts = []
    for number, side in enumerate(sides):
        rows = edged(lambda begin, end, side=side: side.rows(begin, end, tuple(kinds)), since, until, edge)  # type: ignore[misc]
        parts.append(f"SELECT {number} AS of, * FROM ({rows} UNION ALL {side.refusals(*span)})")
    query.write_parquet(" UNION ALL ".join(parts), file)
    answers = ask_all(query.data_dir, [side.money(*span) for side in sides], query.limits)
    found = []
    for number, answer in enumerate(answers):
        read = f"SELECT * EXCLUDE (of, moment), epoch_ms(moment) AS at_ms FROM read_parquet({quote(str(file))})"
        rows, refusals = (f"{read} WHERE of = {number} AND what {sign} 'refused'" for sign in ("<>", "="))
        [sums] = answer.rows
        found.append((Source(rows, refusals), Money(*sums)))
    return found


def _require(known: Sequence[str], names: Sequence[str], data_dir: Path) -> None:
    if not known:
        raise CommandError(f"nothing is recorded in {data_dir} yet: nothing to compare", ExitCode.NOTHING)
    for name in names:
        if name not in known:
            listed = one_of(known) if len(known) <= 12 else f"one of {len(known)} as ACCOUNT/STRATEGY"
            raise CommandError(f"expected {listed}, got {name!r:.80}{did_you_mean(name, known)}", ExitCode.USAGE)


def _tick(price: Decimal | None, link_id: str | None) -> Decimal | None:
    """Tick size by an order of ours: its id has the price in ticks."""
    found = parse(link_id or "")
    if found is None or not price or not found.ticks:
        return None
    tick = price / found.ticks
    return tick if tick * found.ticks == price else None
