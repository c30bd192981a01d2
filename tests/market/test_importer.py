"""Files to days: each layout, and that nothing bad goes in silently."""

from __future__ import annotations

import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from gridbot.market.day import DAY_MS
from gridbot.market.market_error import MarketError
from gridbot.market.parquet_days import write_parquet
from gridbot.store.schema import ensure_schema
from tests.market.import_place import HEAD, START, Place, trade
from tests.market.market_examples import DAY, INSTRUMENT, START_MS, made_day


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


class TestTrades:
    def test_a_dump_becomes_a_day(self, place: Place) -> None:
        place.file("BTCUSDT2026-09-01.csv.gz", HEAD + trade(1.5, side="Sell") + trade(2.25, "60000.2", "1.000"))
        done = place.take()
        assert done.refused == []
        assert place.ticks() == [(1500, 600001, 5, -1), (2250, 600002, 1000, 1)]
        (day,) = done.days
        assert (day.form, day.ticks, day.gaps, done.files[0].rows) == ("trades", 2, 1, 2)
        found = place.market.day("BTCUSDT", DAY)
        assert (found.kind, found.instrument) == ("trades", INSTRUMENT)
        assert found.gaps == ((START_MS + 2250, START_MS + 86_400_000),)
        assert found.sources == ("BTCUSDT2026-09-01.csv.gz", "rules of rules.json")

    def test_newer_files_have_a_column_more(self, place: Place) -> None:
        place.file("BTCUSDT2026-09-01.csv", HEAD.strip() + ",RPI\n" + trade(1).strip() + ",1\n")
        assert place.take().refused == []

    def test_spot_files_have_ms_small_letters_and_no_symbol(self, place: Place) -> None:
        place.file(
            "BTCUSDT_2026-09-01.csv.gz", f"id,timestamp,price,volume,side,rpi\n1,{START_MS + 7},60000.1,0.005,sell,0\n"
        )
        place.take()
        assert place.ticks() == [(7, 600001, 5, -1)]

    def test_a_day_may_come_in_pieces(self, place: Place) -> None:
        """They overlap: a trade that both have counts once."""
        place.file("BTCUSDT-morning.csv", HEAD + trade(1) + trade(2) + trade(86_400 + 5))
        place.file("BTCUSDT-evening.csv", HEAD + trade(3) + trade(2))
        done = place.take()
        assert [(day.date, day.ticks, day.doubles) for day in done.days] == [(DAY, 3, 1), (date(2026, 9, 2), 1, 0)]
        assert [at for at, *_ in place.ticks()] == [1000, 2000, 3000]
        assert place.document().notes["ticks"] == ("1 rows were there twice, and left out",)

    def test_a_day_that_comes_again_is_replaced_whole(self, place: Place) -> None:
        path = place.file("BTCUSDT2026-09-01.csv", HEAD + trade(1) + trade(2))
        place.take(path)
        place.file("BTCUSDT2026-09-01.csv", HEAD + trade(9))
        place.take(path)
        assert [at for at, *_ in place.ticks()] == [9000]

    def test_two_meanings_of_one_id_are_refused(self, place: Place) -> None:
        place.file("BTCUSDT-a.csv", HEAD + trade(1, name="x"))
        second = place.file("BTCUSDT-b.csv", HEAD + trade(1, "60000.3", name="x"))
        (text,) = place.take().refused
        assert text.startswith(
            f"{second} line 2: expected what {place.home / 'BTCUSDT-a.csv'} line 2 says with the same id"
        )
        assert place.market.symbols() == []

    def test_a_copy_of_a_file_is_refused_where_trades_have_no_ids(self, place: Place) -> None:
        rows = "".join(f"{START + at},BTCUSDT,{('Buy', 'Sell')[at % 2]},0.005,60000.1\n" for at in range(9))
        head = "timestamp,symbol,side,size,price\n"
        first, copy = place.file("BTCUSDT-a.csv", head + rows), place.file("BTCUSDT-b.csv.gz", head + rows)
        (text,) = place.take().refused
        assert text.startswith(f"{copy}: expected other trades than those of {first}, got most of them again")
        place.file("BTCUSDT-b.csv.gz", head + rows[: rows.index("\n") + 1] + rows.replace("0.005", "0.006"))
        assert place.take().refused == []  # one row alike may be two trades
        assert len(place.ticks()) == 19

    def test_a_file_whose_name_is_no_text(self, place: Place) -> None:
        place.take(place.file(os.fsdecode(b"BTCUSDT-\xff.csv"), HEAD + trade(1)))
        assert place.document().sources["ticks"] == ("BTCUSDT-\\udcff.csv",)

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            (trade(2, "60000.15"), "price: expected a multiple of the tick size 0.10, got 60000.15"),
            (trade(2, "0"), "price: expected a number above zero, got '0'"),
            (trade(2, size="0.0005"), "size: expected a multiple of the quantity step 0.001, got 0.0005"),
            (trade(2, size="nan"), "size: expected a number from 0 to below 1e+18, got 'nan'"),
            (trade(2, side="Hold"), "side: expected Buy or Sell, got 'Hold'"),
            (trade(2, symbol="ETHUSDT"), "expected rows of BTCUSDT, got 'ETHUSDT'; is it the right file?"),
            (trade(86_400), "expected a time of 2026-09-01, as the file is named, got 2026-09-02 00:00:00; --skip-bad"),
            ("soon" + trade(2)[15:], "time: expected a time, got 'soon'"),
            ("1,2\n", "expected 10 columns, got 2: '1,2'"),
        ],
    )
    def test_a_wrong_row_refuses_its_file_and_is_named(self, place: Place, row: str, words: str) -> None:
        path = place.file("BTCUSDT2026-09-01.csv", HEAD + trade(1) + HEAD + row + trade(3))
        place.file("BTCUSDT2026-09-02.csv", HEAD + trade(86_401))
        done = place.take()
        assert [text[: len(f"{path} line 4: {words}")] for text in done.refused] == [f"{path} line 4: {words}"]
        assert place.market.days("BTCUSDT") == [date(2026, 9, 2)]
        skipped = place.take(skip_bad=True)
        assert skipped.refused == []
        assert [at for at, *_ in place.ticks()] == [1000, 3000]
        assert [len(file.named) for file in skipped.files] == [1, 0]
        assert "BTCUSDT2026-09-01.csv: 1 wrong row left out" in place.document().notes["ticks"]

    def test_inverse_contracts_are_refused(self, place: Place) -> None:
        place.file("BTCUSD2026-09-01.csv", HEAD + trade(2, symbol="BTCUSD"))
        assert "an inverse contract; take its USDT contract" in place.take().refused[0]

    def test_a_refused_file_leaves_the_day_as_it_was(self, place: Place) -> None:
        place.take(place.file("BTCUSDT2026-09-01.csv", HEAD + trade(1)))
        place.take(place.file("BTCUSDT2026-09-01.csv", HEAD + trade(2) + "x\n"))
        assert [at for at, *_ in place.ticks()] == [1000]

    def test_a_refused_piece_takes_its_symbol_with_it(self, place: Place) -> None:
        """It may have had rows of each of those days."""
        place.file("BTCUSDT-a.csv", HEAD + trade(1))
        place.file("BTCUSDT-b.csv", HEAD + "x\n")
        place.file("ETHUSDT-a.csv", HEAD + trade(1, symbol="ETHUSDT"))
        place.take(rules={"BTCUSDT": INSTRUMENT, "ETHUSDT": INSTRUMENT})
        assert place.market.symbols() == ["ETHUSDT"]

    def test_a_named_day_and_pieces_of_it_are_one(self, place: Place) -> None:
        place.file("BTCUSDT2026-09-01.csv", HEAD + trade(2))
        place.file("BTCUSDT-more.csv", HEAD + trade(1))
        assert [day.ticks for day in place.take().days] == [2]

    def test_nothing_is_left_beside_the_days(self, place: Place) -> None:
        place.file("BTCUSDT2026-09-01.csv", HEAD + trade(2))
        place.take()
        assert {path.name for path in place.market.root.iterdir()} == {"BTCUSDT", "import.lock"}


