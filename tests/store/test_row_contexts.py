"""Executions as they are stored: what they have in common once, the rest as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from gridbot.records import codec
from gridbot.records.codec import CodecError
from gridbot.store.bulk import append, load
from gridbot.store.commit import Rows, commit
from gridbot.store.context_rows import put_rows
from gridbot.store.database import Database
from gridbot.store.kept_ids import rows_query
from gridbot.store.row_contexts import CONTEXTS, CONTEXTS_AGAIN, ROWS, user_types
from gridbot.store.row_putting import putting
from gridbot.store.schema import create_table_sql, ensure_schema
from supervisor.store.salvage import take_over
from tests.store.damaged_blocks import BLOCK_BYTES, BLOCKS_FROM
from tests.store.kit import execution

MOST = Decimal("9" * 26 + ".5")
KINDS = (
    {"closed_size": Decimal("0.003"), "qty": Decimal("0.003")},
    {"closed_size": Decimal("0.001"), "qty": Decimal("0.003")},
    {"exchange_pnl": Decimal("0.10000001"), "fee_currency": "USDT"},
    {"exchange_pnl": MOST, "realised_pnl": -MOST},
    {"other_fees": '{"MNT": "0.5"}', "side": "Sell", "order_id": ""},
    {"taxes": Decimal("0.1"), "shadow": True, "source": "shadow", "exec_id": "0b0e2f50-7f5b-4e0d-9c9c-6d1f6f0d7d1f"},
)


def bodies(numbers: Sequence[int], account: str = "alice") -> list[bytes]:
    return [codec.body_of(account, "r", n, n, execution(n, **KINDS[n % len(KINDS)])) for n in numbers]


@pytest.mark.parametrize("fill", [append, load])
def test_rows_come_back_as_they_were(fill: Callable[..., None]) -> None:
    """Those of a table with a column for each value. The second time most contexts are known, and one is not."""
    with duckdb.connect(config={"threads": "1"}) as con:
        ensure_schema(con)
        con.execute(create_table_sql("executions", "other", temporary=True))
        for found in (bodies(range(12)), bodies(range(12, 24)) + bodies(range(24, 25), "bob")):
            fill(con, "executions", found)
            append(con, "executions", found, "other")
        seen = con.execute("SELECT * FROM executions ORDER BY seq").fetchall()
        assert seen == con.execute(f"{rows_query('executions', 'temp.other')} ORDER BY seq").fetchall()
        assert con.execute(f"SELECT count(*), count(DISTINCT context) FROM {CONTEXTS}").fetchall() == [(5, 5)]


def test_a_row_that_has_no_size_or_no_strategy_is_refused() -> None:
    with duckdb.connect(config={"threads": "1"}) as con:
        ensure_schema(con)
        append(con, "executions", bodies([1]))
        for missing in ("closed_size", "strategy", "qty"):
            values = {name: "NULL" if name == missing else name for name in user_types()}
            with pytest.raises((duckdb.Error, CodecError)):
                put_rows(con, putting(values, "executions"), {}, 1)
        assert con.execute("SELECT count(*) FROM executions").fetchall() == [(1,)]


def test_where_the_contexts_are_damaged_a_rebuild_reads_them_where_they_stand_again(tmp_path: Path) -> None:
    database, old = Database(tmp_path / "gridbot.duckdb"), tmp_path / "old.duckdb"
    database.prepare()
    for at in (0, 12, 24):
        with database.open() as con:
            commit(con, Rows({"executions": bodies(range(at, at + 12))}, {"alice": at + 11}))
    query = "SELECT * FROM executions ORDER BY seq"
    with database.open() as con:
        seen = con.execute(query).fetchall()
        assert con.execute(f"FROM {CONTEXTS} EXCEPT FROM {CONTEXTS_AGAIN}").fetchall() == []
    database.close()
    shutil.copy(database.path, old)
    with duckdb.connect(str(old), read_only=True) as con:
        of = "SELECT list(DISTINCT block_id) FROM pragma_storage_info('{}') WHERE block_id >= 0"
        blocks = [set(con.execute(of.format(name)).fetchall()[0][0]) for name in (CONTEXTS, CONTEXTS_AGAIN, ROWS)]
    [block] = blocks[0] - blocks[1] - blocks[2]
    with old.open("r+b") as file:
        file.seek(BLOCKS_FROM + block * BLOCK_BYTES + 1000)
        file.write(bytes(range(64)))
    fresh = Database(tmp_path / "fresh.duckdb")
    fresh.prepare()
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(f"ATTACH '{old}' AS old (READ_ONLY)")
        con.execute(f"ATTACH '{fresh.path}' AS fresh")
        taken = take_over(con, {"alice": 36})
        assert taken.losses == ()
        assert con.execute(query.replace("FROM ", "FROM fresh.")).fetchall() == seen
