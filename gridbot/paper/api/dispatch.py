"""The table of REST endpoints, and the way from a request's parts to a reply. Pure: no sockets, time is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

import orjson

from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.paper.accounts.account import Account
from gridbot.paper.api.auth import authenticate, check_permission
from gridbot.paper.api.request_limits import ENDPOINT_WINDOW_MS, EndpointLimiter, Quota
from gridbot.paper.api_error import ApiError
from gridbot.paper.calls import (
    account_calls,
    asset_calls,
    key_calls,
    market_calls,
    market_history_calls,
    notice_calls,
    order_calls,
    order_queries,
    position_calls,
    precheck_call,
)
from gridbot.paper.engine.exchange import Exchange

__all__ = ["Api", "Reply", "Route", "parse_query"]

Public: TypeAlias = Callable[[Exchange, Mapping[str, Any], int], dict[str, Any]]
Signed: TypeAlias = Callable[[Exchange, Account, Mapping[str, Any], int], dict[str, Any]]
Batch: TypeAlias = Callable[
    [Exchange, Account, Mapping[str, Any], int, int | None], tuple[dict[str, Any], dict[str, Any]]
]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint; exactly one of the handlers is set.

    `limit` is for `window_ms`, None for the configured order limit. `text` is what a success says; `without` are parts
    that its envelope lacks, as captured.
    """

    verb: str
    limit: int | None = None
    window_ms: int = 1000
    public: Public | None = None
    signed: Signed | None = None
    batch: Batch | None = None
    text: str = "OK"
    without: tuple[str, ...] = ()


