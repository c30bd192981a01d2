"""Market sources: the seeded synthetic market and the replay of trade files."""

from __future__ import annotations

import gzip
import math
import statistics
import time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from gridbot.paper.feed.replay import ReplayError, read_files
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.synthetic import STEP_S, MarketTrade, SyntheticMarket, in_scenario
from gridbot.paper.server.paper_server import SetupError
from gridbot.paper.settings import PaperConfig, Scenario, SymbolConfig
from tests.paper.support import Inbox, Venue, eventually, limit_order, manual_config, venue_of

HEADER = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"


def path_of(seed: int, seconds: float, **symbols: SymbolConfig) -> list[MarketTrade]:
    market = SyntheticMarket(seed, {symbol: (LISTINGS[symbol], config) for symbol, config in symbols.items()})
    return [trade for _ in range(int(seconds / STEP_S)) for trade in market.step()]


def test_the_seed_decides_the_path() -> None:
    assert path_of(7, 5, BTCUSDT=SymbolConfig()) == path_of(7, 5, BTCUSDT=SymbolConfig())
    assert path_of(7, 5, BTCUSDT=SymbolConfig()) != path_of(8, 5, BTCUSDT=SymbolConfig())


def test_another_symbol_leaves_a_path_alone() -> None:
    alone = path_of(7, 5, BTCUSDT=SymbolConfig())
    both = path_of(7, 5, BTCUSDT=SymbolConfig(), ETHUSDT=SymbolConfig())
    assert [trade for trade in both if trade.symbol == "BTCUSDT"] == alone


@pytest.mark.parametrize("symbol", sorted(LISTINGS))
@pytest.mark.parametrize("seed", range(3))
def test_the_default_market_swings_enough_for_a_grid_within_ten_seconds(symbol: str, seed: int) -> None:
    """It goes 0.2 % up and down again, and stays within a few percent for minutes."""
    prices = [trade.price for trade in path_of(seed, 10, **{symbol: SymbolConfig()})]
    first = prices[0]
    lowest, highest = min(prices), max(prices)
    assert highest / first - 1 > Decimal("0.002") or 1 - lowest / first > Decimal("0.002")
    assert highest / lowest - 1 > Decimal("0.006")
    centre = LISTINGS[symbol].default_price
    long_path = [trade.price for trade in path_of(seed, 200, **{symbol: SymbolConfig()})]
    assert all(abs(price / centre - 1) < Decimal("0.03") for price in long_path)
    assert all(price % LISTINGS[symbol].instrument.tick_size == 0 for price in prices)


def prices_of(scenario: Scenario, seconds: float) -> list[float]:
    config = in_scenario(SymbolConfig(), scenario)
    return [float(trade.price) for trade in path_of(1, seconds, BTCUSDT=config)]


def test_scenarios_do_what_they_say() -> None:
    centre = float(LISTINGS["BTCUSDT"].default_price)
    calm = prices_of(Scenario.CALM, 120)
    assert all(abs(price / centre - 1) < 0.01 for price in calm)
    assert prices_of(Scenario.TREND, 300)[-1] > centre * 1.04
    crash = prices_of(Scenario.CRASH, 120)
    assert min(crash) < centre * 0.91
    assert crash[-1] > min(crash) * 1.03
    squeeze = prices_of(Scenario.SQUEEZE, 120)
    assert max(squeeze) > centre * 1.09
    gap = prices_of(Scenario.GAP, 60)
    assert max(abs(after / before - 1) for before, after in pairwise(gap)) > 0.025


def test_a_symbols_own_fields_overrule_the_scenario() -> None:
    config = in_scenario(SymbolConfig(swing=Decimal("0.01")), Scenario.CALM)
    assert (config.swing, config.volatility) == (Decimal("0.01"), Decimal("0.0001"))


