"""From pybit's thread to the loop: order, coalescing, merging."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gridbot.bybit.event_times import Horizon
from gridbot.bybit.mailbox import Mailbox, PrivateFrame, Ticker, TickerMerger
from gridbot.bybit.raw_fields import FieldError
from tests.bybit.support import eventually, run, ticker_frame

SYMBOL = "BTCUSDT"
NOW_MS = 1_000_000


def test_a_delta_changes_only_what_it_names():
    merger = TickerMerger(Horizon(lambda: NOW_MS))
    merger.merge(SYMBOL, ticker_frame(SYMBOL, 1, kind="snapshot", lastPrice="10", markPrice="11", volume24h="5"), 1)
    ticker = merger.merge(SYMBOL, ticker_frame(SYMBOL, 2, markPrice="12", openInterest="9"), 2)
    assert ticker is not None
    assert ticker.fields == {"symbol": SYMBOL, "lastPrice": "10", "markPrice": "12"}
    assert (ticker.sent_ms, ticker.received_ns) == (2, 2)


def test_a_handed_out_ticker_never_changes():
    merger = TickerMerger(Horizon(lambda: NOW_MS))
    first = merger.merge(SYMBOL, ticker_frame(SYMBOL, 1, kind="snapshot", lastPrice="10"), 1)
    merger.merge(SYMBOL, ticker_frame(SYMBOL, 2, lastPrice="20"), 2)
    assert first is not None
    assert first.fields["lastPrice"] == "10"


def test_a_snapshot_replaces_everything():
    merger = TickerMerger(Horizon(lambda: NOW_MS))
    merger.merge(SYMBOL, ticker_frame(SYMBOL, 1, kind="snapshot", lastPrice="10", markPrice="11"), 1)
    ticker = merger.merge(SYMBOL, ticker_frame(SYMBOL, 2, kind="snapshot", lastPrice="12"), 2)
    assert ticker is not None
    assert "markPrice" not in ticker.fields


def test_a_delta_before_the_snapshot_and_an_older_message_are_ignored():
    merger = TickerMerger(Horizon(lambda: NOW_MS))
    assert merger.merge(SYMBOL, ticker_frame(SYMBOL, 5, lastPrice="9"), 1) is None
    assert merger.merge(SYMBOL, ticker_frame(SYMBOL, 5, kind="snapshot", lastPrice="10"), 2) is not None
    assert merger.merge(SYMBOL, ticker_frame(SYMBOL, 4, lastPrice="8"), 3) is None
    assert merger.merge(SYMBOL, ticker_frame(SYMBOL, 4, kind="snapshot", lastPrice="7"), 3) is None
    assert merger.ignored == 3
    same_time = merger.merge(SYMBOL, ticker_frame(SYMBOL, 5, markPrice="11"), 4)
    assert same_time is not None
    assert same_time.fields["lastPrice"] == "10"


def test_a_time_ahead_of_our_clock_does_not_hide_what_comes_after_it():
    merger = TickerMerger(Horizon(lambda: NOW_MS))
    first = merger.merge(SYMBOL, ticker_frame(SYMBOL, NOW_MS + 10**9, kind="snapshot", lastPrice="10"), 1)
    assert first is not None
    assert first.sent_ms == NOW_MS
    second = merger.merge(SYMBOL, ticker_frame(SYMBOL, NOW_MS + 1, lastPrice="11"), 2)
    assert second is not None
    assert second.fields["lastPrice"] == "11"


def test_a_frame_that_cannot_be_read_changes_nothing():
    merger = TickerMerger(Horizon(lambda: NOW_MS))
    merger.merge(SYMBOL, ticker_frame(SYMBOL, 1, kind="snapshot", lastPrice="10"), 1)
    bad: list[dict[str, object]] = [{"data": {}}, {"ts": "2", "data": []}, {"ts": 2**63 - 1, "data": {}}, {"ts": 2}]
    for frame in bad:
        with pytest.raises(FieldError):
            merger.merge(SYMBOL, {"type": "snapshot", **frame}, 2)
    ticker = merger.merge(SYMBOL, ticker_frame(SYMBOL, 2, markPrice="11", lastPrice=None), 3)
    assert ticker is not None
    assert (ticker.fields["lastPrice"], ticker.fields["markPrice"]) == ("10", "11")


def test_many_frames_wake_the_loop_once():
    async def scene() -> None:
        wakes: list[int] = []
        box = Mailbox(asyncio.get_running_loop(), lambda: wakes.append(1))
        for number in range(100):
            box.put_ticker(SYMBOL, Ticker({}, number, number))
            box.put_private(PrivateFrame("order", [number], 0, 0))
        await asyncio.sleep(0)
        assert len(wakes) == 1
        tickers, frames = box.open()
        assert [ticker.sent_ms for ticker in tickers] == [99]
        assert [frame.rows[0] for frame in frames] == list(range(100))
        box.wake()
        await asyncio.sleep(0)
        assert len(wakes) == 2

    run(scene())


def test_nothing_is_lost_or_reordered_between_threads_and_loop():
    async def scene() -> None:
        got: list[int] = []
        prices: list[int] = []

        def on_wake() -> None:
            tickers, frames = box.open()
            got.extend(frame.rows[0] for frame in frames)
            prices.extend(ticker.sent_ms for ticker in tickers)

        box = Mailbox(asyncio.get_running_loop(), on_wake)

        def produce() -> None:
            for number in range(5000):
                box.put_private(PrivateFrame("order", [number], 0, 0))
                box.put_ticker(SYMBOL, Ticker({}, number, 0))

        thread = threading.Thread(target=produce)
        thread.start()
        await eventually(lambda: len(got) == 5000 and prices and prices[-1] == 4999)
        thread.join()
        assert got == list(range(5000))
        assert prices == sorted(set(prices))

    run(scene())


def test_a_frame_after_the_loop_is_closed_is_no_error():
    loop = asyncio.new_event_loop()
    box = Mailbox(loop, lambda: None)
    loop.close()
    box.put_private(PrivateFrame("order", [], 0, 0))
    assert len(box.open()[1]) == 1
