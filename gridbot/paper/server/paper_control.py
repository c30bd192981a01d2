"""The control endpoint: faults and prices on command, for tests and trials. Off unless configured, loopback only.

`POST /paper/control` with `Authorization: Bearer <token>`, `Content-Type: application/json` and one JSON object;
`action` is one of

    inject (fault) · clear · list
    trade (symbol, price, size, side) · set_price, set_mark (symbol, price) · settle_funding (symbol, rate)
    list_as (symbol, and any of status, delivery_ms, phase) · launch (symbol, call_s, no_cancel_s, matching_s,
    trading_s) · delist (symbol, in_s, settling_s)
    change_rules (symbol, tick_size, qty_step) · reject_orders (reason)
    maintain (id, and fields of system/status) · announce (title, and type, description, start, end, url)

and for one `account`

    charges (tax, coin, price) · execution (symbol, positionIdx, type, and qty or money) · wallet (coin)
    deliver (symbol, price) · adl (symbol, positionIdx, qty) · cut_risk (symbol, positionIdx, reduce_only)
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from gridbot.doors.plain_text import one_line, shown
from gridbot.paper.api.dispatch import Reply, error_reply, parse_body
from gridbot.paper.api_error import ApiError
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.feed.market_feed import MarketFeed
from gridbot.paper.ledger.strange_executions import COMMANDS
from gridbot.paper.params.control_values import checked

__all__ = ["CONTROL_PATH", "Control"]

CONTROL_PATH = "/paper/control"
LONGEST_REFUSAL = 4000


class Control:
    """Carries out commands of whoever knows the token."""

    def __init__(self, faults: Faults, market: MarketFeed, token: str) -> None:
        self._faults = faults
        self._market = market
        self._authorization = f"Bearer {token}".encode()

    def answer(self, verb: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> Reply:
        """Answer a request: a POST of JSON with the token, or a refusal."""
        if verb != "POST":
            return error_reply(ApiError(10001, "Request method is not POST.", http_status=405), now_ms)
        if headers.get("CONTENT-TYPE", "").partition(";")[0].strip().lower() != "application/json":
            return error_reply(ApiError(10001, "expected Content-Type: application/json", http_status=415), now_ms)
        if not hmac.compare_digest(headers.get("AUTHORIZATION", "").encode(errors="replace"), self._authorization):
            text = "expected Authorization: Bearer and the control token (docs/paper.md)"
            return error_reply(ApiError(10003, text, http_status=401), now_ms)
        return self._handle(body, now_ms)

    def _handle(self, body: bytes, now_ms: int) -> Reply:
        """Answer with `{"ok": true, "faults": [...]}` or Bybit's error envelope."""
        try:
            self._do(checked(parse_body(body)))
        except ApiError as error:
            return error_reply(error, now_ms)
        except ValidationError as error:
            return error_reply(ApiError(10001, f"fault not understood: {error}"[:LONGEST_REFUSAL]), now_ms)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            return error_reply(ApiError(10001, f"command not understood: {one_line(repr(error))}"), now_ms)
        return Reply(200, orjson.dumps({"ok": True, "faults": self._faults.plan.report()}), {})

    def _do(self, command: Mapping[str, Any]) -> None:
        match command.get("action"):
            case "inject":
                self._faults.add(FaultConfig.model_validate(command["fault"]))
            case "clear":
                self._faults.plan.clear()
            case "list":
                pass
            case "trade":
                self._market.trade(command["symbol"], command["price"], command["size"], command["side"])
            case "set_price":
                self._market.set_price(command["symbol"], command["price"])
            case "set_mark":
                self._market.set_mark(command["symbol"], command["price"])
            case "settle_funding":
                self._market.settle_funding(command["symbol"], command["rate"])
            case "list_as" | "launch" | "delist" | "change_rules" | "cut_risk" | "reject_orders":
                self._change_contract(command)
            case "maintain" | "announce":
                self._market.announce(command)
            case action if action in COMMANDS:
                self._market.carry_out(command)
            case other:
                raise ApiError(10001, f"unknown action {shown(other)}: expected inject, clear, list, trade, ...")

    def _change_contract(self, command: Mapping[str, Any]) -> None:
        """What becomes of a contract, or of orders."""
        market, given = self._market, {name: value for name, value in command.items() if name != "action"}
        match command["action"]:
            case "list_as":
                market.list_as(**given)
            case "launch":
                market.launch(**given)
            case "delist":
                market.delist(**given)
            case "change_rules":
                market.change_rules(**given)
            case "reject_orders":
                market.reject_orders(**given)
            case _:
                market.cut_risk(
                    given["account"], given["symbol"], given["positionIdx"], reduce_only=given["reduce_only"]
                )
