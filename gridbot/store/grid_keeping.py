"""Matches what is not matched yet (`gridbot.store.grid_tables`), behind the commits and in steps.

A step is a transaction of its own of some tens of milliseconds: it takes some executions behind the newest checkpoints
of some legs, matches them with the openings that are left there, and puts newer checkpoints behind them. Whenever a
process dies, what stands is right: pairs up to the checkpoints, the rest by the views.

    legs with few executions  all of them, many legs at once
    a leg with many           its first ones by time; the checkpoint goes where no later one belongs before it

Where numbers and times contradict each other within half a minute over more executions than a step takes, it takes four
times as many, and so on. A leg that cannot be matched is noted with its error, and left.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Final

import duckdb

from gridbot.store.file_errors import first_line
from gridbot.store.grid_chunks import Tail, make, one, take_all, take_some, time_sql
from gridbot.store.grid_patience import Patience
from gridbot.store.grid_sql import ADDED_FEE, FEES, KEYS, MATCHING, PLACING, PROFIT, listed, same
from gridbot.store.grid_tables import CHECKPOINTS, CLOCK_STEP, IDS_OF_PAIR, LOT, PAIRS, TAILS, merge_levels
from gridbot.store.kept_ids import ODD
from gridbot.store.newest_moves import move_newest
from gridbot.store.sql_columns import as_stored

__all__ = ["AT_ONCE", "MISFIT", "keep_all", "keep_some", "waiting_executions"]

log = logging.getLogger("gridbot.store")

CORRECTIONS: Final = as_stored("corrections")
AT_ONCE: Final = 16_384
"""Executions of a step: some 40 ms of a core."""
PART: Final = 65_536
"""Executions between two checkpoints that stay: as many may be matched again when one comes late."""
MISFIT: Final = (duckdb.DataError, duckdb.IntegrityError, duckdb.ProgrammingError)
"""What says that a leg cannot be matched."""


def waiting_executions(con: duckdb.DuckDBPyConnection) -> int:
    """Roughly how many stored executions are not matched yet, without those that cannot be; 0 means none."""
    row = con.execute(f"SELECT count(*), sum(greatest(executions, 1)) FROM {TAILS} WHERE error IS NULL").fetchone()
    return int(row[1]) if row and row[0] else 0


def keep_all(con: duckdb.DuckDBPyConnection, at_once: int = AT_ONCE) -> None:
    """Match all that waits, of files that nobody waits for. Outside of a transaction. Raise as `keep_some`."""
    patience = Patience()
    while keep_some(con, at_once, patience=patience):
        pass
    move_newest(con)


def keep_some(
    con: duckdb.DuckDBPyConnection, at_once: int = AT_ONCE, part: int = PART, patience: Patience | None = None
) -> bool:
    """One step, in a transaction of its own. True when it did something, and there may be more.

    Where memory is short the step is a smaller one; legs for which that is not enough either wait, as `patience` says,
    which the calls share, and others are matched. Raise duckdb.Error for what says nothing about executions, such as a
    full disk.
    """
    patience = patience or Patience()
    while picked := _pick(con, at_once, patience):
        tails, size = picked
        try:
            _keep(con, tails, size, part)
        except duckdb.OutOfMemoryException as exc:
            with contextlib.suppress(duckdb.Error):
                con.rollback()
            first = patience.failed([tail.keys for tail in tails], size, time.monotonic())
            if told := ", ".join(tail.name for tail in tails if tail.keys in first):
                log.warning(
                    "no memory to match the executions of %s to pairs: %s; tried again, at least every ten minutes, "
                    "until there is; questions match them meanwhile, and other legs do not wait for it",
                    told,
                    first_line(exc),
                )
        else:
            return True
    return False


def _keep(con: duckdb.DuckDBPyConnection, tails: list[Tail], at_once: int, part: int) -> None:
    """The step of these legs. Raise duckdb.Error as `keep_some`, and duckdb.OutOfMemoryException."""
    failed = _tried(con, tails, at_once, part)
    if failed is not None and len(tails) > 1:
        for tail in tails:  # which one it is shows by itself
            _note_error(con, tail, _tried(con, [tail], at_once, part))
    elif failed is not None:
        _note_error(con, tails[0], failed)


def _pick(con: duckdb.DuckDBPyConnection, at_once: int, patience: Patience) -> tuple[list[Tail], int] | None:
    """Legs whose executions are no more than a step takes, or one with more, and how many it takes. Of those for which
    memory was short one alone, when no other leg is left, and none that waits."""
    names = f"rowid, {listed()}, epoch_us(since_at), since_seq, epoch_us(last_at), is_cut, executions"
    found = con.execute(f"SELECT {names} FROM {TAILS} WHERE error IS NULL ORDER BY executions").fetchall()
    ends = 1 + len(KEYS)
    tails = [Tail(row[0], row[1:ends], *row[ends:]) for row in found]
    patience.keep({tail.keys for tail in tails})
    picked: list[Tail] = []
    left = at_once
    for tail in tails:
        if patience.at_once(tail.keys) is not None:
            continue
        left -= tail.executions
        if picked and left < 0:
            break
        picked.append(tail)
    if picked:
        return picked, at_once
    now = time.monotonic()
    for tail in tails:
        if not patience.waits(tail.keys, now):
            return [tail], min(at_once, patience.at_once(tail.keys) or at_once)
    return None


def _tried(con: duckdb.DuckDBPyConnection, tails: list[Tail], at_once: int, part: int) -> str | None:
    """Match some executions of these legs; why that cannot be."""
    try:
        con.begin()
        _step(con, tails, at_once, part)
        con.commit()
    except MISFIT as exc:
        with contextlib.suppress(duckdb.Error):
            con.rollback()
        return first_line(exc)
    return None


def _note_error(con: duckdb.DuckDBPyConnection, tail: Tail, error: str | None) -> None:
    if error is None:
        return
    con.execute(f"UPDATE {TAILS} SET error = ? WHERE rowid = ?", [error, tail.row])
    log.warning(
        "the executions of %s cannot be matched to pairs: %s; they are stored, and grid_trades and grid_levels show "
        "its pairs up to there; a rebuild of the database begins it anew",
        tail.name,
        error,
    )


def _step(con: duckdb.DuckDBPyConnection, tails: list[Tail], at_once: int, part: int) -> None:
    rows = ", ".join(str(tail.row) for tail in tails)
    make(
        con,
        "grid_picked",
        f"""
        SELECT tail.* EXCLUDE (executions, highest), tail.rowid AS tail, CAST(row_number() OVER () AS INTEGER) AS leg,
            lots, coalesce(kept.executions, 0) AS executions, coalesce(kept.began, 0) AS began,
            coalesce(kept.highest, 0) AS highest, coalesce(kept.risky, false) AS risky
        FROM {TAILS} AS tail LEFT JOIN {CHECKPOINTS} AS kept ON {same("tail", "kept")} AND tail.part = kept.part
        WHERE tail.rowid IN ({rows})""",
    )
    upto = None
    if len(tails) == 1:
        upto = take_some(con, tails[0], at_once)
    else:
        take_all(con, tails)
    _place(con)
    _match(con)
    _remove_those_that_do_not_count(con, tails, upto)
    _put_checkpoints(con, part)
    con.execute(
        f"INSERT INTO {PAIRS} BY NAME SELECT * EXCLUDE (part, profit), profit - fees AS net_profit FROM temp.grid_new"
    )
    con.execute(merge_levels("temp.grid_new"))
    _shorten_tails(con, upto)
    for table in ("grid_picked", "grid_chunk", "grid_items", "grid_all", "grid_matched", "grid_new", "grid_ends"):
        con.execute(f"DROP TABLE temp.{table}")


# -- matching


_IDS: Final = f"exec_id, {ODD}, order_link_id"

_PLACED: Final = "placed AS (SELECT *, CAST(0 AS BIGINT) AS era, at_ms AS placed_ms FROM trades)"
"""What PLACING comes to when no number is lower than one before it."""


def _place(con: duckdb.DuckDBPyConnection) -> None:
    """`grid_items`: the executions in the exchange's order, with fees as corrected."""
    odd = one(
        con,
        """
        SELECT 1 FROM (
            SELECT number, max(number) OVER (
                PARTITION BY leg ORDER BY at_ms, seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM temp.grid_chunk WHERE number > 0)
        WHERE number < before LIMIT 1""",
    )
    make(
        con,
        "grid_items",
        f"""
        WITH trades AS (FROM temp.grid_chunk),
        {PLACING if odd else _PLACED},
        added AS (
            SELECT account, exec_id, {ADDED_FEE} AS fee FROM {CORRECTIONS}
            WHERE exec_id IN (SELECT exec_id FROM temp.grid_chunk) GROUP BY ALL)
        SELECT placed.leg, seq, number, closes, price, qty, exchange_ts, era, placed_ms,
            placed_ms > at_ms AS risky, placed.exec_id, {ODD}, order_link_id,
            coalesce(TRY(placed.fee + added.fee), placed.fee) AS fee,
            row_number() OVER (PARTITION BY placed.leg ORDER BY placed_ms, number, seq) AS place
        FROM placed JOIN temp.grid_picked AS picked USING (leg)
        LEFT JOIN added ON added.account = picked.account AND added.exec_id = placed.exec_id""",
    )