class TestCandles:
    ROWS = f"start,open,high,low,close,volume\n{START_MS},60000,60010,59995,60001,0.009\n"

    def test_a_candle_becomes_four_ticks(self, place: Place) -> None:
        place.file("BTCUSDT-1m.csv", self.ROWS + f"{START_MS + 60_000},60001,60001,60001,60001,0\n")
        (day,) = place.take().days
        assert place.ticks()[:4] == [
            (0, 600000, 2, 1),
            (20_000, 599950, 2, -1),
            (40_000, 600100, 2, 1),
            (59_999, 600010, 3, -1),
        ]
        assert (day.form, day.ticks, day.gaps) == ("candles", 8, 1)
        assert place.market.day("BTCUSDT", DAY).gaps == ((START_MS + 119_999, START_MS + 86_400_000),)

    def test_feather_and_parquet_of_floats(self, place: Place) -> None:
        columns = {"open": [60000.1], "high": [60000.3], "low": [60000.1], "close": [60000.2], "volume": [0.0123]}
        table = pa.table({"date": pa.array([START_MS * 1_000_000], pa.timestamp("ns", "UTC")), **columns})
        pyarrow.feather.write_feather(table, str(place.home / "BTCUSDT-1m-futures.feather"))
        place.take()
        assert [price for _, price, *_ in place.ticks()] == [600001, 600001, 600003, 600002]
        before = place.ticks()
        (place.home / "BTCUSDT-1m-futures.feather").unlink()
        pyarrow.parquet.write_table(table, place.home / "BTCUSDT.parquet")
        place.take()
        assert place.ticks() == before

    def test_metatrader_files_are_of_utc_plus_three(self, place: Place) -> None:
        text = "2026.09.01 03:00,60000,60010,59995,60001,0.009\n"
        place.file("BTCUSDT_1_2026-09-01_2026-09-30.csv.gz", text)
        place.take()
        first = place.ticks()
        place.file("BTCUSDT_1_2026-09-01_2026-09-30.csv.gz", text.replace(" ", ","))
        place.take()
        assert first == place.ticks()
        assert first[0] == (0, 600000, 2, 1)

    def test_any_columns_by_a_map(self, place: Place) -> None:
        path = place.file("mine.csv", self.ROWS.replace("start", "when").replace("open", "o"))
        assert "--column" in place.take(path).refused[0]
        place.take(path, symbol="BTCUSDT", columns={"time": "when", "open": "o"})
        assert len(place.ticks()) == 4
        for columns, words in (
            ({"time": "there"}, "expected the column 'there' for time, got 'when, o, high"),
            ({"colour": "when"}, "expected one of close, high, id,"),
        ):
            assert words in place.take(path, symbol="BTCUSDT", columns=columns).refused[0]

    def test_a_candle_that_cannot_be_is_refused(self, place: Place) -> None:
        place.file("BTCUSDT.csv", self.ROWS.replace("60010", "59999"))
        (text,) = place.take().refused
        assert text.endswith(
            "line 2: expected low <= open, close <= high, got open 60000, high 59999, low 59995, close 60001"
        )

    def test_trades_are_not_replaced_by_candles_unasked(self, place: Place) -> None:
        place.take(place.file("BTCUSDT2026-09-01.csv", HEAD + trade(1)))
        candles = place.file("BTCUSDT-1m.csv", self.ROWS)
        (day,) = place.take(candles).days
        assert day.notes[-1].startswith("candles not taken: there are trades of this day")
        assert len(place.ticks()) == 1
        place.take(candles, replace=True)
        assert len(place.ticks()) == 4

    def test_of_trades_and_candles_in_one_import_trades_count(self, place: Place) -> None:
        place.file("BTCUSDT2026-09-01.csv", HEAD + trade(1))
        place.file("BTCUSDT-1m.csv", self.ROWS)
        (day,) = place.take().days
        assert (day.form, day.ticks) == ("trades", 1)
        assert "candles of the same day were left out: trades say more" in day.notes

    def test_index_prices_are_refused(self, place: Place) -> None:
        path = place.file("BTCUSDT2026-09-01_premium_index.csv.gz", self.ROWS)
        with pytest.raises(MarketError, match="expected traded or mark prices, got a file of index prices"):
            place.take(path)

    def bars(self, *seconds: int, span: int = 60) -> str:
        rows = "".join(f"{(START + at) * 1000},60000,60010,59995,60001\n" for at in (*range(0, 600, span), *seconds))
        return f"start,open,high,low,close\n{rows}"

    def test_a_stray_candle_is_a_wrong_row_and_changes_no_other(self, place: Place) -> None:
        place.file("BTCUSDT-1m.csv", self.bars(630))
        (text,) = place.take().refused
        assert text.endswith(
            "BTCUSDT-1m.csv line 12: expected a candle that begins some times 60 s after or before the others, "
            "got 2026-09-01 00:10:30"
        )
        place.take(skip_bad=True)
        assert [at for at, *_ in place.ticks()][:5] == [0, 20_000, 40_000, 59_999, 60_000]
        assert place.document().gaps == ((START_MS + 599_999, START_MS + DAY_MS),)

    def test_candles_of_two_lengths_are_no_day(self, place: Place) -> None:
        place.file("BTCUSDT-1m.csv", self.bars())
        place.file("BTCUSDT-2m.csv", self.bars(span=120))
        (text,) = place.take().refused
        assert text == "BTCUSDT 2026-09-01: expected candles of one length, got some of 60 s and of 120 s; import one"

    def test_a_candle_that_goes_over_midnight_is_refused(self, place: Place) -> None:
        rows = "".join(f"{(START + at * 14_400 - 7200) * 1000},60000,60010,59995,60001\n" for at in range(1, 8))
        (text,) = place.take(place.file("BTCUSDT-4h.csv", f"start,open,high,low,close\n{rows}")).refused
        assert text.endswith(
            "line 7: expected a candle that ends on the day (UTC) on which it begins, "
            "got 14400 s from 2026-09-01 22:00:00"
        )
        day = made_day([5] * 6, kind="candles")  # as earlier versions wrote it
        with pytest.raises(MarketError, match="BTCUSDT 2026-09-01: expected whole candles, got parts of some"):
            write_parquet(day, place.market.put(day), place.home / "out")


