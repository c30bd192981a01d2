"""An exchange with a state file: what the next one finds, and files that cannot be used."""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from pybit.exceptions import InvalidRequestError

from gridbot.frames import frame, split
from gridbot.paper.feed.market_setup import SetupError
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.settings import PaperConfig, PositionMode
from gridbot.paper.storage import exchange_file
from gridbot.paper.storage.exchange_file import ExchangeFile
from gridbot.paper.storage.state_records import SEQUENCE_BLOCK
from gridbot.segment_file import segment_numbers, segment_path
from tests.paper.engine.test_money import new_exchange
from tests.paper.support import ALICE, BOB, Venue, dump_state, eventually, limit_order, manual_config, venue_of

D = Decimal
HERE = Path(__file__).parent
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


def records(path: Path) -> list[dict[str, Any]]:
    """Records of the journal of a state file."""
    directory = path.with_name(f"{path.name}.journal")
    return [
        orjson.loads(body)
        for first in segment_numbers(directory)
        for body in split(segment_path(directory, first).read_bytes(), complete=True)[0]
    ]


def test_money_positions_orders_and_history_are_there_again(tmp_path: Path) -> None:
    config = manual_config(state_file=tmp_path / "paper" / "state.json")
    with venue_of(config) as venue:
        http = venue.http()
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="filled"))
        venue.set_price("BTCUSDT", "59800")
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.020", "59000.00", 1, orderLinkId="resting"))
        http.place_order(**limit_order("BTCUSDT", "Sell", "0.004", "60500.00", 1, reduceOnly=True))
        http.set_leverage(**LINEAR, buyLeverage="7", sellLeverage="7")
        venue.trade("BTCUSDT", "60600.00", "1.000", "Buy")
        before = dump_state(venue.server.exchange)
        wallet = str(venue.server.exchange.accounts["alice"].wallet)
        order_ids = {row["orderId"] for row in http.get_order_history(category="linear")["result"]["list"]}
        log = http.get_transaction_log()["result"]["list"]
    with venue_of(config) as venue:
        http = venue.http()
        assert dump_state(venue.server.exchange) == before
        row = http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["coin"][0]
        assert Decimal(row["walletBalance"]) == Decimal(wallet)
        assert http.get_transaction_log()["result"]["list"] == log
        leg = http.get_positions(**LINEAR)["result"]["list"][0]
        assert (leg["size"], leg["avgPrice"], leg["leverage"]) == ("0.006", "59900", "7")
        assert [row["orderLinkId"] for row in http.get_open_orders(**LINEAR)["result"]["list"]] == ["resting"]
        assert len(http.get_executions(category="linear")["result"]["list"]) == 2
        with pytest.raises(InvalidRequestError) as caught:
            http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1, orderLinkId="filled"))
        assert caught.value.status_code == 110072
        fresh = http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59100.00", 1))["result"]["orderId"]
        assert fresh not in order_ids
        venue.set_price("BTCUSDT", "58900")
        assert http.get_positions(**LINEAR)["result"]["list"][0]["size"] == "0.027"


CONTENTS = [
    b"no json",
    orjson.dumps({"version": 99}),
    orjson.dumps({"version": 2}),
    b"[]",
    frame(b'{"through":0}') + frame(b'{"version":7,"n":0}') + frame(b'{"end":1}'),
    frame(b'{"through":0}') + frame(b'{"version":3,"n":0,"run_id":"a"}'),
]


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_that_cannot_be_used_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    for _ in range(2):  # the lock is free again after the first
        with pytest.raises(SetupError, match=r"move it and state\.json\.journal away") as refused:
            venue_of(manual_config(state_file=path)).__enter__()
        assert path.read_bytes() == content
        is_newer = b"99" in content or b'"version":7' in content
        assert ("a newer gridbot wrote it: start that one again" in str(refused.value)) is is_newer


def test_a_journal_with_a_hole_is_refused_and_so_is_one_without_its_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    config = manual_config(state_file=path)
    with venue_of(config) as venue:
        for price in ("59000.00", "59100.00", "59200.00"):
            venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.010", price, 1))
    directory = path.with_name("state.json.journal")
    segment = segment_path(directory, segment_numbers(directory)[0])
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(SetupError, match="record 2 is missing before 3"):
        venue_of(config).__enter__()
    segment.write_bytes(b"".join(lines))
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(SetupError, match="the file is gone, its journal is there"):
        venue_of(config).__enter__()
    (tmp_path / "elsewhere").rename(path)
    with venue_of(config) as venue:
        assert len(venue.server.exchange.accounts["alice"].open) == 3


def test_without_a_file_the_state_ends_with_the_exchange() -> None:
    with venue_of(manual_config()) as venue:
        venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1))
    with venue_of(manual_config()) as venue:
        assert venue.http().get_open_orders(**LINEAR)["result"]["list"] == []


