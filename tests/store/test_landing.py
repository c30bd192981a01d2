"""What has landed only is seen as the rows that come of it: the same records, views and sums, whenever it is moved."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.records import codec
from gridbot.records.columns import RECORD_TYPES
from gridbot.records.journal_reader import journal_directory
from gridbot.store.bulk import append, load
from gridbot.store.commit import Rows, commit, stored_offsets
from gridbot.store.database import Database
from gridbot.store.ingest import AccountSource
from gridbot.store.kept_ids import rows_query
from gridbot.store.landing import landable, landed_rows, put
from gridbot.store.rollups import ROLLUPS
from gridbot.store.row_contexts import rows_table
from gridbot.store.schema import create_table_sql
from gridbot.store.sql_columns import LANDED, OFFSETS
from gridbot.store.stored_views import STORED_VIEWS
from gridbot.store.views import VIEWS
from supervisor.store.landing_pace import MOST_AT_ONCE, MOST_BYTES, MOST_LANDED, LandingPace
from supervisor.store.maintenance import vacuum
from supervisor.store.rebuild import rebuild
from supervisor.store.writer import Writer, WriterSpec
from tests.examples import examples
from tests.records.test_codec import any_record
from tests.store.kit import execution, flush_all, make_recorder, record_executions, rows, ticker
from tests.store.session import make_session
from tests.store.test_rollups import RECORDS

Bodies = list[tuple[str, str, int, bytes]]
"""Account, kind, number and body of records, in the order in which they come."""


def store() -> duckdb.DuckDBPyConnection:
    """Tables and views in memory: a copy of a new file, of which a run of tests makes one."""
    con = duckdb.connect(config={"threads": "1"})
    with tempfile.TemporaryDirectory(prefix="gridbot-store-") as directory:
        new = Database(Path(directory) / "new.duckdb")
        new.prepare()
        con.execute(f"ATTACH '{new.path}' AS new (READ_ONLY)")
        con.execute("COPY FROM DATABASE new TO memory")
        con.execute("DETACH new")
    return con


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]]:
    """Two that are made once: tests empty them with `emptied`."""
    with store() as one, store() as other:
        yield one, other


def emptied(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    with contextlib.suppress(duckdb.TransactionException):
        con.rollback()  # of a test that failed
    for table in (*RECORD_TYPES, OFFSETS, *(rollup.name for rollup in ROLLUPS), *GRID):
        con.execute(f"DELETE FROM {rows_table(table)}")
    for table in (LANDED, "ingest_gaps", "ingest_rejects"):
        con.execute(f"DELETE FROM {table}")
    return con


def numbered(records: Iterable[tuple[str, Any]]) -> Bodies:
    last: dict[str, int] = {}
    found: Bodies = []
    for account, record in records:
        seq = last[account] = last.get(account, 0) + 1
        found.append((account, record.TABLE, seq, codec.body_of(account, "run-1", seq, 10**15 + seq, record)))
    return found


def batch(bodies: Bodies) -> Rows:
    found = Rows()
    for account, kind, seq, body in bodies:
        found.tables.setdefault(kind, []).append(body)
        found.offsets[account] = seq
    return found


EVERY_NAME = (*(view.name for view in (*STORED_VIEWS, *VIEWS)), "ingest_gaps", "ingest_rejects")
GRID = ("grid_pairs", "grid_levels", "grid_checkpoints", "grid_tails")
ROLLED_UP = (OFFSETS, *dict.fromkeys(name for rollup in ROLLUPS for name in (rollup.source, rollup.name)))
"""What the other views are made of: they say the same where these do."""


def answers(con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> dict[str, list[Any]]:
    """What these names say, with types. When the writer wrote last is the machine's clock: left out."""
    kept = "COLUMNS(lambda c: c NOT IN ('updated_at', 'detected_at', 'last_sign', 'up_seconds', 'up_percent'))"
    found = {}
    for name in names:
        relation = con.execute(f"SELECT {kept} FROM {name} ORDER BY ALL")
        types = [str(column[1]) for column in relation.description or ()]
        found[name] = [types, *relation.fetchall()]
    return found


