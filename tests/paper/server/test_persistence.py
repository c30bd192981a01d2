"""State that survives a restart of the exchange."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from pybit.exceptions import InvalidRequestError

from gridbot.paper.feed.market_setup import SetupError
from gridbot.paper.server.persistence import dump_state
from tests.paper.support import limit_order, manual_config, venue_of

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
