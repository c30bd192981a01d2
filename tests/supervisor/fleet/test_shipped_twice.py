"""An execution that two holders of an account have recorded: one row, with the money that the latest of them knows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import psycopg

from gridbot.lease.record_floor import first_number
from gridbot.records import codec
from gridbot.records.record_types import CorrectionRecord, ExecutionRecord, Record
from gridbot.store.database import Database
from gridbot.store.record_bodies import BodyRow, Chunk
from supervisor.fleet.record_shipper import RecordShipper
from supervisor.fleet.shipped_twice import REASON, difference
from tests.case_table import case_table
from tests.store.kit import execution
from tests.supervisor.fleet.history_kit import shown
from tests.supervisor.fleet.test_record_shipper import asked, fleet_at

H1, H2 = ("h1", 1), ("h2", 2)


def first(fee: str, number: int = 1) -> ExecutionRecord:
    return execution(number, fee=Decimal(fee), realised_pnl=Decimal(0))


def correction(fee: str, number: int = 1) -> CorrectionRecord:
    own = execution(number)
    return CorrectionRecord(
        strategy=own.strategy, symbol=own.symbol, direction=own.direction, exec_id=own.exec_id,
        realised_pnl=Decimal(0), fee=Decimal(fee), exec_type=own.exec_type, is_maker=own.is_maker, final=True,
        reason="the exchange says so", exchange_ts=own.exchange_ts,
    )  # fmt: skip


@case_table(
    ("shipped", "rows", "fee"),
    [
        # The first host knew half of it; the second has the exchange's figure.
        ([(H1, first("0.01")), (H2, first("0.02"))], 1, "0.02"),
        ([(H1, first("0.01")), (H1, correction("0.01")), (H2, first("0.02"))], 1, "0.02"),
        # The first host comes back, and ships what it had recorded before it died.
        ([(H2, first("0.02")), (H1, first("0.01")), (H1, correction("0.01"))], 1, "0.02"),
        ([(H1, first("0.01")), (H2, first("0.02")), (H1, correction("0.01"))], 1, "0.02"),
        # The second one corrects what the first has recorded, also what both have.
        ([(H1, first("0.01")), (H2, correction("0.03"))], 1, "0.04"),
        ([(H1, first("0.01")), (H2, first("0.02")), (H2, correction("0.005"))], 1, "0.025"),
        ([(H1, first("0.02")), (H2, first("0.02"))], 1, "0.02"),
        ([(H1, first("0.02")), (H2, first("0.03", 2)), (H2, correction("0.01", 2))], 2, "0.06"),
    ],
)
def test_the_money_is_that_of_the_latest_holder(
    tmp_path: Path, fleet_dsn: str, shipped: list[tuple[tuple[str, int], Record]], rows: int, fee: str
) -> None:
    shippers = {host: RecordShipper(Database(tmp_path / host), fleet_at(fleet_dsn, host), dict) for host, _ in (H1, H2)}
    with psycopg.connect(fleet_dsn, autocommit=True) as connection:
        for table in ("record", "daily_sums", "execution_id", "shipped"):
            connection.execute(f"DELETE FROM gridbot.{table}".encode())
        for number, ((host, epoch), record) in enumerate(shipped, start=1):
            seq = first_number(epoch) + number
            body = codec.body_of("alice", "r", seq, 1_700_000_000_000_000, record).decode()
            shippers[host]._commit(
                shippers[host]._connected(), Chunk([BodyRow("alice", seq, record.TABLE, body)], {"alice": seq})
            )
    for shipper in shippers.values():
        shipper._drop()
    assert asked(fleet_dsn, "SELECT sum(executions), sum(fee) FROM gridbot.daily_sums") == [(rows, Decimal(fee))]
    of_rows = (
        "SELECT count(*) FILTER (WHERE kind = 'executions'), sum((body->'data'->>'fee')::numeric) FROM gridbot.record"
    )
    assert asked(fleet_dsn, of_rows) == [(rows, Decimal(fee))]
    if rows == 2:  # as a reader sees it, once
        assert shown(fleet_dsn, "SELECT count(*), sum(fee) FROM fills") == [(rows, Decimal(fee))]


def test_a_difference_is_none_where_the_figures_are_the_same() -> None:
    data = {"realised_pnl": "1.5", "fee": "0.0200", "strategy": "btc", "exec_id": "e-1", "price": "3"}
    body = {"account": "alice", "kind": "executions", "seq": 7, "data": data}
    assert difference(body, Decimal("1.50"), Decimal("0.02")) is None
    made = difference(body, Decimal(2), Decimal("0.02"))
    assert made is not None
    assert (made["kind"], made["seq"], made["data"]["exec_id"]) == ("corrections", 7, "e-1")
    assert (made["data"]["realised_pnl"], Decimal(made["data"]["fee"]), made["data"]["reason"]) == ("-0.5", 0, REASON)
    assert "price" not in made["data"]