def session_bodies(data_dir: Path) -> Bodies:
    """Records of every kind and of four accounts, as their journals have them."""
    make_session(data_dir)
    found: Bodies = []
    for directory in sorted(journal_directory(data_dir, "alice").parent.iterdir()):
        source = AccountSource(directory.name, directory)
        taken = source.take(10_000, 2**30)
        found += [(directory.name, *codec.peek(body), body) for bodies in taken.bodies.values() for body in bodies]
    return sorted(found, key=lambda each: each[2])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Bodies:
    return session_bodies(tmp_path_factory.mktemp("session"))


Stores = tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]


def assert_the_same(stores: Stores, names: Iterable[str], bodies: Bodies, cuts: list[int], lands: list[bool]) -> None:
    """Batches up to each cut go straight into the tables of one store; into another as `lands` says of each."""
    plain, landing = map(emptied, stores)
    first = 0
    for cut, land in zip([*cuts, len(bodies)], lands, strict=False):
        part = bodies[first:cut]
        first = max(first, cut)
        if part:
            commit(plain, batch(part))
            put(landing, batch(part), lands=land)
    assert stored_offsets(landing) == stored_offsets(plain)
    expected = answers(plain, names)
    assert answers(landing, names) == expected
    put(landing, Rows(), lands=False)
    assert landing.execute(f"SELECT count(*) FROM {LANDED}").fetchone() == (0,)
    assert answers(landing, names) == expected


def test_records_of_every_kind_are_seen_alike_landed_and_moved(stores: Stores, session: Bodies) -> None:
    kinds = {kind for _, kind, *_ in session}
    assert set(RECORD_TYPES) - kinds <= {"corrections", "adjustments"}, "which are among the random ones"
    assert landable(batch(session)) is not None
    assert_the_same(stores, EVERY_NAME, session, [2 * len(session) // 3], [False, True])


@settings(max_examples=examples(4), deadline=None)
@given(data=st.data(), records=st.lists(st.tuples(st.sampled_from(["alice", "bob"]), RECORDS), max_size=25))
def test_random_records_are_seen_alike_wherever_they_are_moved(
    stores: Stores, data: st.DataObject, records: list[Any]
) -> None:
    bodies = numbered(records)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(bodies)), max_size=4)))
    lands = data.draw(st.lists(st.booleans(), min_size=len(cuts) + 1, max_size=len(cuts) + 1))
    assert_the_same(stores, ROLLED_UP, bodies, cuts, lands)


@settings(max_examples=examples(6), deadline=None)
@given(records=st.lists(any_record(), min_size=1, max_size=12))
def test_what_lands_is_the_row_that_is_stored(stores: Stores, records: list[Any]) -> None:
    """No record that lands is refused when it is moved, or looks different then.

    Compared in the order of their numbers: rows of one commit are stored in any order.
    """
    con, found = stores[0], Rows(offsets={"al'ice": len(records)})
    for seq, record in enumerate(records, 1):
        body = codec.body_of("al'ice", "r\n1", seq, 11, record)
        if landable(Rows({record.TABLE: [body]}, {"al'ice": seq})) is not None:
            found.tables.setdefault(record.TABLE, []).append(body)
    emptied(con)
    put(con, found, lands=True)
    seen = {table: con.execute(f"SELECT * FROM {table} ORDER BY seq").fetchall() for table in found.tables}
    put(con, Rows(), lands=False)
    for table, bodies in found.tables.items():
        con.execute(create_table_sql(table, "other", temporary=True))
        append(con, table, bodies, "other")
        stored = (f"{rows_query(table, source)} ORDER BY seq" for source in ("", "temp.other"))
        moved, other = (con.execute(query).fetchall() for query in stored)
        assert seen[table] == moved == other
    con.execute("DROP TABLE IF EXISTS temp.other")


GOOD = codec.body_of("alice", "run-1", 1, 10**15, execution(1))


