"""Amounts of executions as numbers: each comes back as it was, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gridbot.core.exact import WIDE
from gridbot.records import codec
from gridbot.records.block_reader import read_block
from gridbot.records.record_block import block_of
from gridbot.store import bulk
from gridbot.store.bulk import append, load, load_parts
from gridbot.store.commit import Rows, commit
from gridbot.store.context_rows import take_over_rows
from gridbot.store.kept_ids import kept_types, rows_query
from gridbot.store.row_contexts import CONTEXTS, ROWS
from gridbot.store.schema import create_table_sql, ensure_schema
from tests.examples import examples
from tests.store.kit import execution

D = Decimal
UUIDS = {"exec_id": "0b0e2f50-7f5b-4e0d-9c9c-6d1f6f0d7d1f", "order_id": "9d2f6f0c-7f3e-4b44-8a1c-00000000e001"}
RATE = D("0.0002")
NAMES = ("price", "qty", "leaves_qty", "closed_size", "fee", "realised_pnl")
AT_ENDS = [
    D(f"{whole}.{part}") for whole in (0, 2047, 2048, 2_097_151, 2_097_152, 2**31) for part in (0, 1, "000000000001")
]
amounts = st.one_of(
    st.sampled_from([*AT_ENDS, *map(D, ("-0", "0E-12", "104233.10", "1E-7", "9" * 26 + ".5", "0.1234567890125"))]),
    st.decimals(-(10**7), 10**7, allow_nan=False, places=12),
    *(
        st.builds(lambda digits, places: D(digits).scaleb(-places), st.integers(least, 10**most), st.integers(0, 14))
        for least, most in ((-(10**18), 18), (10**13, 16))
    ),
)
fields = st.fixed_dictionaries(
    dict.fromkeys(NAMES, amounts) | {"taxes": st.none() | amounts, "exchange_pnl": st.none() | amounts}
)
off_by = st.sampled_from([None, D(0), D("1e-12"), D("-1e-12")])
"""How far a fee is from what the rate says; None: it is any other."""


def records_of(rows: Sequence[tuple[dict[str, Any], D | None]]) -> list[Any]:
    """The first has the rate of the context."""
    found = [execution(1, **UUIDS, price=D("104233.1"), qty=D("0.01"), fee=D("104233.1") * D("0.01") * RATE)]
    for number, (row, off) in enumerate(rows, 2):
        fee = row["fee"] if off is None else WIDE.multiply(WIDE.multiply(row["price"], row["qty"]), RATE) + off
        found.append(execution(number, **UUIDS, **row | {"fee": fee if abs(fee) < 10**25 else row["fee"]}))
    return found


def test_amounts_come_back_as_they_were(monkeypatch: Any) -> None:
    """As a table with a column for each value has them, whichever way they came. Many amounts in few batches: a batch
    costs as much as a hundred of its rows."""
    monkeypatch.setattr(bulk, "LINES_FROM", 1)
    con = duckdb.connect(config={"threads": "1"})
    ensure_schema(con)
    con.execute(create_table_sql("executions", "other", temporary=True))

    @settings(max_examples=examples(8), deadline=None, phases=[Phase.generate])
    @given(rows=st.lists(st.tuples(fields, off_by), min_size=8, max_size=24))
    def same(rows: list[tuple[dict[str, Any], D | None]]) -> None:
        records = records_of(rows)
        bodies = [codec.body_of("a", "r", number, number, record) for number, record in enumerate(records, 1)]
        parts = read_block(block_of("a", "r", 1, list(range(1, len(records) + 1)), records)).parts
        con.execute("TRUNCATE temp.other")
        append(con, "executions", bodies, "other")
        wanted = con.execute(f"{rows_query('executions', 'temp.other')} ORDER BY seq").fetchall()
        ways: list[tuple[Any, Any]] = [(append, bodies), (load, bodies), (load_parts, parts)]
        for fill, made in ways:
            con.execute(f"TRUNCATE {ROWS}")
            fill(con, "executions", made)
            assert con.execute("SELECT * FROM executions ORDER BY seq").fetchall() == wanted
        con.execute(f"TRUNCATE {ROWS}")
        take_over_rows(con, kept_types("executions"), "temp.other")
        assert con.execute("SELECT * FROM executions ORDER BY seq").fetchall() == wanted

    same()
    con.close()


def test_what_is_no_amount_is_refused() -> None:
    others = [(name, text) for name in ("price", "fee") for text in ("", "nan", "1e400")]
    with duckdb.connect(config={"threads": "1"}) as con:
        ensure_schema(con)
        for name, text in [*((name, "abc") for name in (*NAMES, "exchange_pnl", "taxes")), *others]:
            body = codec.body_of("a", "r", 1, 1, execution(1, **UUIDS, **{name: D("0.515625")}))
            with pytest.raises(duckdb.ConversionException):
                append(con, "executions", [body.replace(b"0.515625", text.encode())])
        assert con.execute(f"SELECT count(*) FROM {ROWS}").fetchall() == [(0,)]


def test_what_a_grid_does_needs_no_text_and_no_fee() -> None:
    rows: list[tuple[dict[str, Any], D | None]] = [
        (dict.fromkeys(NAMES, D("0.012")) | {"price": D("104233.1") + D(n) / 10}, D(0)) for n in range(5)
    ]
    with duckdb.connect() as con:
        ensure_schema(con)
        records = records_of(rows)
        append(con, "executions", [codec.body_of("a", "r", n, n, record) for n, record in enumerate(records, 1)])
        counts = "count(*), count(price), count(fee), count(leaves_qty)"  # the first is filled, and leaves nothing
        found = con.execute(f"SELECT {counts} FROM {ROWS} WHERE odd_ids IS NULL").fetchall()
        fees = con.execute("SELECT fee FROM executions ORDER BY seq").fetchall()
        above_bigint = {"exchange_pnl": D("9e10"), "realised_pnl": D("-2e10")}  # as a difference, in units of 1e-8
        append(con, "executions", [codec.body_of("a", "r", 7, 7, execution(7, **UUIDS, **above_bigint))])
        pnl = con.execute("SELECT exchange_pnl, realised_pnl FROM executions WHERE seq = 7").fetchall()
    assert pnl == [(D("9e10"), D("-2e10"))]
    assert (found, fees) == ([(6, 6, 0, 5)], [(record.fee,) for record in records])


OURS = "0123456789ab-amca3-loyw3v28-b"
"""The ticks 1042347 and the generation 1700000000000 in base 36, at a tick of 0.1."""
OTHERS = (
    "0123456789ab-amca4-loyw3v28-b",
    "0123456789ac-amca3-loyw3v28-b",
    "0123456789ab-bmca3-loyw3v28-b",
    "0123456789ab-amca3-loyw3v28-c",
    "0123456789ab-amca3-0oyw3v28-b",
    "0123456789AB-AMCA3-LOYW3V28-B",
    "0123456789ab-a0mca3-loyw3v28-b",
    "manual",
    "",
)
"""Each differs in one thing from what price, head and tail make: the ticks, the head twice, the tail, zeros, case."""


@pytest.mark.parametrize("first", [0, 1], ids=["the head is known at once", "the head turns up later"])
def test_our_ids_are_numbers_and_any_other_comes_back_as_it_was(first: int) -> None:
    """Where rows turn out to have ids of ours, another context says their head."""
    batches = [["manual"]] * first + [[OURS] * 20, [*OTHERS, OURS]]
    links = [link for batch in batches for link in batch]
    records = [execution(n, **UUIDS, price=D("104234.7"), order_link_id=link) for n, link in enumerate(links, 1)]
    bodies = [codec.body_of("a", "r", n, n, record) for n, record in enumerate(records, 1)]
    with duckdb.connect(config={"threads": "1"}) as con:
        ensure_schema(con)
        for batch in batches:
            some, bodies = bodies[: len(batch)], bodies[len(batch) :]
            commit(con, Rows({"executions": some}, {"a": len(links) - len(bodies)}))
        assert con.execute("SELECT order_link_id FROM executions ORDER BY seq").fetchall() == [(x,) for x in links]
        as_numbers = con.execute(f"SELECT count(link_generation) FROM {ROWS} WHERE link_text IS NULL").fetchall()
        assert as_numbers == [(1 if first else 21,)]


def test_first_fees_above_any_rate_are_stored_and_no_rejects() -> None:
    """More than ten times the value, with price and quantity in whole units: no rate of a context says it. Each is the
    first of its strategy, and so of a context."""
    fees = [D(fee) for fee in ("12074048959", "-11", "9.999", "0")]
    with duckdb.connect(config={"threads": "1"}) as con:
        ensure_schema(con)
        for seq, fee in enumerate(fees, 1):
            first = execution(seq, **UUIDS, strategy=f"s{seq}", price=D(1), qty=D(1), fee=fee)
            commit(con, Rows({"executions": [codec.body_of("a", "r", seq, seq, first)]}, {"a": seq}))
        assert con.execute("SELECT fee FROM executions ORDER BY seq").fetchall() == [(fee,) for fee in fees]
        assert con.execute(f"SELECT count(*) FROM {CONTEXTS}").fetchall() == [(len(fees),)]


def test_where_rows_get_finer_than_their_context_another_comes_instead_of_it() -> None:
    """Of such prices a few are texts. Then there is a context that suits them, and what was stored stays as it is."""

    def put(prices: Sequence[str]) -> None:
        numbers = range(len(seen) + 1, len(seen) + len(prices) + 1)
        records = [execution(number, **UUIDS, price=D(price)) for number, price in zip(numbers, prices, strict=True)]
        bodies = [
            codec.body_of("a", "r", number, number, record) for number, record in zip(numbers, records, strict=True)
        ]
        commit(con, Rows({"executions": bodies}, {"a": numbers[-1]}))
        seen.extend(record.price for record in records)

    def as_numbers() -> list[tuple[Any, ...]]:
        stored = f"SELECT context, count(*), count(price) FROM {ROWS} GROUP BY context ORDER BY context"
        return con.execute(stored).fetchall()

    seen: list[Decimal] = []
    with duckdb.connect(config={"threads": "1"}) as con:
        ensure_schema(con)
        put([f"104233.{n % 10}" for n in range(20)])
        put([f"104233.12{n % 9 + 1}" for n in range(20)])
        assert as_numbers() == [(1, 40, 20)]
        put([f"104233.12{n % 9 + 1}" for n in range(5)])
        assert as_numbers() == [(1, 40, 20), (2, 5, 5)]
        assert con.execute(f"SELECT context, instead_of FROM {CONTEXTS} ORDER BY context").fetchall() == [
            (1, None),
            (2, 1),
        ]
        put(["104233.5"])
        assert as_numbers() == [(1, 40, 20), (2, 6, 6)]
        assert con.execute("SELECT price FROM executions ORDER BY seq").fetchall() == [(price,) for price in seen]