def _match(con: duckdb.DuckDBPyConnection) -> None:
    """`grid_matched`: pairs of `grid_all`, which are the items and the openings that were left."""
    make(
        con,
        "grid_all",
        f"""
        SELECT leg, place, seq, closes, qty AS part, price, qty, fee, exchange_ts, {_IDS} FROM temp.grid_items
        UNION ALL
        SELECT leg, nth - len(lots), lot.seq, false, lot.unmatched, lot.price, lot.qty, lot.fee, lot.exchange_ts,
            lot.exec_id, lot.{ODD}, lot.order_link_id
        FROM (SELECT leg, lots, unnest(lots) AS lot, generate_subscripts(lots, 1) AS nth FROM temp.grid_picked)""",
    )
    make(
        con,
        "grid_matched",
        f"""
        WITH RECURSIVE items AS (
            SELECT leg, place, closes, CASE WHEN closes THEN -part ELSE part END AS change FROM temp.grid_all),
        {MATCHING}
        SELECT * FROM matched""",
    )


def _remove_those_that_do_not_count(
    con: duckdb.DuckDBPyConnection, tails: list[Tail], upto: tuple[int, int] | None
) -> None:
    """Pairs of before a cut, as far as it is matched again."""
    cut = [tail for tail in tails if tail.is_cut]
    if not cut:
        return
    end = ""
    if upto is not None:
        at, seq = time_sql(upto[0]), upto[1]
        end = f"AND kept.closed_at <= {at} AND (kept.closed_at < {at} OR kept.close_seq <= {seq})"
    con.execute(f"""
        DELETE FROM {PAIRS} AS kept USING temp.grid_picked AS picked
        WHERE is_cut AND {same("kept", "picked")} AND kept.closed_at >= {time_sql(min(tail.since_us for tail in cut))}
            AND (kept.closed_at > since_at OR (kept.closed_at = since_at AND kept.close_seq > since_seq)) {end}""")


