"""What the trade socket sends: answers to requests, sign-ins, pongs."""

from __future__ import annotations

import random

from gridbot.bybit.error_mapping import from_ret_code
from gridbot.bybit.raw_fields import FieldError
from gridbot.bybit.trade_frames import SignInAnswer, TradeAnswer, read_frame
from gridbot.bybit.trade_line import Answered, Opened, Sent, Settled, SignedIn, Time, TradeLine, step
from gridbot.bybit.watchdog import Limits
from gridbot.doors.bounded_json import JsonMistake
from gridbot.exchange.failures import ExchangeError
from tests.fuzz.mutations import bytes_of, changed

__all__ = ["OUTCOMES", "answer", "told"]

OUTCOMES = ("acknowledged", "refused", "other", "no json")
ANSWER_S = 10.0
ACCEPTED = {
    "reqId": "r-1",
    "retCode": 0,
    "retMsg": "OK",
    "op": "order.create",
    "data": {"orderId": "0b6d3c0e-52f1", "orderLinkId": "g1"},
    "retExtInfo": {},
    "header": {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "9", "X-Bapi-Limit-Reset-Timestamp": "1760000000850"},
    "connId": "c",
}
REFUSED = {**ACCEPTED, "retCode": 110007, "retMsg": "ab not enough for new order", "data": {}}
SIGNED_IN = {"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c"}


def answer(rng: random.Random) -> bytes:
    return bytes_of(rng, changed(rng, rng.choice((ACCEPTED, ACCEPTED, REFUSED, SIGNED_IN))))


def told(data: bytes) -> str:
    line = TradeLine(Limits(), ANSWER_S, from_ret_code, 0.0)
    step(line, Opened(), 0.0)
    step(line, SignedIn(0, ""), 0.0)
    step(line, Sent("r-1", "order.create"), 0.0)
    try:
        frame = read_frame(data)
    except (JsonMistake, FieldError):
        return "no json"
    effects = []
    if isinstance(frame, TradeAnswer):
        effects = step(line, Answered(frame), 0.1)
        if frame.quota is not None:
            assert all(-(1 << 63) <= number < 1 << 63 for number in (frame.quota.limit, frame.quota.remaining))
    elif isinstance(frame, SignInAnswer):
        effects = step(line, SignedIn(frame.code, frame.text), 0.1)
    by_it = [effect.outcome for effect in effects if isinstance(effect, Settled)]
    later = [effect for effect in step(line, Time(), ANSWER_S) if isinstance(effect, Settled)]
    assert len(by_it) + len(later) == 1, "settled once, whatever it says"
    if not by_it:
        return "other"
    [outcome] = by_it
    if isinstance(outcome, ExchangeError):
        assert str(outcome).isprintable()
        assert len(str(outcome)) < 500
        return "refused"
    return "acknowledged"