class TestMarksAndFundings:
    def answer(self, rows: list[Any], **more: str) -> str:
        return json.dumps({"retCode": 0, "result": {"category": "linear", "list": rows, **more}})

    def test_marks_and_fundings_join_the_day_that_is_there(self, place: Place) -> None:
        place.take(place.file("BTCUSDT2026-09-01.csv", HEAD + trade(1)))
        mark = self.answer([[str(START_MS), "60000.55", "60001", "60000", "60000.5"]], symbol="BTCUSDT")
        rate = {"symbol": "BTCUSDT", "fundingRate": "-0.000125", "fundingRateTimestamp": str(START_MS)}
        (day,) = place.take(place.file("m.json", mark + "\n" + self.answer([rate]))).days
        assert (day.form, day.ticks, day.marks, day.fundings) == ("trades", 1, 4, 1)
        found = place.market.day("BTCUSDT", DAY)
        assert [int(mark) * found.mark_unit for mark in found.marks] == [
            Decimal(word) for word in ("60000.55", "60001", "60000", "60000.5")
        ]
        assert found.fundings == ((START_MS, Decimal("-0.000125")),)
        assert found.mark_unit == Decimal("0.01")

    def test_they_may_be_there_before_the_trades(self, place: Place) -> None:
        place.file("BTCUSDT-funding.csv", f"fundingRateTimestamp,fundingRate\n{START_MS},0.0001\n")
        place.take(rules={})
        assert place.market.days("BTCUSDT") == []
        place.take(place.file("BTCUSDT2026-09-01.csv", HEAD + trade(1)))
        assert place.market.day("BTCUSDT", DAY).fundings == ((START_MS, Decimal("0.0001")),)

    def test_single_mark_prices(self, place: Place) -> None:
        place.file("BTCUSDT-mark.csv", f"timestamp,mark_price\n{START_MS},60000.12\n{START_MS + 5},60000.1\n")
        (day,) = place.take().days
        assert day.marks == 2

    def test_a_funding_that_cannot_be_is_refused(self, place: Place) -> None:
        for rate in ("0.6", "x"):
            place.file("BTCUSDT-funding.csv", f"timestamp,fundingRate\n{START_MS},{rate}\n")
            assert "BTCUSDT-funding.csv line 2: rate: expected a" in place.take().refused[0]

    def test_two_rates_of_one_time_are_refused(self, place: Place) -> None:
        place.file("BTCUSDT-funding.csv", f"timestamp,fundingRate\n{START_MS},0.1\n{START_MS},0.2\n")
        (refused,) = place.take().refused
        assert "funding.csv line 3: rate: expected 0.1 of BTCUSDT at" in refused
        assert "funding.csv line 2 says, got 0.2" in refused

    def test_an_answer_that_is_an_error_is_refused(self, place: Place) -> None:
        place.file("page.json", json.dumps({"retCode": 10006, "retMsg": "Too many visits", "result": {}}))
        assert "page.json value 1: " in (refused := place.take().refused[0])
        assert "expected retCode 0, got '10006'" in refused