def test_correlated_symbols_move_together() -> None:
    def returns(correlation: float) -> list[tuple[float, float]]:
        calm = in_scenario(SymbolConfig(trades_per_second=Decimal(1)), Scenario.CALM)
        market = SyntheticMarket(3, {s: (LISTINGS[s], calm) for s in ("BTCUSDT", "ETHUSDT")}, correlation=correlation)
        tape = []
        for _ in range(2000):
            market.step()
            prices = market.prices()
            tape.append((float(prices["BTCUSDT"]), float(prices["ETHUSDT"])))
        return [(b[0] / a[0] - 1, b[1] / a[1] - 1) for a, b in pairwise(tape)]

    def together(pairs: list[tuple[float, float]]) -> float:
        return statistics.correlation([a for a, _ in pairs], [b for _, b in pairs])

    assert together(returns(0.9)) > 0.8
    assert abs(together(returns(0.0))) < 0.15


def test_instruments_of_the_configuration_are_traded_like_the_shipped_ones() -> None:
    instrument = {"price": "12.5", "tick_size": "0.005", "qty_step": "0.5", "mm_rate": "0.02"}
    config = manual_config(market={"source": "manual", "mark_halflife_s": 0, "instruments": {"NEWUSDT": instrument}})
    with venue_of(config) as venue:
        http = venue.http()
        listed = http.get_instruments_info(category="linear", symbol="NEWUSDT")["result"]["list"][0]
        assert (listed["priceFilter"]["tickSize"], listed["leverageFilter"]["maxLeverage"]) == ("0.005", "25.00")
        http.place_order(**limit_order("NEWUSDT", "Buy", "1.0", "12.445", 1))
        venue.set_price("NEWUSDT", "12.4")
        assert http.get_positions(category="linear", symbol="NEWUSDT")["result"]["list"][0]["size"] == "1.0"


def write(path: Path, rows: list[tuple[float, str, str, str]]) -> Path:
    text = HEADER + "".join(f"{at:.4f},X,{side},{size},{price},PlusTick,1,1,1,1\n" for at, side, size, price in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def test_files_merge_by_time(tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", [(1.0, "Buy", "1", "100.10"), (3.0, "Sell", "2", "100.00")])
    b = write(tmp_path / "b.csv.gz", [(2.0, "Sell", "3", "50.00")])
    tape = list(read_files({"BTCUSDT": a, "ETHUSDT": b}))
    assert [(at, trade.symbol, str(trade.size)) for at, trade in tape] == [
        (1.0, "BTCUSDT", "1"),
        (2.0, "ETHUSDT", "3"),
        (3.0, "BTCUSDT", "2"),
    ]


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [(1.0, "Buy", "1", "100.10"), (2.0, "Hold", "1", "100.10")])
    with pytest.raises(ReplayError, match=r"a\.csv line 3: not a trade"):
        list(read_files({"BTCUSDT": path}))
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ReplayError, match="missing"):
        list(read_files({"BTCUSDT": tmp_path / "b.csv"}))


def replaying(path: Path, **market: object) -> PaperConfig:
    return manual_config(market={"source": "replay", "files": {"BTCUSDT": path}} | market)


def last_price(venue: Venue) -> str:
    ticker = venue.http(None).get_tickers(category="linear", symbol="BTCUSDT")
    return str(ticker["result"]["list"][0]["lastPrice"])


ROWS = [(100.0, "Buy", "1", "60000.00"), (130.0, "Sell", "2", "59950.00"), (160.0, "Buy", "1", "60080.00")]


def test_a_replay_runs_at_its_speed_and_holds_the_last_price(tmp_path: Path) -> None:
    config = replaying(write(tmp_path / "a.csv.gz", ROWS), speed=100)
    started = time.monotonic()
    with venue_of(config) as venue:
        assert last_price(venue) == "60000.00"
        eventually(lambda: venue.server.market.trade_count == 3)
        assert time.monotonic() - started >= 0.6
        assert last_price(venue) == "60080.00"
        assert not venue.server.ended.is_set()


