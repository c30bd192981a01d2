"""A database with the writer's tables and views, from records alone: no process, nothing of `supervisor`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from decimal import Decimal
from pathlib import Path

import gridbot
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_types import ExecutionRecord, UtcMs
from gridbot.records.recorder import Recorder
from gridbot.store.bulk import LOAD_FROM
from gridbot.store.commit import Rows, commit, stored_offsets
from gridbot.store.database import Database
from gridbot.store.ingest import AccountSource
from gridbot.store.reading import database_path
from gridbot.system_ports import SystemClock


def main(data_dir, count):
    recorder = Recorder("alice", "run-1", Journal(journal_directory(data_dir, "alice"), "alice"), clock=SystemClock())
    for number in range(1, count + 1):
        recorder.record(ExecutionRecord(
            strategy="btc", symbol="BTCUSDT", exec_id=f"e-{number}", order_id="o", order_link_id="l", direction="long",
            side="Buy", price=Decimal("100.5"), qty=Decimal("0.01"), leaves_qty=Decimal(0), closed_size=Decimal(0),
            fee=Decimal("0.002"), realised_pnl=Decimal("0.1"), exec_type="Trade", is_maker=True,
            exchange_ts=UtcMs(1_700_000_000_000 + number),
        ))
    recorder.close()

    source = AccountSource("alice", journal_directory(data_dir, "alice"))
    source.reset(0)
    taken = source.take(count, 2**30)
    while taken.count == 0:
        taken = source.take(count, 2**30)
    database = Database(database_path(data_dir))
    database.prepare()
    with database.open() as con:
        assert (len(taken.bodies["executions"]) >= LOAD_FROM) == (count >= LOAD_FROM)
        commit(con, Rows(taken.bodies, {"alice": taken.last_seq}, [], []))
    database.close()
    with gridbot.connect(data_dir) as con:
        assert stored_offsets(con) == {"alice": count}
        print(*con.execute("SELECT fills, volume, realised_pnl, fees, net_pnl FROM pnl_by_strategy").fetchone())
        print(con.execute("SELECT count(*) FROM fills").fetchone()[0])


for place, count in zip(sys.argv[1::2], map(int, sys.argv[2::2])):
    main(Path(place), count)
assert not [name for name in sys.modules if name.partition(".")[0] == "supervisor"]
"""


def test_records_become_views_without_the_supervisor(tmp_path: Path) -> None:
    expected = {
        10: "10 10.050000000000 1.000000000000 0.020000000000 0.980000000000",
        300: "300 301.500000000000 30.000000000000 0.600000000000 29.400000000000",
    }
    given = [word for count in expected for word in (str(tmp_path / str(count)), str(count))]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *given], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [line for count, told in expected.items() for line in (told, str(count))]