class TestRecords:
    def database(self, place: Place, *, trades: bool) -> Path:
        path = place.home / "gridbot.duckdb"
        with duckdb.connect(str(path)) as made:
            ensure_schema(made)
            at = "TIMESTAMP '2026-09-01 00:00:01.5'"
            for account in ("alice", "bob"):
                head = f"'{account}', 'run', 1, {at}, 'BTCUSDT'"
                made.execute(
                    "INSERT INTO tickers_stored"
                    " (account, run_id, seq, local_ts, symbol, last_price, mark_price, exchange_ts)"
                    f" VALUES ({head}, 60000.1, 60000.125, {at})"
                )
                if trades:
                    made.execute(
                        "INSERT INTO public_trades_stored"
                        " (account, run_id, seq, local_ts, symbol, trade_id, side, price, qty, exchange_ts)"
                        f" VALUES ({head}, '0000002a-0000-4000-8000-00000000000a', 'Sell', 60000.2, 0.004, {at})"
                    )
        return path

    def test_tickers_are_prices_without_sizes(self, place: Place) -> None:
        (day,) = place.take(self.database(place, trades=False)).days
        assert (day.form, day.ticks, day.marks, day.doubles) == ("tickers", 1, 1, 0)
        assert place.ticks() == [(1500, 600001, 0, 1)]
        assert place.market.day("BTCUSDT", DAY).kind == "candles"

    def test_trades_of_two_accounts_count_once(self, place: Place) -> None:
        (day,) = place.take(self.database(place, trades=True)).days
        assert (day.form, day.ticks, day.marks, day.doubles) == ("trades", 1, 1, 1)
        assert place.ticks() == [(1500, 600002, 4, -1)]

    def test_an_export_of_tickers(self, place: Place) -> None:
        """The exchange does not tell the time of each."""
        at = pa.array([None, START_MS + 7], pa.timestamp("ms"))
        local = pa.array([START_MS + 5, START_MS + 9], pa.timestamp("ms"))
        prices = {"last_price": [Decimal("60000.10"), Decimal("60000.20")], "symbol": ["BTCUSDT"] * 2}
        pyarrow.parquet.write_table(
            pa.table({"local_ts": local, "exchange_ts": at, **prices}), place.home / "x.parquet"
        )
        place.take()
        assert [(when, price) for when, price, *_ in place.ticks()] == [(5, 600001), (7, 600002)]

    def test_orders_and_fills_of_ours_are_not_taken_for_the_market(self, place: Place) -> None:
        for name in ("strategy", "order_link_id", "orderId", "exec_id"):
            path = place.file("x.csv", f"exchange_ts,symbol,side,price,qty,{name}\n{START},BTCUSDT,Buy,60000,1,x\n")
            (text,) = place.take(path).refused
            assert text == f"{path}: expected what traded on the market, got orders or fills of an account ({name})"

    def test_another_database_is_refused(self, place: Place) -> None:
        path = place.home / "x.duckdb"
        duckdb.connect(str(path)).execute("CREATE TABLE other (a INTEGER)").close()
        assert "expected the table tickers or public_trades, got other" in place.take(path).refused[0]

    def test_frames_as_they_came_and_as_others_keep_them(self, place: Place) -> None:
        trade_frame = {
            "topic": "publicTrade.BTCUSDT",
            "data": [{"T": START_MS + 3, "s": "BTCUSDT", "S": "Buy", "v": "0.004", "p": "60000.2", "i": "a"}],
        }
        ticker = {"topic": "tickers.BTCUSDT", "ts": START_MS + 4, "data": {"symbol": "BTCUSDT", "markPrice": "60000.3"}}
        first = {**ticker, "ts": START_MS + 2, "data": {**ticker["data"], "lastPrice": "60000.1"}}  # type: ignore[dict-item]
        spot = {**trade_frame, "data": [{**trade_frame["data"][0], "v": "0.0000001"}]}  # type: ignore[dict-item]
        lines = [
            {"t": "connect", "conn": "1", "addr": "wss://stream.bybit.com/v5/public/linear"},
            {"t": "connect", "conn": "2", "addr": "wss://stream.bybit.com/v5/public/spot"},
            {"conn": "1", "data": json.dumps(trade_frame)},
            {"conn": "2", "data": json.dumps(spot)},
            first,
            ticker,
            {"success": True, "op": "subscribe"},
        ]
        place.file("frames.jsonl.gz", "\n".join(map(json.dumps, lines)))
        (day,) = place.take().days
        assert (day.form, day.ticks, day.marks) == ("trades", 1, 2)

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("x.json", "{", "x.json line 1: expected JSON"),
            ("x.json", "[1]", "x.json value 1: expected an answer or a frame of Bybit"),
            ("x.jsonl", '{}\n{"a', "x.jsonl line 2: expected JSON"),
            ("x.jsonl", '{"topic":"publicTrade.X","data":[{"T":1}]}', "x.jsonl line 1: expected an answer or a frame"),
        ],
    )
    def test_what_is_no_answer_is_refused(self, place: Place, name: str, text: str, words: str) -> None:
        place.file(name, text)
        assert words in place.take().refused[0]