class Reply(NamedTuple):
    """Answer to an HTTP request: status, body bytes and rate limit headers. `account` is set when it was signed."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    account: str = ""


SUCCESS = "success"
QUERIES = 50
MINUTE = 60_000
ROUTES: dict[str, Route] = {
    "/v5/market/time": Route("GET", public=market_calls.server_time),
    "/v5/market/instruments-info": Route("GET", public=market_calls.instruments_info),
    "/v5/market/tickers": Route("GET", public=market_calls.tickers),
    "/v5/market/orderbook": Route("GET", public=market_calls.orderbook),
    "/v5/market/kline": Route("GET", public=market_history_calls.kline),
    "/v5/market/mark-price-kline": Route("GET", public=market_history_calls.mark_price_kline),
    "/v5/market/index-price-kline": Route("GET", public=market_history_calls.index_price_kline),
    "/v5/market/premium-index-price-kline": Route("GET", public=market_history_calls.premium_index_price_kline),
    "/v5/market/open-interest": Route("GET", public=market_history_calls.open_interest),
    "/v5/market/recent-trade": Route("GET", public=market_calls.recent_trades),
    "/v5/market/risk-limit": Route("GET", public=market_calls.risk_limit),
    "/v5/market/funding/history": Route("GET", public=market_history_calls.funding_history),
    "/v5/system/status": Route("GET", public=notice_calls.system_status),
    "/v5/market/price-limit": Route("GET", public=market_calls.price_limit, text=""),
    "/v5/market/account-ratio": Route("GET", public=market_history_calls.account_ratio),
    "/v5/market/insurance": Route("GET", public=market_calls.insurance),
    "/v5/market/adlAlert": Route("GET", public=market_calls.adl_alert),
    "/v5/market/index-price-components": Route("GET", public=market_calls.index_price_components),
    "/v5/market/fee-group-info": Route("GET", public=market_calls.fee_group_info),
    "/v5/market/rpi_orderbook": Route("GET", public=market_calls.rpi_orderbook),
    "/v5/market/full_orderbook": Route("GET", public=market_calls.full_orderbook),
    "/v5/market/delivery-price": Route("GET", public=market_history_calls.delivery_price),
    "/v5/announcements/index": Route("GET", public=notice_calls.announcements),
    "/v5/account/withdrawal": Route("GET", QUERIES, signed=account_calls.withdrawal),
    "/v5/account/collateral-info": Route("GET", QUERIES, signed=account_calls.collateral_info),
    "/v5/account/smp-group": Route("GET", 5, signed=account_calls.smp_group),
    "/v5/account/trade-info-for-analysis": Route("GET", QUERIES, signed=account_calls.trade_info),
    "/v5/position/move-history": Route("GET", 10, signed=position_calls.move_history),
    "/v5/position/move-positions": Route("POST", 10, signed=position_calls.move_positions),
    "/v5/position/symbol-info": Route("GET", QUERIES, signed=position_calls.symbol_info),
    "/v5/apilimit/query": Route("GET", QUERIES, signed=key_calls.api_limits, text=SUCCESS),
    "/v5/apilimit/query-cap": Route("GET", QUERIES, signed=key_calls.api_limit_caps, text=SUCCESS),
    "/v5/apilimit/query-all": Route("GET", QUERIES, signed=key_calls.every_api_limit, text=SUCCESS),
    "/v5/apilimit/set": Route("POST", QUERIES, signed=key_calls.set_api_limit),
    "/v5/asset/delivery-record": Route("GET", QUERIES, signed=asset_calls.delivery_record),
    "/v5/asset/transfer/query-transfer-coin-list": Route("GET", 60, MINUTE, signed=asset_calls.transfer_coins),
    "/v5/asset/transfer/inter-transfer": Route("POST", 60, MINUTE, signed=asset_calls.no_transfer),
    "/v5/asset/transfer/query-inter-transfer-list": Route("GET", 60, MINUTE, signed=asset_calls.transfers),
    "/v5/asset/transfer/universal-transfer": Route("POST", 5, signed=asset_calls.no_universal_transfer),
    "/v5/asset/transfer/query-universal-transfer-list": Route("GET", 5, signed=asset_calls.transfers),
    "/v5/asset/transfer/query-account-coin-balance": Route("GET", 450, signed=asset_calls.coin_balance, text=SUCCESS),
    "/v5/asset/transfer/query-account-coins-balance": Route("GET", 5, signed=asset_calls.coin_balances, text=SUCCESS),
    "/v5/asset/deposit/query-record": Route("GET", 100, MINUTE, signed=asset_calls.record_page),
    "/v5/asset/withdraw/query-record": Route("GET", 300, MINUTE, signed=asset_calls.record_page),
    "/v5/account/wallet-balance": Route("GET", QUERIES, signed=account_calls.wallet_balance),
    "/v5/account/info": Route("GET", QUERIES, signed=account_calls.account_info),
    "/v5/account/user-setting-config": Route("GET", QUERIES, signed=account_calls.user_settings),
    "/v5/account/set-limit-px-action": Route("POST", 10, signed=account_calls.set_limit_price_action, text=SUCCESS),
    "/v5/account/set-margin-mode": Route(
        "POST", 5, signed=account_calls.set_margin_mode, text="Request accepted", without=("retExtInfo", "time")
    ),
    "/v5/account/transaction-log": Route("GET", 25, signed=account_calls.transaction_log),
    "/v5/account/instruments-info": Route("GET", 10, signed=account_calls.instruments_info),
    "/v5/account/fee-rate": Route("GET", 5, signed=account_calls.fee_rate),
    "/v5/position/list": Route("GET", QUERIES, signed=position_calls.positions),
    "/v5/position/set-leverage": Route("POST", 10, signed=position_calls.set_leverage),
    "/v5/position/switch-mode": Route("POST", 10, signed=position_calls.switch_mode),
    "/v5/position/trading-stop": Route("POST", 10, signed=position_calls.trading_stop),
    "/v5/position/closed-pnl": Route("GET", QUERIES, signed=position_calls.closed_pnl),
    "/v5/position/set-auto-add-margin": Route("POST", 10, signed=position_calls.set_auto_add_margin),
    "/v5/position/add-margin": Route("POST", 10, signed=position_calls.add_margin),
    "/v5/position/confirm-pending-mmr": Route("POST", 10, signed=position_calls.confirm_pending_mmr),
    "/v5/position/switch-isolated": Route("POST", 10, signed=position_calls.switch_isolated),
    "/v5/position/set-tpsl-mode": Route("POST", 10, signed=position_calls.set_tpsl_mode),
    "/v5/position/set-risk-limit": Route("POST", 10, signed=position_calls.set_risk_limit),
    "/v5/user/query-api": Route("GET", 10, signed=key_calls.query_api, text=""),
    "/v5/asset/coin/query-info": Route("GET", 5, signed=asset_calls.coin_info),
    "/v5/order/create": Route("POST", signed=order_calls.create),
    "/v5/order/amend": Route("POST", signed=order_calls.amend),
    "/v5/order/cancel": Route("POST", signed=order_calls.cancel),
    "/v5/order/cancel-all": Route("POST", signed=order_calls.cancel_all),
    "/v5/order/pre-check": Route("POST", signed=precheck_call.pre_check),
    "/v5/order/create-batch": Route("POST", batch=order_calls.create_batch),
    "/v5/order/amend-batch": Route("POST", batch=order_calls.amend_batch),
    "/v5/order/cancel-batch": Route("POST", batch=order_calls.cancel_batch),
    "/v5/order/disconnected-cancel-all": Route(
        "POST", 5, signed=order_calls.set_dcp, text=SUCCESS, without=("result", "retExtInfo", "time")
    ),
    "/v5/account/query-dcp-info": Route("GET", 5, signed=account_calls.dcp_info),
    "/v5/order/realtime": Route("GET", QUERIES, signed=order_queries.realtime),
    "/v5/order/history": Route("GET", QUERIES, signed=order_queries.history),
    "/v5/execution/list": Route("GET", QUERIES, signed=order_queries.executions),
}


def parse_query(raw: str) -> dict[str, str]:
    """Parameters of a raw query string. `+` stays a plus: neither pybit nor ccxt uses it for a space."""
    pairs = (part.partition("=") for part in raw.split("&") if part)
    return {unquote(name): unquote(value) for name, _, value in pairs}


class Api:
    """REST endpoints on one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.limiter = EndpointLimiter()

    def handle(
        self, verb: str, target: str, headers: Mapping[str, str], body: bytes, now_ms: int, remote: str = ""
    ) -> Reply:
        """Answer a request of an address; `target` is path and query exactly as sent."""
        path, _, query = target.partition("?")
        route = ROUTES.get(path)
        if route is None:
            return error_reply(ApiError(10017, "Route not found.", http_status=404), now_ms)
        if verb != route.verb:
            return error_reply(ApiError(10001, f"Request method is not {route.verb}.", http_status=400), now_ms)
        try:
            if route.public is not None:
                return _reply(route, route.public(self.exchange, parse_query(query), now_ms), {}, now_ms)
            payload = query.encode() if verb == "GET" else body
            account = authenticate(self.exchange.by_key, headers, payload, now_ms, remote)
        except ApiError as error:
            return error_reply(error, now_ms)
        return self._signed(route, path, account, query if verb == "GET" else body, now_ms)

    def _signed(self, route: Route, path: str, account: Account, source: str | bytes, now_ms: int) -> Reply:
        try:
            params = parse_query(source) if isinstance(source, str) else parse_body(source)
            result, extra, quota = self.call(route, path, account, params, now_ms)
            return _reply(route, result, extra, now_ms, quota, account.name)
        except ApiError as error:
            return error_reply(error, now_ms, account.name)

    def call(
        self, route: Route, path: str, account: Account, params: Mapping[str, Any], now_ms: int
    ) -> tuple[dict[str, Any], dict[str, Any], Quota]:
        """Count the request against its limit and run it; also the way in for orders over WebSocket.

        A batch costs as many units as it has items, whatever becomes of them.
        """
        items = params.get("request") if route.batch is not None else None
        units = len(items) if isinstance(items, list) and items else 1
        quota = self.count(route, path, account, units, now_ms)
        try:
            self.check(route, path, account, quota)
            if route.batch is not None:
                allowed = quota.granted if quota.granted < units else None
                result, extra = route.batch(self.exchange, account, params, now_ms, allowed)
                return result, extra, quota
            assert route.signed is not None
            return route.signed(self.exchange, account, params, now_ms), {}, quota
        except ApiError as error:
            error.headers = quota.headers()
            raise

    def count(self, route: Route, path: str, account: Account, units: int, now_ms: int) -> Quota:
        """Count a request of so many units against its limit, which may grant fewer."""
        limits = self.exchange.config.limits
        limit = limits.orders_per_second if route.limit is None else route.limit
        if route.limit is not None and (route.window_ms == ENDPOINT_WINDOW_MS or not limits.queries_per_second):
            limit = min(limit, limits.queries_per_second)
        return self.limiter.take(account.name, path, limit, units, now_ms, route.window_ms)

    def check(self, route: Route, path: str, account: Account, quota: Quota) -> None:
        """Refuse a request of which nothing was granted, or that its key may not make."""
        if not quota.granted:
            raise ApiError(10006, "Too many visits! Exceeded the API Rate Limit.")
        check_permission(self.exchange.config.keys.get(account.name), route.verb, path)


