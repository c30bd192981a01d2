"""State that survives a restart of the exchange."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from pybit.exceptions import InvalidRequestError

from gridbot.paper.feed.market_setup import SetupError
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.server.persistence import VERSION, dump_state
from gridbot.paper.server.state_file import ExchangeFile
from tests.paper.support import ALICE, limit_order, manual_config, venue_of

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


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
        order_ids = {row["orderId"] for row in http.get_order_history(category="linear")["result"]["list"]}
    with venue_of(config) as venue:
        http = venue.http()
        assert dump_state(venue.server.exchange) == before
        wallet = http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["coin"][0]
        assert Decimal(wallet["walletBalance"]) == Decimal(before["accounts"]["alice"]["wallet"])
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


@pytest.mark.parametrize("content", [b"no json", orjson.dumps({"version": 99}), orjson.dumps({"version": 2}), b"[]"])
def test_a_file_that_cannot_be_used_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(SetupError, match="move it away"):
        venue_of(manual_config(state_file=path)).__enter__()
    assert path.read_bytes() == content


def test_without_a_file_the_state_ends_with_the_exchange() -> None:
    with venue_of(manual_config()) as venue:
        venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1))
    with venue_of(manual_config()) as venue:
        assert venue.http().get_open_orders(**LINEAR)["result"]["list"] == []


def test_a_killed_exchange_leaves_a_whole_file_and_the_next_one_tidies_up(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    program = f"""
import asyncio
from pathlib import Path
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.settings import PaperConfig
async def main():
    config = PaperConfig(state_file=Path({str(path)!r}), state_interval_s=0.1, port=0)
    async with PaperServer(PaperSpec(config=config, accounts=())) as server:
        while not server.spec.config.state_file.exists():
            await asyncio.sleep(0.01)
        print("goes", flush=True)
        while True:
            server._file.write(server.exchange)
            await asyncio.sleep(0)
asyncio.run(main())
"""
    (tmp_path / "state.json.new").touch()  # as an earlier version called it
    for _ in range(2):
        exchange = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert exchange.stdout is not None
        assert exchange.stdout.readline()
        exchange.kill()
        exchange.wait()
        assert orjson.loads(path.read_bytes())["version"] == VERSION
    with venue_of(manual_config(state_file=path)):
        assert list(tmp_path.iterdir()) == [path]


def test_a_write_under_way_never_overtakes_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> bytes:
        spec = PaperSpec(config=manual_config(), accounts=[ALICE])
        exchange = PaperServer(spec).exchange
        file = ExchangeFile(tmp_path / "state.json")
        held, release = threading.Event(), threading.Event()
        real = os.fsync

        def slow(fd: int) -> None:
            if not held.is_set():
                held.set()
                release.wait(10)
            real(fd)

        monkeypatch.setattr(os, "fsync", slow)
        keeping = asyncio.create_task(file.keep(exchange, 0.01))
        await asyncio.to_thread(held.wait, 10)
        keeping.cancel()
        exchange.accounts["alice"].wallet += 1
        threading.Timer(0.05, release.set).start()
        file.write(exchange)
        return orjson.dumps(dump_state(exchange))

    expected = asyncio.run(scenario())
    assert (tmp_path / "state.json").read_bytes() == expected


def test_a_disk_that_refuses_is_reported_once_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        exchange = PaperServer(PaperSpec(config=manual_config(), accounts=[ALICE])).exchange
        path = tmp_path / "state.json"
        (path / "file").mkdir(parents=True)
        keeping = asyncio.create_task(ExchangeFile(path).keep(exchange, 0.01))
        await asyncio.sleep(0.2)
        (path / "file").rmdir()
        path.rmdir()
        while not path.is_file():
            await asyncio.sleep(0.01)
        keeping.cancel()

    asyncio.run(scenario())
    assert caplog.text.count("cannot be written: Is a directory; trying again each 0.01 s") == 1
