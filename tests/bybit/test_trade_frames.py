"""Frames of the trade socket, against the reference's examples (docs/bybit_streams.md 5.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridbot.bybit.raw_fields import FieldError
from gridbot.bybit.trade_frames import (
    OPERATIONS,
    Pong,
    SignInAnswer,
    TradeAnswer,
    order_frame,
    quota_of,
    read_frame,
)
from gridbot.doors.bounded_json import JsonMistake
from gridbot.exchange.requests import RateLimit
from tests.case_table import case_table

ORDER = {"category": "linear", "symbol": "ETHUSDT", "orderLinkId": "g1-L-00042-a7"}
ANSWER: dict[str, Any] = {
    "reqId": "c3a1-000017",
    "retCode": 0,
    "retMsg": "OK",
    "op": "order.create",
    "data": {"orderId": "0b6d3c0e-52f1-4c6b-9f2e-8a4d1c7e0042", "orderLinkId": "g1-L-00042-a7"},
    "retExtInfo": {},
    "header": {
        "X-Bapi-Limit": "10",
        "X-Bapi-Limit-Status": "9",
        "X-Bapi-Limit-Reset-Timestamp": "1760000000850",
        "Traceid": "7f1c0000000000000000000000000017",
        "Timenow": "1760000000851",
    },
    "connId": "sim0trade0001-1",
}


def read(**changes: Any) -> TradeAnswer:
    frame = read_frame(json.dumps({**ANSWER, **changes}).encode())
    assert isinstance(frame, TradeAnswer)
    return frame


def test_a_request_has_one_object_and_its_times_as_text() -> None:
    frame = json.loads(order_frame("c3a1-000017", "order.create", ORDER, 1760000000845, 5000))
    assert frame == {
        "reqId": "c3a1-000017",
        "header": {"X-BAPI-TIMESTAMP": "1760000000845", "X-BAPI-RECV-WINDOW": "5000"},
        "op": "order.create",
        "args": [ORDER],
    }
    assert OPERATIONS["order/cancel-batch"] == "order.cancel-batch"


def test_an_answer_is_the_envelope_that_http_would_bring() -> None:
    answer = read()
    assert (answer.request_id, answer.operation, answer.code) == ("c3a1-000017", "order.create", 0)
    assert answer.envelope == {"retCode": 0, "result": ANSWER["data"], "retExtInfo": {}}
    assert answer.quota == RateLimit(10, 9, 1760000000850)


@case_table("code", [None, "", "zero", 0.0, True, [], {}, 1 << 70])
def test_what_is_no_whole_number_is_no_code(code: Any) -> None:
    assert read(retCode=code).code is None


def test_a_code_may_come_as_text() -> None:
    assert read(retCode="110007").code == 110007


@case_table("header", [None, [], "x", {}, {"X-Bapi-Limit": "10"}, {"X-Bapi-Limit": "ten"}])
def test_no_quota_is_made_up(header: Any) -> None:
    assert read(header=header).quota is None


def test_a_quota_without_a_reset_is_one() -> None:
    assert quota_of({"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "0"}) == RateLimit(20, 0, 0)


def test_sign_ins_and_pongs_are_no_answers_to_orders() -> None:
    assert read_frame(b'{"retCode":0,"retMsg":"OK","op":"auth","connId":"c"}') == SignInAnswer(0, "OK")
    assert read_frame(b'{"retCode":0,"retMsg":"OK","op":"pong","data":["1"],"connId":"c"}') == Pong()


@case_table("data", [b"", b"[]", b"7", b"{", b"\xff", b'{"reqId":"' + b"x" * 200 + b'","op":"a"}'])
def test_what_cannot_be_read_says_so(data: bytes) -> None:
    with pytest.raises((JsonMistake, FieldError)):
        read_frame(data)