def parse_body(body: bytes) -> Mapping[str, Any]:
    try:
        params = read_json(body) if body else {}
    except JsonMistake:
        raise ApiError(10001, "params error: the body is not JSON") from None
    if not isinstance(params, dict):
        raise ApiError(10001, "params error: the body is not a JSON object")
    return params


def _headers(quota: Quota | None, now_ms: int) -> dict[str, str]:
    headers = quota.headers() if quota else {}
    headers["Timenow"] = str(now_ms)
    return headers


def _reply(
    route: Route,
    result: dict[str, Any],
    extra: dict[str, Any],
    now_ms: int,
    quota: Quota | None = None,
    account: str = "",
) -> Reply:
    envelope = {"retCode": 0, "retMsg": route.text, "result": result, "retExtInfo": extra, "time": now_ms}
    for name in route.without:
        del envelope[name]
    return Reply(200, orjson.dumps(envelope), _headers(quota, now_ms), account)


def error_reply(error: ApiError, now_ms: int, account: str = "") -> Reply:
    """The envelope of a refusal."""
    body = orjson.dumps(
        {
            "retCode": error.code,
            "retMsg": error.message,
            "result": error.result,
            "retExtInfo": error.extra,
            "time": now_ms,
        }
    )
    return Reply(error.http_status, body, error.headers | {"Timenow": str(now_ms)}, account)