def test_a_state_file_is_for_one_exchange_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_file, "LOCK_WAIT_S", 0.1)
    config = manual_config(state_file=tmp_path / "state.json")
    with venue_of(config), pytest.raises(SetupError, match=f"is in use by process {os.getpid()}"):
        venue_of(config).__enter__()


def test_a_file_of_the_version_before_the_journal_still_opens(tmp_path: Path) -> None:
    """Written by commit a1c99c4; a journal beside it is of a newer program that ran before, and counts no more."""
    path = tmp_path / "state.json"
    content = (HERE / "state-a1c99c4.json").read_bytes()
    path.write_bytes(content)
    old = orjson.loads(content)["accounts"]["alice"]
    directory = tmp_path / "state.json.journal"
    directory.mkdir()
    segment_path(directory, 1).write_bytes(frame(b'{"i":1,"n":77777,"a":{"alice":{"money":["1"]}}}'))
    config = manual_config(state_file=path)
    for _ in range(2):
        with venue_of(config) as venue:
            account = venue.server.exchange.accounts["alice"]
            assert str(account.wallet) == old["wallet"]
            assert list(account.open) == [order["order_id"] for order in old["open"]]
            assert list(account.closed) == [order["order_id"] for order in old["closed"]]
            assert [e.exec_id for e in account.executions] == [row["exec_id"] for row in old["executions"]]
            assert len(account.open) == 4
            assert None in {order.stop_kind for order in account.open.values()}
            assert venue.server.exchange.state.ids.last == orjson.loads(content)["number"]
            assert venue.http().get_positions(**LINEAR)["result"]["list"][0]["size"] == "0.006"


@pytest.mark.parametrize(
    ("commit", "first", "more"),
    [
        ("e4b845c", 7, ()),
        ("c43457c", 17, ("later", "newest")),
        ("4080305", 21, ("later", "newest", "plain")),
    ],
)
def test_a_file_of_an_earlier_version_and_its_journal_still_open(
    tmp_path: Path, commit: str, first: int, more: tuple[str, ...]
) -> None:
    """Version 3 named the fields of each row; version 4 came of it, with an amended order and another one behind it;
    version 5 of that, with another one."""
    path = tmp_path / "state.json"
    path.write_bytes((HERE / f"state-{commit}.json").read_bytes())
    (tmp_path / "state.json.journal").mkdir()
    segment = segment_path(tmp_path / "state.json.journal", first)
    segment.write_bytes((HERE / f"state-{commit}.journal").read_bytes())
    written = [orjson.loads(body) for body in split(segment.read_bytes(), complete=True)[0]]
    states = []
    for _ in range(2):  # the second finds it in the present version
        with venue_of(manual_config(state_file=path)) as venue:
            account = venue.server.exchange.accounts["alice"]
            assert str(account.wallet) == "10003.78320000"
            assert {order.link_id or order.request.create_type: order.status for order in account.open.values()} == {
                **dict.fromkeys(("resting", "attached", *more), "New"),
                **dict.fromkeys(("waits", "CreateByTakeProfit", "CreateByStopLoss"), "Untriggered"),
                "CreateByTrailingStop": "Untriggered",
            }
            assert [order.status for order in account.closed.values()] == ["Filled", "Filled", "Cancelled", "Filled"]
            assert [e.exec_type for e in account.executions] == ["Trade", "Trade", "Trade", "Funding"]
            assert venue.server.exchange.state.ids.last == written[-1]["n"]
            states.append(dump_state(venue.server.exchange))
    assert states[0] == states[1]
    assert b'"version":6' in path.read_bytes()


def test_an_account_that_is_not_configured_for_a_while_keeps_what_it_has(tmp_path: Path) -> None:
    config = manual_config(state_file=tmp_path / "state.json")
    with venue_of(config) as venue:
        venue.http(BOB).place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1))
        before = dump_state(venue.server.exchange)
    for _ in range(2):
        with Venue(PaperSpec(config=config, accounts=(ALICE,))) as venue:
            venue.call(fold, venue.server)
    with venue_of(config) as venue:
        assert dump_state(venue.server.exchange)[1:3] == before[1:3]


def only(symbol: str, config: PaperConfig) -> PaperConfig:
    """The same exchange when the others are no longer configured."""
    market = config.market.model_copy(update={"symbols": {symbol: config.market.symbols[symbol]}})
    return config.model_copy(update={"market": market})