def test_a_replay_may_loop_or_stop(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ROWS)
    with venue_of(replaying(path, speed=1000, at_end="loop")) as venue:
        eventually(lambda: venue.server.market.trade_count > 6)
    with venue_of(replaying(path, speed=1000, at_end="stop")) as venue:
        eventually(venue.server.ended.is_set)


def test_a_replay_may_be_as_fast_as_it_is_read(tmp_path: Path) -> None:
    rows = [(1_600_000_000.0 + number, "Buy", "0.1", f"{60000 + number}.00") for number in range(3000)]
    config = replaying(write(tmp_path / "a.csv", rows), speed=0)
    with venue_of(config) as venue:
        eventually(lambda: venue.server.market.trade_count == 3000)  # fifty minutes of the file


def test_a_reader_that_is_slow_holds_a_fast_market_up() -> None:
    config = manual_config(market={"source": "synthetic", "symbols": {"BTCUSDT": {}}, "speed": 0})
    with venue_of(config) as venue:
        inbox = Inbox()
        socket = venue.websocket("linear")
        socket.trade_stream("BTCUSDT", inbox)
        eventually(lambda: len(inbox.messages) > 20)
        (connection,) = venue.server.hub.connections

        def block() -> int:
            connection._queue.append((math.inf, b"", ""))  # a frame that never gets its turn
            connection._scheduled = True
            return venue.server.market.trade_count

        blocked = venue.call(block)
        venue.http(None).get_server_time()
        assert venue.server.market.trade_count - blocked < 50
        venue.call(connection.mute)
        eventually(lambda: venue.server.market.trade_count > blocked + 200)
        socket.exit()


def test_an_unknown_symbol_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="NOSUCHUSDT"):
        venue_of(manual_config(market={"symbols": {"NOSUCHUSDT": {}}})).__enter__()


def test_orders_fill_on_both_sides_of_the_synthetic_market() -> None:
    config = manual_config(market={"source": "synthetic", "symbols": {"BTCUSDT": {}}, "speed": 20})
    with venue_of(config) as venue:
        http = venue.http()
        base = {"category": "linear", "symbol": "BTCUSDT", "orderType": "Limit", "qty": "0.010"}
        http.place_order(**base, side="Buy", positionIdx=1, price="59950.00")
        http.place_order(**base, side="Sell", positionIdx=2, price="60050.00")
        eventually(lambda: len(http.get_executions(category="linear")["result"]["list"]) == 2)
        for side, idx, price in (("Sell", 1, "60050.00"), ("Buy", 2, "59950.00")):
            http.place_order(**base, side=side, positionIdx=idx, price=price, reduceOnly=True)
        eventually(lambda: len(http.get_executions(category="linear")["result"]["list"]) == 4)


def test_a_live_market_follows_another_exchange() -> None:
    with venue_of(manual_config()) as upstream:
        upstream.set_price("BTCUSDT", "64000")
        market = {
            "source": "live",
            "live_url": upstream.ws_url + "/v5/public/linear",
            "symbols": {"BTCUSDT": {}},
            "mark_halflife_s": 0,
        }
        with venue_of(manual_config(market=market)) as venue:
            assert last_price(venue) == "64000.00"
            venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.010", "63900.00", 1))
            upstream.trade("BTCUSDT", "63890.00", "0.5", "Sell")
            eventually(lambda: venue.http().get_executions(category="linear")["result"]["list"])
            assert last_price(venue) == "63890.00"
            ticker = venue.http(None).get_tickers(category="linear", symbol="BTCUSDT")["result"]["list"][0]
            assert ticker["lowPrice24h"] == "63890.00"
            upstream.server.exchange.markets["BTCUSDT"].funding_rate = Decimal("0.0003")
            upstream.call(upstream.server.market.set_mark, "BTCUSDT", "63950.00")
            market_here = venue.server.exchange.markets["BTCUSDT"]
            eventually(lambda: (market_here.mark, market_here.funding_rate) == (63950, Decimal("0.0003")))
            assert market_here.next_funding_ms == upstream.server.exchange.markets["BTCUSDT"].next_funding_ms
