"""The state file and its disk: what cannot be written, is refused, or is removed while the exchange runs."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from gridbot.atomic_file import put_in_place
from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.api.dispatch import ROUTES
from gridbot.paper.settings import PositionMode
from gridbot.paper.storage import exchange_file
from gridbot.paper.storage.exchange_file import ExchangeFile, FoldStopped
from gridbot.segment_file import SegmentDisk, segment_numbers
from tests.paper.engine.test_money import new_exchange
from tests.paper.storage.test_state_file import LINEAR, records
from tests.paper.streams.test_trade_channel import ask
from tests.paper.support import ALICE, Inbox, dump_state, eventually, limit_order, manual_config, venue_of


class FullDisk:
    """Lets the journal take only so many bytes more; None: any number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._write = os.write
        monkeypatch.setattr("gridbot.segment_file.SYSTEM_DISK", SegmentDisk(write=self.write))

    def write(self, fd: int, data: bytes) -> int:
        if self.room is None or not os.readlink(f"/proc/self/fd/{fd}").endswith(".journal"):
            return self._write(fd, data)
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part, self.room = data[: self.room], max(0, self.room - len(data))
        return self._write(fd, part)


@pytest.mark.parametrize("room", [0, 100])
def test_what_cannot_be_written_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, room: int
) -> None:
    """With a part of the record on the disk, or none: the exchange stands still until the rest has room."""
    disk = FullDisk(monkeypatch)
    config = manual_config(state_file=tmp_path / "state.json", control=True)
    with venue_of(config) as venue:
        http, inbox = venue.http(), Inbox()
        socket = venue.websocket("private", ALICE)
        socket.order_stream(inbox)
        account = venue.server.exchange.accounts["alice"]
        eventually(lambda: account.listening)
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59900.00", 1, orderLinkId="before"))
        inbox.wait(lambda row: row["orderLinkId"] == "before")
        disk.room = room
        for link_id in ("during", "later"):
            with pytest.raises(InvalidRequestError, match="cannot write its journal") as caught:
                http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59800.00", 1, orderLinkId=link_id))
            assert caught.value.status_code == 10016
        with pytest.raises(InvalidRequestError, match="cannot write its journal"):
            http.get_open_orders(**LINEAR)
        trading = venue.trading_socket()
        order = limit_order("BTCUSDT", "Buy", "0.001", "59700.00", 1, orderLinkId="socket")
        assert ask(trading.place_order, **order)["retCode"] == 10016
        control = venue.control({"action": "list"}).json()
        assert control["retCode"] == 10016
        venue.set_price("BTCUSDT", "50000")  # would fill everything
        assert http.get_server_time()["retCode"] == 0
        assert http.get_tickers(**LINEAR)["result"]["list"][0]["lastPrice"] == "60000.00"
        assert [row["orderLinkId"] for row in inbox.rows()] == ["before"]
        disk.room = None
        inbox.wait(lambda row: row["orderLinkId"] == "during")
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59600.00", 1, orderLinkId="after"))
        listed = [row["orderLinkId"] for row in http.get_open_orders(**LINEAR)["result"]["list"]]
        assert listed == ["after", "during", "before"]
        before = dump_state(venue.server.exchange)
        trading.exit()
        socket.exit()
    assert caplog.text.count("the exchange stands still") == 1
    assert caplog.text.count("the exchange goes on") == 1
    with venue_of(config) as venue:
        assert dump_state(venue.server.exchange) == before


def test_one_write_for_all_that_happens_in_a_turn(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with venue_of(manual_config(state_file=path)) as venue:
        alice, bob = (venue.server.exchange.accounts[name] for name in ("alice", "bob"))
        before = len(records(path))

        def turn() -> None:
            for price in ("59000.00", "58000.00"):
                for account in (alice, bob):
                    params = limit_order("BTCUSDT", "Buy", "0.001", price, 1)
                    venue.server.api.call(ROUTES["/v5/order/create"], "create", account, params, 1)
            venue.server.market.trade("BTCUSDT", "58500", "1", "Sell")

        venue.call(turn)
        eventually(lambda: len(records(path)) > before)
        new = records(path)[before:]
        assert len(new) == 1
        assert {name: (len(part["orders"]), len(part["closed"])) for name, part in new[0]["a"].items()} == {
            "alice": (1, 1),
            "bob": (1, 1),
        }


def test_a_disk_that_refuses_the_state_file_is_reported_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exchange_file, "FOLD_BYTES", 0)
    path = tmp_path / "state.json"
    config = manual_config(state_file=path, state_interval_s=0.01)
    with venue_of(config) as venue:
        file: Any = venue.server._outgoing
        file._file._folded_bytes = 0
        monkeypatch.setattr(exchange_file, "put_in_place", refuse)
        http = venue.http()
        for number in range(3):
            http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", f"{59000 + number}.00", 1))
            eventually(lambda: venue.call(lambda: file._file._journal_bytes == 0))
        monkeypatch.undo()
        before = dump_state(venue.server.exchange)
    assert caplog.text.count(f"{path} cannot be written: Is a directory") == 1
    with venue_of(config) as venue:
        assert dump_state(venue.server.exchange) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["state.json", "state.json.journal"]


