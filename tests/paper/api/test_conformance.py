"""Every answer and message that clients see has Bybit's fields, types and enumerations."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.engine.liquidation import Liquidation
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.rows import market_rows
from tests.paper import shapes
from tests.paper.conformance import FRAMES, SHAPES, captured, compare, endpoint_file, topic_file, wrong_enums
from tests.paper.support import ALICE, BOB, Inbox, Venue, eventually, limit_order, manual_config, venue_of

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


class Session:
    """Answers by path and messages by topic of one lively session."""

    def __init__(self, venue: Venue) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        public, private = Inbox(), Inbox()
        self._sockets(venue, public, private)
        self._trade(venue)
        self._query(venue)
        self._settings(venue)
        topics = {"order", "execution", "execution.fast", "position", "wallet"}
        eventually(lambda: {m["topic"] for m in private.messages} == topics)
        eventually(lambda: len({m["topic"] for m in public.messages}) == 6)
        for message in private.messages:
            self.messages[message["topic"]] = message
        for message in public.messages:
            self.messages.setdefault(f"{message['topic'].split('.')[0]} snapshot", message)

    def _sockets(self, venue: Venue, public: Inbox, private: Inbox) -> None:
        stream, account = venue.websocket("linear"), venue.websocket("private", ALICE)
        stream.ticker_stream("BTCUSDT", public)
        stream.trade_stream("BTCUSDT", public)
        stream.orderbook_stream(50, "BTCUSDT", public)
        stream.kline_stream(1, "BTCUSDT", public)
        stream.price_limit_stream("BTCUSDT", public)
        stream.all_liquidation_stream("BTCUSDT", public)
        for subscribe in (account.order_stream, account.execution_stream, account.position_stream):
            subscribe(private)
        account.fast_execution_stream(private)
        account.wallet_stream(private)
        eventually(lambda: len(venue.server.exchange.accounts["alice"].listening) == 4)
        for topic in ("kline.1.BTCUSDT", "priceLimit.BTCUSDT", "allLiquidation.BTCUSDT"):
            eventually(lambda topic=topic: venue.call(venue.server.hub.listeners, topic))  # type: ignore[misc]
        eventually(lambda: any("execution.fast" in each.topics for each in venue.server.hub.connections))
        self.close = lambda: (stream.exit(), account.exit())

    def _trade(self, venue: Venue) -> None:
        http = venue.http()
        order = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="s1")
        self.answers["/v5/order/create"] = http.place_order(**order)
        self.answers["/v5/order/amend"] = http.amend_order(**LINEAR, orderLinkId="s1", price="59950.00")
        venue.trade("BTCUSDT", "59000.00", "1.000", "Sell")
        http.place_order(**limit_order("BTCUSDT", "Sell", "0.005", "59500.00", 1, reduceOnly=True))
        venue.trade("BTCUSDT", "59600.00", "1.000", "Buy")
        liquidation = Liquidation("BTCUSDT", Side.BUY, Decimal("0.300"), Decimal("58500.00"), venue.server.now_ms())
        venue.call(venue.server.publisher.liquidated, [liquidation])
        venue.call(venue.server.market.settle_funding, "BTCUSDT", "0.0001")
        venue.server.exchange.markets["BTCUSDT"].funding_due(2**50)
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "50000.00", 1, orderLinkId="s2"))
        self.answers["/v5/order/cancel"] = http.cancel_order(**LINEAR, orderLinkId="s2")
        batch = [limit_order("BTCUSDT", "Buy", "0.001", "50000.00", 1), {"symbol": "BTCUSDT"}]
        self.answers["/v5/order/create-batch"] = http.place_batch_order(category="linear", request=batch)
        stops = {"takeProfit": "60500.00", "stopLoss": "40000.00", "tpslMode": "Partial"}
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "50000.00", 1, orderLinkId="s3", **stops))
        item = {"symbol": "BTCUSDT", "orderLinkId": "s3"}
        self.answers["/v5/order/amend-batch"] = http.amend_batch_order(
            category="linear", request=[{**item, "price": "50100.00"}]
        )
        self.answers["/v5/position/trading-stop"] = http.set_trading_stop(
            **LINEAR, positionIdx=1, takeProfit="70000.00", stopLoss="50000.00", trailingStop="5000"
        )
        self.answers["/v5/order/pre-check"] = http.pre_check_order(
            **limit_order("BTCUSDT", "Buy", "0.001", "50000.00", 1)
        )
        self.answers["/v5/order/realtime"] = http.get_open_orders(**LINEAR)
        self.answers["/v5/order/cancel-batch"] = http.cancel_batch_order(category="linear", request=[item])
        self.answers["/v5/order/cancel-all"] = http.cancel_all_orders(**LINEAR)

    def _query(self, venue: Venue) -> None:
        http = venue.http()
        calls: dict[str, Any] = {
            "/v5/market/time": http.get_server_time,
            "/v5/market/price-limit": lambda: http.get_price_limit(**LINEAR),
            "/v5/market/instruments-info": lambda: http.get_instruments_info(**LINEAR),
            "/v5/market/tickers": lambda: http.get_tickers(**LINEAR),
            "/v5/market/orderbook": lambda: http.get_orderbook(**LINEAR),
            "/v5/market/kline": lambda: http.get_kline(**LINEAR, interval="1"),
            "/v5/market/mark-price-kline": lambda: http.get_mark_price_kline(**LINEAR, interval="1"),
            "/v5/market/index-price-kline": lambda: http.get_index_price_kline(**LINEAR, interval="1"),
            "/v5/market/premium-index-price-kline": lambda: http.get_premium_index_price_kline(**LINEAR, interval="1"),
            "/v5/market/open-interest": lambda: http.get_open_interest(**LINEAR, intervalTime="5min"),
            "/v5/account/transaction-log": http.get_transaction_log,
            "/v5/market/recent-trade": lambda: http.get_public_trade_history(**LINEAR),
            "/v5/market/risk-limit": lambda: http.get_risk_limit(**LINEAR),
            "/v5/market/funding/history": lambda: http.get_funding_rate_history(**LINEAR),
            "/v5/account/fee-rate": lambda: http.get_fee_rates(**LINEAR),
            "/v5/account/wallet-balance": lambda: http.get_wallet_balance(accountType="UNIFIED"),
            "/v5/account/info": http.get_account_info,
            "/v5/account/user-setting-config": http.get_user_setting_config,
            "/v5/account/instruments-info": lambda: http.get_account_instruments_info(**LINEAR),
            "/v5/position/list": lambda: http.get_positions(**LINEAR),
            "/v5/position/closed-pnl": lambda: http.get_closed_pnl(category="linear"),
            "/v5/order/history": lambda: http.get_order_history(category="linear"),
            "/v5/execution/list": lambda: http.get_executions(category="linear"),
            "/v5/user/query-api": http.get_api_key_information,
        }
        self.answers |= {path: call() for path, call in calls.items()}

    def _settings(self, venue: Venue) -> None:
        """Of another account: settings, isolated margin, a contract that is delivered, and reports."""
        http, leg = venue.http(BOB), {**LINEAR, "positionIdx": 1}
        venue.call(venue.server.market.announce, {"action": "maintain", "id": "1"})
        calls: dict[str, tuple[str, dict[str, Any]]] = {
            "account/set-margin-mode": ("POST", {"setMarginMode": "ISOLATED_MARGIN"}),
            "position/set-leverage": ("POST", {**LINEAR, "buyLeverage": "20", "sellLeverage": "5"}),
            "position/set-tpsl-mode": ("POST", {**LINEAR, "tpSlMode": "Full"}),
            "account/set-limit-px-action": ("POST", {"category": "linear", "modifyEnable": True}),
            "order/create": ("POST", {**leg, "side": "Buy", "orderType": "Market", "qty": "0.010"}),
            "position/set-risk-limit": ("POST", {**leg, "riskId": 1}),
            "position/add-margin": ("POST", {**leg, "margin": "10"}),
            "position/set-auto-add-margin": ("POST", {**leg, "autoAddMargin": 1}),
            "account/trade-info-for-analysis": ("GET", {"symbol": "BTCUSDT"}),
            "asset/coin/query-info": ("GET", {"coin": "USDT"}),
            "account/collateral-info": ("GET", {}),
            "market/insurance": ("GET", {}),
            "market/account-ratio": ("GET", {**LINEAR, "period": "5min"}),
            "system/status": ("GET", {}),
            "order/disconnected-cancel-all": ("POST", {"product": "DERIVATIVES", "timeWindow": 10}),
        }
        for path, (verb, params) in calls.items():
            self.answers.setdefault(f"/v5/{path}", asked(http, verb, path, **params))
        venue.call(venue.server.market.delist, "BTCUSDT", 0.0)
        self.answers["/v5/asset/delivery-record"] = asked(http, "GET", "asset/delivery-record", category="linear")
        self.answers["/v5/announcements/index"] = asked(http, "GET", "announcements/index", locale="en-US")
        mode = {"category": "linear", "symbol": "ETHUSDT", "mode": 0}
        self.answers["/v5/position/switch-mode"] = asked(http, "POST", "position/switch-mode", **mode)


def asked(http: Any, verb: str, path: str, **params: Any) -> Any:
    """The answer to a call, whether the client has a method for it or not."""
    is_signed = not path.startswith(("market/", "system/", "announcements/"))
    return http._submit_request(method=verb, path=f"{http.endpoint}/v5/{path}", query=params, auth=is_signed)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with venue_of(manual_config(dcp=True)) as venue:
        held = Session(venue)
        yield held
        held.close()


def findings(reference: Any, ours: Any) -> list[str]:
    return sorted({str(difference) for difference in compare(reference, ours)})


@pytest.mark.parametrize("path", sorted(shapes.ENDPOINTS))
def test_answers_have_our_own_shapes(session: Session, path: str) -> None:
    answer = session.answers[path]
    assert set(answer) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
    assert findings(shapes.ENDPOINTS[path], answer["result"]) == []
    for value in answer["result"].values():
        assert value != []


@pytest.mark.parametrize("topic", sorted(shapes.TOPICS))
def test_messages_have_our_own_shapes(session: Session, topic: str) -> None:
    assert findings(shapes.TOPICS[topic], session.messages[topic]) == []


def test_enumerations_are_bybits(session: Session) -> None:
    payloads = [*(answer.get("result") for answer in session.answers.values()), *session.messages.values()]
    found = {str(difference) for payload in payloads for difference in wrong_enums(payload)}
    assert sorted(found) == []


def test_the_comparison_finds_what_is_wrong() -> None:
    assert findings({"a": "1", "b": [{"c": 1}]}, {"a": 1, "b": [{"d": 1}]}) == [
        ".a: expected text, got number 1",
        ".b[]: field 'c' is missing",
    ]
    assert [str(each) for each in wrong_enums({"list": [{"side": "Bid"}]})] == [
        ".list[].side: 'Bid' is no value of Bybit's"
    ]


FILES = {
    "Trading/GetOrders.txt": "/v5/order/realtime",
    "Trading/GetOrderHistory.txt": "/v5/order/history",
    "Trading/GetPositions.txt": "/v5/position/list",
    "Trading/GetUserTrades.txt": "/v5/execution/list",
    "Trading/GetClosedProfitLoss.txt": "/v5/position/closed-pnl",
    "Trading/PlaceOrder.txt": "/v5/order/create",
    "Trading/EditOrder.txt": "/v5/order/amend",
    "Trading/CancelOrder.txt": "/v5/order/cancel",
    "Trading/CancelAllOrder.txt": "/v5/order/cancel-all",
    "Trading/PlaceMultipleOrders.txt": "/v5/order/create-batch",
    "Trading/EditMultipleOrders.txt": "/v5/order/amend-batch",
    "Trading/CancelMultipleOrders.txt": "/v5/order/cancel-batch",
    "Trading/SetTradingStop.txt": "/v5/position/trading-stop",
    "Trading/PreCheckOrder.txt": "/v5/order/pre-check",
    "Account/GetTransactionHistory.txt": "/v5/account/transaction-log",
    "ExchangeData/GetMarkPriceKlines.txt": "/v5/market/mark-price-kline",
    "ExchangeData/GetIndexPriceKlines.txt": "/v5/market/index-price-kline",
    "ExchangeData/GetPremiumIndexPriceKlines.txt": "/v5/market/premium-index-price-kline",
    "ExchangeData/GetOpenInterest.txt": "/v5/market/open-interest",
    "Account/GetBalances.txt": "/v5/account/wallet-balance",
    "Account/GetFeeRate.txt": "/v5/account/fee-rate",
    "Account/GetMarginAccountInfo.txt": "/v5/account/info",
    "Account/GetApiKeyInfo.txt": "/v5/user/query-api",
    "ExchangeData/GetLinearInverseSymbols.txt": "/v5/market/instruments-info",
    "ExchangeData/GetLinearInverseTickers.txt": "/v5/market/tickers",
    "ExchangeData/GetOrderbook.txt": "/v5/market/orderbook",
    "ExchangeData/GetKlines.txt": "/v5/market/kline",
    "ExchangeData/GetTradeHistory.txt": "/v5/market/recent-trade",
    "ExchangeData/GetRiskLimit.txt": "/v5/market/risk-limit",
    "ExchangeData/GetOrderPriceLimit.txt": "/v5/market/price-limit",
    "ExchangeData/GetFundingRateHistory.txt": "/v5/market/funding/history",
    "Account/AddOrReduceMargin.txt": "/v5/position/add-margin",
    "Account/SetAutoAddMargin.txt": "/v5/position/set-auto-add-margin",
    "Account/SetLeverage.txt": "/v5/position/set-leverage",
    "Account/SetMarginMode.txt": "/v5/account/set-margin-mode",
    "Account/SetPriceLimitBehavior.txt": "/v5/account/set-limit-px-action",
    "Account/SetRiskLimit.txt": "/v5/position/set-risk-limit",
    "Account/SetTakeProfitStopLossMode.txt": "/v5/position/set-tpsl-mode",
    "Account/SwitchPositionMode.txt": "/v5/position/switch-mode",
    "Account/GetAnalysisTradeInfo.txt": "/v5/account/trade-info-for-analysis",
    "Account/GetAssetInfo.txt": "/v5/asset/coin/query-info",
    "Account/GetCollateralInfo.txt": "/v5/account/collateral-info",
    "ExchangeData/GetAnnouncements.txt": "/v5/announcements/index",
    "ExchangeData/GetInsurance.txt": "/v5/market/insurance",
    "ExchangeData/GetLongShortRatio.txt": "/v5/market/account-ratio",
    "ExchangeData/GetSystemStatus.txt": "/v5/system/status",
    "Trading/GetDeliveryHistory.txt": "/v5/asset/delivery-record",
    "Trading/SetDisconnectCancelAll.txt": "/v5/order/disconnected-cancel-all",
}


@pytest.mark.skipif(not SHAPES.exists(), reason="needs the shared reference shapes")
@pytest.mark.parametrize("name", sorted(FILES))
def test_answers_have_the_shapes_of_the_reference(session: Session, name: str) -> None:
    path, answer = endpoint_file(name)
    assert path == FILES[name]
    ours = session.answers[path]
    assert findings(answer.get("result", {}), ours.get("result", {})) == []
    assert set(ours) <= {"retCode", "retMsg", "result", "retExtInfo", "time"}


@pytest.mark.skipif(not SHAPES.exists(), reason="needs the shared reference shapes")
@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("Private/Order.txt", "order"),
        ("Private/UserTrades.txt", "execution"),
        ("Private/MinimalUserTrades.txt", "execution.fast"),
        ("Linear/Liquidations.txt", "allLiquidation snapshot"),
        ("Spot/PriceLimit.txt", "priceLimit snapshot"),
        ("Private/Position.txt", "position"),
        ("Private/Balance.txt", "wallet"),
        ("Linear/Ticker.txt", "tickers snapshot"),
        ("Linear/Trades.txt", "publicTrade snapshot"),
    ],
)
def test_messages_have_the_shapes_of_the_reference(session: Session, name: str, topic: str) -> None:
    assert findings(topic_file(name), session.messages[topic]) == []


@pytest.mark.skipif(not FRAMES.exists(), reason="needs the recorded frames")
def test_public_messages_are_those_of_a_recorded_session(session: Session) -> None:
    frames, instruments = captured()
    for topic in ("tickers snapshot", "orderbook snapshot", "publicTrade snapshot", "kline snapshot"):
        assert findings(frames[topic], session.messages[topic]) == []
        assert findings(session.messages[topic], frames[topic]) == []  # nor do we send what Bybit does not
    for row in instruments:
        ours = market_rows.instrument_row(LISTINGS[row["symbol"]])
        assert findings(row, ours) == []
        assert ours["priceFilter"]["tickSize"] == row["priceFilter"]["tickSize"]
        assert ours["lotSizeFilter"]["qtyStep"] == row["lotSizeFilter"]["qtyStep"]
        assert ours["fundingInterval"] == row["fundingInterval"]
