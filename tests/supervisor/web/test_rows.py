"""`/api/rows`: the real server, its real reader, and records stored by the real writer."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from supervisor.cli.main import cli
from supervisor.web import record_reader, record_routes
from supervisor.web.record_desk import RecordDesk
from supervisor.web.record_file import RecordFile
from supervisor.web.row_catalogue import CATALOGUE
from tests.store.night import Life, make_night
from tests.store.session import write_all

from .page_kit import PageKit

PATIENT = 60.0
"""Seconds that the file may be held here: no answer depends on how fast this machine is."""


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    directory = tmp_path_factory.mktemp("night")
    make_night(directory)
    return directory


class Asking:
    def __init__(self, kit: PageKit, headers: dict[str, str]) -> None:
        self.kit = kit
        self.headers = headers

    def get(self, path: str, **parameters: str):
        return self.kit.request("GET", f"/api/rows/{path}", self.headers, params=parameters)

    async def document(self, path: str, **parameters: str) -> dict[str, Any]:
        async with self.get(path, **parameters) as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def refused(self, path: str, **parameters: str) -> tuple[int, str]:
        async with self.get(path, **parameters) as answer:
            return answer.status, await answer.text()


@contextlib.asynccontextmanager
async def asking(directory, hold_s: float = PATIENT):
    async with PageKit(directory, hold_s=hold_s) as kit:
        yield Asking(kit, await kit.login())


def as_dicts(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]


async def test_each_question_of_the_catalogue_has_the_columns_it_names_and_sql_that_can_be_pasted(night):
    """JSON, csv and parquet have the same rows, and so has `sql` with the statement that the page shows."""
    async with asking(night) as ask:
        for name, question in CATALOGUE.items():
            document = await ask.document(name, account="alice")
            assert document["problem"] == ""
            assert document["columns"] == list(question.columns)
            assert document["rows"], "the night has something of each"
            assert {len(row) for row in document["rows"]} <= {len(question.columns)}, name
            pasted = CliRunner().invoke(cli, ["sql", document["sql"], "--format", "json", "--data-dir", str(night)])
            assert pasted.exit_code == 0, pasted.output
            there = json.loads(pasted.output)
            assert len(there) == len(document["rows"])
            assert all(list(row) == document["columns"] for row in there)
            async with ask.get(name, account="alice", format="csv") as answer:
                assert answer.status == 200, await answer.text()
                assert f'filename="{name}-alice.csv"' in answer.headers["Content-Disposition"]
                head, *lines = csv.reader(io.StringIO(await answer.text()))
            assert head == document["columns"]
            assert len(lines) == len(document["rows"])
            async with ask.get(name, account="alice", format="parquet") as answer:
                parquet = night / "got.parquet"
                parquet.write_bytes(await answer.read())
            [(count,)] = duckdb.execute(f"SELECT count(*) FROM '{parquet}'").fetchall()
            assert count == len(document["rows"])
        assert list((night / "web" / "downloads").iterdir()) == []


async def test_rows_are_of_what_was_asked_for_the_newest_and_in_order(night):
    async with asking(night) as ask:
        fills = as_dicts(await ask.document("fills"))
        assert sorted((row["account"], row["money"], row["price"]) for row in fills) == [
            *(("alice", "paper", "101"), ("alice", "paper", "99"), ("alice", "testnet", "110")),
            *(("bob", "real", "50"), ("bob", "real", "51"), ("bob", "shadow", "10")),
        ]
        assert [row["exchange_ts"] for row in fills] == sorted(row["exchange_ts"] for row in fills)
        newest = await ask.document("fills", account="alice", limit="1")
        assert [row["price"] for row in as_dicts(newest)] == ["110"]
        assert newest["limited"] is True
        at = as_dicts(newest)[0]["exchange_ts"]
        assert as_dicts(await ask.document("fills", account="alice", **{"from": at})) == as_dicts(newest)
        before = as_dicts(await ask.document("fills", account="alice", to=at))
        assert [row["price"] for row in before] == ["99", "101"]
        mine = as_dicts(await ask.document("fills", account="bob", strategy="ltc_shadow"))
        assert [row["money"] for row in mine] == ["shadow"]
        refusals = as_dicts(await ask.document("refusals", account="alice", strategy="btc_grid"))
        assert [(row["refused_by"], row["reason"], row["ret_code"]) for row in refusals] == [
            ("gate", "max_notional", None),
            ("exchange", "ab not enough", 110007),
        ]
        pairs = as_dicts(await ask.document("pairs", account="alice"))
        assert [(row["open_price"], row["close_price"], row["profit"]) for row in pairs] == [
            ("99", "101", "2"),
            ("99", "110", "11"),
        ]
        levels = as_dicts(await ask.document("levels", account="alice"))
        assert [(row["level"], row["pairs"], row["profit"]) for row in levels] == [("99", 2, "13")]
        late = as_dicts(await ask.document("levels", account="alice", **{"from": at}))
        assert [(row["pairs"], row["profit"]) for row in late] == [(1, "11")]
        assert [row["name"] for row in as_dicts(await ask.document("commands", account="alice"))] == ["pause"]


async def test_pairs_and_levels_of_a_shadow_are_its_own_and_marked(tmp_path):
    life = Life(tmp_path, "bob")
    life.began("mainnet")
    life.fill("Buy", "50", "1")
    life.fill("Sell", "51", "1", realised_pnl=Decimal(1))
    for side, price in (("Buy", "70"), ("Sell", "73")):
        life.fill(side, price, "1", strategy="ghost", symbol="ETHUSDT", shadow=True)
    life.close()
    write_all(tmp_path)
    async with asking(tmp_path) as ask:
        pairs = as_dicts(await ask.document("pairs", account="bob"))
        assert [(row["strategy"], row["open_price"], row["profit"], row["shadow"]) for row in pairs] == [
            ("btc_grid", "50", "1", False), ("ghost", "70", "3", True)]  # fmt: skip
        [level] = as_dicts(await ask.document("levels", account="bob", strategy="ghost"))
        assert (level["level"], level["profit"], level["shadow"]) == ("70", "3", True)


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("nothing", {}, 404),
        ("fills;DROP TABLE executions", {}, 404),
        ("../fills", {}, 404),
        ("fills", {"account": "a" * 101}, 400),
        ("fills", {"account": "a\nb"}, 400),
        ("fills", {"strategy": "btc_grid"}, 400),
        ("fills", {"from": "yesterday"}, 400),
        ("fills", {"from": "2026-01-01' OR 1=1 --"}, 400),
        ("fills", {"from": "0001-01-01T00:00:00+14:00"}, 400),
        ("fills", {"from": "9999-12-31"}, 400),
        ("fills", {"from": "2026-01-02", "to": "2026-01-01"}, 400),
        ("fills", {"limit": "0"}, 400),
        ("fills", {"limit": "5001"}, 400),
        ("fills", {"limit": "1e3"}, 400),
        ("fills", {"limit": "1; DROP TABLE executions"}, 400),
        ("fills", {"limit": "200001", "format": "csv"}, 400),
        ("fills", {"format": "csv' TO '/tmp/x"}, 400),
        ("fills", {"sql": "SELECT 1"}, 400),
        ("pairs", {}, 400),
    ],
)
def test_what_is_no_question_is_refused(path, parameters, status, night):
    """None of it reaches DuckDB."""
    desk = RecordDesk(night, RecordFile(night, hold_s=PATIENT))
    reply = desk.answer({"ask": "rows", "name": path, **parameters})
    assert reply.status == status
    assert b"Traceback" not in reply.body


async def test_attacks_on_the_route(night):
    names = (
        "' OR 1=1 --",
        "alice' UNION SELECT * FROM run_events --",
        'x"; DROP TABLE executions; --',
        "%00",
        "_",
        "%",
    )
    async with asking(night) as ask:
        for name in names:
            document = await ask.document("fills", account=name)
            assert (document["rows"], document["problem"]) == ([], ""), "a name that no account has"
            async with ask.get("fills", account=name, format="csv") as answer:
                assert len((await answer.text()).splitlines()) == 1
                assert "\n" not in answer.headers["Content-Disposition"]
        assert len((await ask.document("fills"))["rows"]) == 6, "nothing was removed"
        for parameters in ({"ask": "fleet"}, {"name": "equity"}, {f"p{number}": "" for number in range(20)}):
            status, _ = await ask.refused("fills", **parameters)
            assert status == 400
        assert await ask.kit.status("GET", "/api/rows/fills?limit=1&limit=2", ask.headers) == 400
        assert await ask.kit.status("GET", "/api/rows/fills") == 401
        cookie = {"Cookie": ask.headers["Cookie"]}
        assert await ask.kit.status("GET", "/api/rows/fills?format=csv", cookie) == 401
        other = {**ask.headers, "Sec-Fetch-Site": "cross-site"}
        assert await ask.kit.status("GET", "/api/rows/fills?format=csv", other) == 403


async def test_many_at_once_get_one_answer_and_too_many_are_told_to_wait(night, monkeypatch):
    async with asking(night) as ask:
        monkeypatch.setattr(ask.kit.server._reader, "_clock", lambda: 0.0)  # all within the two seconds
        same = await asyncio.gather(*(ask.document("fills") for _ in range(20)))
        assert len({document["as_of"] for document in same}) == 1, "asked once for all"
        monkeypatch.setattr(record_reader, "MOST_WAITING", 2)
        reader = ask.kit.server._reader
        async with reader._turn:  # somebody's question takes its time
            waiting = [asyncio.create_task(ask.refused("fills", limit=f"{number}")) for number in (1, 2)]
            while reader._waiting < 2:
                await asyncio.sleep(0.01)
            status, words = await ask.refused("fills", limit="3")
            assert (status, words) == (429, "too many questions wait for the records; ask again\n")
        assert [status for status, _ in await asyncio.gather(*waiting)] == [200, 200]


async def test_what_was_answered_is_kept_for_seconds_and_in_a_bounded_room(tmp_path):
    now_s = 0.0
    reader = record_reader.RecordReader(tmp_path, lambda: now_s)
    try:
        for number in range(40):
            now_s += 1.0
            await reader.ask({"ask": "rows", "name": f"none-{number}"})
            await reader.ask({"ask": "rows", "name": f"none-{number}"}, fresh_s=30.0)
        assert 20 <= reader.kept <= 22, "those of the last 20 seconds"
    finally:
        await reader.close()


async def test_a_file_that_nobody_takes_is_given_up_and_leaves_nothing(night, monkeypatch):
    monkeypatch.setattr(record_routes, "MOST_DOWNLOADS", 1)
    async with asking(night) as ask:
        routes, reader = ask.kit.server._records, ask.kit.server._reader
        async with reader._turn:
            gone = asyncio.create_task(ask.refused("fills", format="csv"))
            while not reader._waiting:
                await asyncio.sleep(0.01)
            status, words = await ask.refused("fills", format="csv", account="bob")
            assert (status, words) == (429, "too many files are being sent; wait for one of them\n")
            gone.cancel()  # the browser goes away while its file is made
            with contextlib.suppress(asyncio.CancelledError):
                await gone
        while reader._waiting or routes._downloads:
            await asyncio.sleep(0.01)
        assert (await ask.refused("fills", format="csv"))[0] == 200
        assert list((night / "web" / "downloads").iterdir()) == []


def test_the_reader_ends_with_its_input_as_when_the_process_of_the_page_is_killed(night):
    command = [sys.executable, "-m", "supervisor.web.record_process", str(night), "60"]
    done = subprocess.run(
        command, input=b'{"ask":"rows","name":"fills","account":"bob"}\n', capture_output=True, check=True
    )
    head, _, body = done.stdout.partition(b"\n")
    assert json.loads(head) == {"status": 200, "size": len(body), "file": ""}
    assert len(json.loads(body)["rows"]) == 3


async def test_the_reader_gives_the_file_back_in_time_and_is_started_again_when_it_dies(night, tmp_path):
    async with asking(night, hold_s=0.0) as ask:
        document = await ask.document("equity")
        assert document["rows"] == []
        assert "longer than the page may keep the records" in document["problem"]
        status, words = await ask.refused("equity", format="parquet")
        assert (status, "a shorter span" in words) == (503, True)
    async with asking(night) as ask:
        await ask.document("equity")
        reader = ask.kit.server._reader
        first = reader.pid
        os.kill(first, signal.SIGKILL)
        while reader._process.returncode is None:
            await asyncio.sleep(0.01)
        assert (await ask.document("equity", account="alice"))["problem"] == ""
        assert reader.pid != first
    assert reader.pid is None
    async with asking(tmp_path) as ask:
        assert "there is no database" in (await ask.document("equity"))["problem"]
        with duckdb.connect(tmp_path / "gridbot.duckdb") as con:
            con.execute("CREATE TABLE wallets (account VARCHAR)")
        assert "was written by another version" in (await ask.document("equity", limit="7"))["problem"]
        (tmp_path / "gridbot.duckdb").write_bytes(b"nothing of this is a database")
        assert "cannot be opened" in (await ask.document("equity", limit="8"))["problem"]