def _put_checkpoints(con: duckdb.DuckDBPyConnection, part: int) -> None:
    """New checkpoints in `grid_ends`, each in place of the one before while that is near; `grid_new`: the pairs."""
    make(
        con,
        "grid_ends",
        f"""
        SELECT {listed("picked")}, picked.leg,
            CASE WHEN picked.part = 0 OR picked.executions + found - began > {part} THEN picked.part + 1
                ELSE picked.part END AS part,
            CASE WHEN picked.part > 0 AND picked.executions + found - began > {part} THEN picked.executions
                ELSE began END AS began,
            upto_at, upto_seq, new.risky OR (newest = 0 AND picked.risky) AS risky,
            greatest(newest_highest, CASE WHEN newest = 0 AND (picked.risky OR upto_at <= since_at + {CLOCK_STEP})
                THEN picked.highest END) AS highest,
            tie, picked.executions + found AS executions, coalesce(open.lots, []) AS lots
        FROM temp.grid_picked AS picked JOIN (
            SELECT leg, count(*) AS found, max(exchange_ts) AS upto_at,
                bool_or(risky AND era = last_era) AS risky,
                arg_max(seq, {{'at': exchange_ts, 'seq': seq}}) AS upto_seq,
                coalesce(max(number) FILTER (
                    era = last_era AND (risky OR exchange_ts >= last_at - {CLOCK_STEP})), 0) AS newest_highest,
                any_value(last_era) AS newest,
                max({{'placed_ms': placed_ms, 'number': number}}).number AS tie
            FROM (
                SELECT *, max(era) OVER (PARTITION BY leg) AS last_era,
                    max(exchange_ts) OVER (PARTITION BY leg) AS last_at
                FROM temp.grid_items)
            GROUP BY leg) AS new
        USING (leg)
        LEFT JOIN (
            SELECT leg, list(CAST(struct_pack(
                seq := seq, unmatched := part - coalesce(taken, 0), price := price, qty := qty, fee := fee,
                exchange_ts := exchange_ts, exec_id := exec_id, {ODD} := {ODD}, order_link_id := order_link_id
                ) AS {LOT}) ORDER BY place) AS lots
            FROM temp.grid_all LEFT JOIN (
                SELECT leg, open_place AS place, sum(qty) AS taken FROM temp.grid_matched GROUP BY ALL)
            USING (leg, place)
            WHERE NOT closes AND part > coalesce(taken, 0) GROUP BY leg) AS open USING (leg)""",
    )
    con.execute(f"""
        DELETE FROM {CHECKPOINTS} AS kept USING temp.grid_ends AS new
        WHERE {same("kept", "new")} AND kept.part = new.part""")
    con.execute(f"INSERT INTO {CHECKPOINTS} BY NAME SELECT * EXCLUDE (leg) FROM temp.grid_ends")
    make(
        con,
        "grid_new",
        f"""
        SELECT {listed("ends")}, matched.qty, opens.price AS open_price, closes.price AS close_price,
            {PROFIT.format(direction="direction", qty="matched.qty")} AS profit,
            {FEES.format(qty="matched.qty")} AS fees, opens.exchange_ts AS opened_at, closes.exchange_ts AS closed_at,
            opens.seq AS open_seq, closes.seq AS close_seq, {IDS_OF_PAIR}, ends.part
        FROM temp.grid_matched AS matched JOIN temp.grid_ends AS ends USING (leg)
        JOIN temp.grid_all AS opens ON opens.leg = matched.leg AND opens.place = open_place
        JOIN temp.grid_all AS closes ON closes.leg = matched.leg AND closes.place = close_place
        ORDER BY closes.exchange_ts, closes.seq""",
    )


def _shorten_tails(con: duckdb.DuckDBPyConnection, upto: tuple[int, int] | None) -> None:
    if upto is None:
        con.execute(f"DELETE FROM {TAILS} WHERE rowid IN (SELECT tail FROM temp.grid_picked)")
        return
    con.execute(f"""
        UPDATE {TAILS} AS tail SET since_at = upto_at, since_seq = upto_seq, part = new.part,
            executions = greatest(1, tail.executions - found)
        FROM (SELECT ends.*, ends.executions - picked.executions AS found, picked.tail AS row
            FROM temp.grid_ends AS ends JOIN temp.grid_picked AS picked USING (leg)) AS new
        WHERE tail.rowid = new.row""")