@pytest.mark.parametrize(
    ("was", "given"),
    [
        (b'"price":"104233.10"', b'"price":"not money"'),
        (b'"price":"104233.10"', b'"price":"1e30"'),
        (b'"price":"104233.10"', b'"price":"1E+26"'),
        (b'"price":"104233.10"', b'"price":"99999999999999999999999999.9999999999999"'),
        (b'"price":"104233.10"', b'"price":104233.1'),
        (b'"price":"104233.10"', b'"price":null'),
        (b'"exec_id":"e-1",', b""),
        (b'"exec_id":"e-1"', b'"exec_id":"e\\u0000"'),
        (b'"exec_id":"e-1"', b'"exec_id":1'),
        (b'"is_maker":true', b'"is_maker":"perhaps"'),
        (b'"exchange_ts":1700000000001', b'"exchange_ts":9300000000000000'),
        (b'"seq":1', b'"seq":9223372036854775808'),
        (b'"data":{', b'"data":1,"more":{'),
        (b'"run_id":"run-1"', b'"run_id":null'),
        (b'"kind":"executions"', b'"kind":"orders"'),
        (b"}}", b"}"),
    ],
)
def test_what_may_fit_no_row_does_not_land(was: bytes, given: bytes) -> None:
    assert was in GOOD
    assert landable(Rows({"executions": [GOOD]}, {"alice": 1})) is not None
    assert landable(Rows({"executions": [GOOD, GOOD.replace(was, given)]}, {"alice": 1})) is None


def test_amounts_at_the_borders_land_and_are_the_same_row(stores: Stores) -> None:
    con = emptied(stores[0])
    texts = [
        "0",
        "-0",
        "0E-8",
        "0E+3",
        "1.2E-7",
        "-3E-13",
        "5E-13",
        "9.99E+19",
        "1E+19",
        "-1.5E-999",
        "0.1234567890125",
    ]
    texts += ["0.1234567890125", "9" * 25 + ".999999999999", "-" + "9" * 25, "0" * 25 + "." + "1" * 200]
    bodies = [
        codec.body_of("alice", "r", seq, 11, execution(1, exec_type="Funding")).replace(
            b'"104233.10"', b'"%s"' % text.encode()
        )
        for seq, text in enumerate(texts, 1)
    ]
    assert not put(con, Rows({"executions": bodies}, {"alice": len(bodies)}), lands=True)
    seen = con.execute("SELECT * FROM executions ORDER BY seq").fetchall()
    assert put(con, Rows(), lands=False).rejects == []
    assert con.execute(f"{rows_query('executions')} ORDER BY seq").fetchall() == seen
    con.execute(create_table_sql("executions", "other", temporary=True))
    load(con, "executions", bodies, "other")
    assert con.execute(f"{rows_query('executions', 'temp.other')} ORDER BY seq").fetchall() == seen
    con.execute("DROP TABLE temp.other")
    assert [row[0] for row in con.execute("SELECT price FROM executions ORDER BY seq LIMIT 6").fetchall()] == [
        *[Decimal(0)] * 4,
        Decimal("0.00000012"),
        Decimal(0),
    ]


def test_a_line_that_should_not_have_landed_breaks_no_query(stores: Stores) -> None:
    con = emptied(stores[0])
    put(con, Rows({"executions": [GOOD]}, {"alice": 1}), lands=True)
    bad = GOOD.replace(b'"seq":1', b'"seq":2').replace(b"104", b"xyz").decode()
    args = '{"kind":"commands","account":"alice","run_id":"r","seq":3,"local_ts":1,"data":{"args":"{"}}'
    for seq, kind, body in ((2, "executions", bad), (3, "commands", args)):
        con.execute(f"INSERT INTO {LANDED} VALUES ('alice', ?, ?, ?)", [seq, kind, body])
    prices = [(1, Decimal("104233.1")), (2, None)]
    assert con.execute("SELECT seq, price FROM fills ORDER BY seq").fetchall() == prices
    assert con.execute("SELECT args FROM operator_commands").fetchall() == [(None,)]
    put(con, Rows(), lands=False)
    assert con.execute("SELECT seq FROM executions").fetchall() == [(1,)]
    assert con.execute("SELECT seq FROM ingest_rejects ORDER BY seq").fetchall() == [(2,), (3,)]


def test_gaps_and_rejects_take_the_way_of_the_tables_with_all_that_had_landed(stores: Stores) -> None:
    con = emptied(stores[0])
    assert not put(con, Rows({"executions": [GOOD]}, {"alice": 1}), lands=True)
    moved = put(con, Rows({}, {"alice": 5}, gaps=[("alice", 2, 5, "lost")]), lands=True)
    assert (moved.count, moved.offsets) == (1, {"alice": 5})
    assert landed_rows(con).count == 0
    assert stored_offsets(con) == {"alice": 5}
    assert con.execute("SELECT from_seq, to_seq FROM ingest_gaps").fetchall() == [(2, 5)]