def test_what_belongs_to_a_symbol_that_is_not_configured_for_a_while_is_kept(tmp_path: Path) -> None:
    """It was lost at the next fold; and the history of such a symbol could not be listed at all."""
    config = manual_config(state_file=tmp_path / "state.json")
    past = ("get_order_history", "get_executions", "get_closed_pnl")
    eth = {"category": "linear", "symbol": "ETHUSDT"}
    with venue_of(config) as venue:
        http = venue.http()
        for symbol, price in (("ETHUSDT", "2499.00"), ("BTCUSDT", "59900.00")):
            http.place_order(**limit_order(symbol, "Buy", "0.10", price, 1))
            venue.set_price(symbol, str(D(price) - 1))
        http.place_order(**eth, side="Sell", orderType="Market", qty="0.04", positionIdx=1)
        http.place_order(**limit_order("ETHUSDT", "Buy", "0.10", "2400.00", 1))
        venue.call(venue.server.market.delist, "LTCUSDT", 3600)
        venue.call(venue.server.market.delist, "ETHUSDT", 3600)
        listed = [getattr(http, name)(category="linear")["result"]["list"] for name in past]
        log = http.get_transaction_log()["result"]["list"]
        before = dump_state(venue.server.exchange)
    for _ in range(2):
        with venue_of(only("BTCUSDT", config)) as venue:
            http = venue.http()
            assert http.get_transaction_log()["result"]["list"] == log
            again = [getattr(http, name)(category="linear")["result"]["list"] for name in past]
            assert [[row["symbol"] for row in rows] for rows in again] == [
                [r["symbol"] for r in rows] for rows in listed
            ]
            assert http.get_order_history(category="linear", baseCoin="ETH")["result"]["list"]
            assert http.get_positions(category="linear", settleCoin="USDT")["result"]["list"][0]["symbol"] == "BTCUSDT"
            assert http.get_open_orders(category="linear", settleCoin="USDT")["result"]["list"] == []
            venue.call(fold, venue.server)
    with venue_of(config) as venue:
        assert dump_state(venue.server.exchange) == before
        assert [row["qty"] for row in venue.http().get_open_orders(**eth)["result"]["list"]] == ["0.10"]


def test_the_smallest_order_is_what_it_was_before_the_restart(tmp_path: Path) -> None:
    """Of another lot it is one lot, also when that is the configured lot again."""
    exchange, file = new_exchange(PositionMode.HEDGE), ExchangeFile(tmp_path / "state.json")
    assert exchange.markets["LTCUSDT"].instrument.qty_step == D("0.1")
    file.open(exchange)
    for step in ("0.5", "0.1"):
        exchange.change_rules("LTCUSDT", qty_step=D(step))
    assert file.write_changes()
    file.close()
    again = new_exchange(PositionMode.HEDGE)
    market = again.markets["LTCUSDT"]
    market.relist(replace(market.listing, instrument=replace(market.instrument, min_order_qty=D("0.7"))))
    file = ExchangeFile(tmp_path / "state.json")
    file.open(again)
    file.close()
    assert market.instrument.min_order_qty == D("0.1")


def test_an_account_that_is_new_begins_with_its_deposit(tmp_path: Path) -> None:
    config = manual_config(state_file=tmp_path / "state.json")
    with Venue(PaperSpec(config=config, accounts=(ALICE,))):
        pass
    for _ in range(2):
        with venue_of(config) as venue:
            log = venue.http(BOB).get_transaction_log()["result"]["list"]
            assert [(row["type"], row["change"]) for row in log] == [("TRANSFER_IN", "500")]


def fold(server: PaperServer) -> None:
    """Fold the journal now."""
    outgoing: Any = server._outgoing
    assert outgoing.commit()
    file: ExchangeFile = outgoing._file
    file.write_whole(*file.begin_fold(server.exchange))


def test_a_long_journal_is_folded_and_its_segments_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_file, "FOLD_BYTES", 20_000)
    path = tmp_path / "state.json"
    config = manual_config(state_file=path, state_interval_s=0.01)
    with venue_of(config) as venue:
        http = venue.http()
        for number in range(120):
            price = f"{59000 + number}.00"
            ids = http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", price, 1))["result"]
            http.cancel_order(**LINEAR, orderId=ids["orderId"])
        directory = path.with_name("state.json.journal")
        eventually(lambda: all(first > 100 for first in segment_numbers(directory)))  # none: all is folded
        assert sum(segment_path(directory, n).stat().st_size for n in segment_numbers(directory)) < 200_000
        before = dump_state(venue.server.exchange)
    with venue_of(config) as venue:
        assert dump_state(venue.server.exchange) == before


def test_numbers_of_trades_are_reserved_ahead_as_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    config = manual_config(state_file=path)
    with venue_of(config) as venue:
        market = venue.server.exchange.markets["BTCUSDT"]
        used = market.seq + 3 * SEQUENCE_BLOCK
        venue.call(setattr, market, "seq", used)
        eventually(lambda: any(record.get("m", {}).get("BTCUSDT", [0])[0] > used for record in records(path)))
    with venue_of(config) as venue:
        assert venue.server.exchange.markets["BTCUSDT"].seq >= used