def refuse(temporary: Path, path: Path) -> None:
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def test_a_fold_under_way_ends_before_the_next_exchange_may_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one went on with the newest segment; the fold of the one before removed that."""
    exchange, file = new_exchange(PositionMode.HEDGE), ExchangeFile(tmp_path / "state.json")
    file.open(exchange)
    exchange.place(exchange.accounts["a"], NewOrder("LTCUSDT", Side.BUY, Decimal(1), Decimal("80.00"), 1), 1)
    assert file.write_changes()
    replaces, closed = threading.Event(), threading.Event()
    order: list[str] = []

    def slowly(temporary: Path, path: Path) -> None:
        replaces.set()
        file._ends.wait()
        closed.wait(0.3)  # in vain
        put_in_place(temporary, path)
        order.append("folded")

    monkeypatch.setattr(exchange_file, "put_in_place", slowly)
    fold = threading.Thread(target=file.write_whole, args=file.begin_fold(exchange), kwargs={"pause_s": 0.0})
    fold.start()
    replaces.wait()
    file.close()
    order.append("closed")
    closed.set()
    fold.join()
    assert order == ["folded", "closed"]
    with pytest.raises(FoldStopped):
        file.write_whole(*file.begin_fold(exchange))


def test_an_exchange_that_has_given_up_its_file_changes_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with venue_of(manual_config(state_file=path)) as venue:
        http = venue.http()
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59900.00", 1))
        outgoing: Any = venue.server._outgoing
        venue.call(outgoing.close)
        before = dump_state(venue.server.exchange), records(path)
        with pytest.raises(InvalidRequestError, match="cannot write its journal"):
            http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59900.00", 1))
        venue.call(lambda: venue.server.market.trade("BTCUSDT", Decimal(59000), Decimal(9), Side.SELL))
        assert (dump_state(venue.server.exchange), records(path)) == before
    assert records(path) == before[1]


def test_a_state_file_that_somebody_removes_is_made_again(tmp_path: Path) -> None:
    """The next exchange began with fresh accounts, or refused to start."""
    config = manual_config(state_file=tmp_path / "paper" / "state.json", state_interval_s=0.01)
    with venue_of(config) as venue:
        http = venue.http()
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="before"))
        assert venue.call(venue.server.keep_files) == ""
        shutil.rmtree(tmp_path / "paper")
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.020", "59000.00", 1, orderLinkId="unseen"))
        assert "nothing is lost" in venue.call(venue.server.keep_files)
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.020", "58000.00", 1, orderLinkId="after"))
        eventually((tmp_path / "paper" / "state.json").exists)
        assert venue.call(venue.server.keep_files) == ""
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.020", "57000.00", 1, orderLinkId="last"))
        before = dump_state(venue.server.exchange)
    with venue_of(config) as venue:
        assert dump_state(venue.server.exchange) == before


def test_when_segments_of_the_journal_were_removed_the_state_file_is_written_at_once(tmp_path: Path) -> None:
    """Only the newest one can be made again: a death before the next fold left a hole."""
    exchange, file = new_exchange(PositionMode.HEDGE), ExchangeFile(tmp_path / "state.json")
    file.open(exchange)
    for _ in range(2):
        exchange.place(exchange.accounts["a"], NewOrder("LTCUSDT", Side.BUY, Decimal(1), Decimal("80.00"), 1), 1)
        assert file.write_changes()
        file.begin_fold(exchange)  # the disk does not take it: a new segment begins all the same
    exchange.place(exchange.accounts["a"], NewOrder("LTCUSDT", Side.BUY, Decimal(1), Decimal("80.00"), 1), 1)
    assert file.write_changes()
    assert (len(segment_numbers(file.directory)), file.keep(), file.is_long) == (3, False, False)
    shutil.rmtree(file.directory)
    assert (file.keep(), file.keep(), file.is_long) == (True, False, True)
    file.write_whole(*file.begin_fold(exchange), pause_s=0.0)
    assert (file.keep(), file.is_long) == (False, False)
    file.close()
    left_overs = [tmp_path / "state.json.4711-1.tmp", file.directory / f"{9:020d}.journal.4711-1.tmp"]
    for path in left_overs:
        path.touch()  # of one that was killed while it wrote
    again, other = new_exchange(PositionMode.HEDGE), ExchangeFile(tmp_path / "state.json")
    other.open(again)
    other.close()
    assert dump_state(again) == dump_state(exchange)
    assert not any(path.exists() for path in left_overs)