def test_the_writer_lets_few_records_land_and_moves_them_when_it_is_time(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    writer = Writer(WriterSpec(tmp_path, ("alice",), compact_s=3600.0), {})
    landed = f"SELECT count(*) FROM {LANDED} WHERE kind = 'executions'"
    where = f"SELECT ({landed}), (SELECT count(*) FROM execution_rows_stored)"
    record_executions(recorder, range(1, 4))
    flush_all(writer)
    assert rows(tmp_path, where) == [(3, 0)]
    writer.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",), compact_s=0.0), {})
    record_executions(recorder, range(4, 6))
    flush_all(writer)
    assert rows(tmp_path, where) == [(0, 5)], "what the one before has left is known"
    writer.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",), compact_s=3600.0), {})
    record_executions(recorder, range(6, 8))
    flush_all(writer)
    assert rows(tmp_path, where) == [(2, 5)]
    record_executions(recorder, range(8, MOST_AT_ONCE + 9))
    flush_all(writer)
    assert rows(tmp_path, where) == [(0, MOST_AT_ONCE + 8)], "many go straight to their table, with what had landed"
    recorder.record(ticker(1))
    recorder.close()
    flush_all(writer)
    assert rows(tmp_path, "SELECT count(*) FROM tickers_stored") == [(0,)]
    writer.compact()
    writer.close()
    assert rows(tmp_path, "SELECT count(*) FROM tickers_stored") == [(1,)]
    assert writer.state.rows == MOST_AT_ONCE + 4
    assert rows(tmp_path, "SELECT account, seq FROM ingest_offsets") == [("alice", MOST_AT_ONCE + 9)]


def test_vacuum_and_rebuild_keep_what_has_landed_also_when_no_journal_has_it(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    writer = Writer(WriterSpec(tmp_path, ("alice",), compact_s=3600.0), {})
    record_executions(recorder, range(1, 4))
    flush_all(writer)
    writer.compact()
    record_executions(recorder, range(4, 6))
    flush_all(writer)
    writer.close()
    recorder.close()
    seen = "SELECT (SELECT count(DISTINCT seq) FROM executions), (SELECT sum(executions) FROM daily_sums), count(*)"
    vacuum(tmp_path)
    assert rows(tmp_path, f"{seen} FROM {LANDED} WHERE kind = 'executions'") == [(5, 5, 2)]
    for path in journal_directory(tmp_path, "alice").glob("*.journal"):
        path.write_bytes(b"")
    assert rebuild(tmp_path).missing == []
    assert rows(tmp_path, f"{seen} FROM executions_stored") == [(5, 5, 5)]


def test_when_what_has_landed_is_moved() -> None:
    pace = LandingPace(60.0)
    assert not pace.is_due(1000.0)
    pace.note(0, 0, 1000.0, moved=False)
    assert not pace.is_due(2000.0), "there is nothing"
    pace.note(10, 100, 2000.0, moved=False)
    pace.note(10, 100, 2030.0, moved=False)
    assert not pace.is_due(2059.0)
    assert pace.is_due(2060.0), "from the first that landed"
    pace.note(1, 1, 2060.0, moved=True)
    assert (pace.count, pace.size, pace.is_due(9999.0)) == (0, 0, False)
    assert pace.takes(MOST_AT_ONCE, 100)
    assert not pace.takes(MOST_AT_ONCE + 1, 100)
    pace.begin(MOST_LANDED - 5, MOST_BYTES - 50, 0.0)
    assert pace.takes(5, 50)
    assert not pace.takes(6, 50)
    assert not pace.takes(5, 51)


def test_what_many_accounts_have_behind_comes_in_several_transactions(tmp_path: Path) -> None:
    """Of each a whole read of its journal was in one of them: 2.4 million records of twenty accounts."""
    accounts = ("alice", "bob", "carol")
    for account in accounts:
        recorder = make_recorder(tmp_path, account)
        record_executions(recorder, range(1, 1501))
        recorder.close()
    writer = Writer(WriterSpec(tmp_path, accounts, max_rows=1000), {})
    counts = []
    while writer.flush():
        counts.append(writer.state.rows - sum(counts))
    writer.close()
    assert counts[:3] == [1500, 1500, 1500]
    assert rows(
        tmp_path, "SELECT account, count(DISTINCT seq), max(seq) FROM executions GROUP BY ALL ORDER BY ALL"
    ) == [(account, 1500, 1500) for account in accounts]
