"""Every class of error, through what pybit and the carrier really make of answers and of their absence."""

from __future__ import annotations

import asyncio
import logging
import traceback

import pytest
from aiohttp import web

from gridbot.bybit.carrier import Broken, CarrierError, NoAnswer, NotSent, Unusable
from gridbot.bybit.error_mapping import classify, from_ret_code, scrub
from gridbot.bybit.ret_codes import RET_CODES
from gridbot.exchange.failures import (
    AccountError,
    ErrorKind,
    ExchangeError,
    Outcome,
    RefusedError,
    TransientError,
    TruncatedListing,
    UnresolvedError,
)
from tests.bybit.support import KEY, SECRET, Asked, FakeExchange, envelope, run
from tests.case_table import case_table

CREATE = "/v5/order/create"


async def failure(exchange: FakeExchange, **options: float) -> ExchangeError:
    """What a signed request makes of the exchange's present behaviour."""
    rest = exchange.rest(**{"timeout": 5, **options})
    try:
        with pytest.raises(ExchangeError) as caught:
            await rest.orders.cancel_order("BTCUSDT", order_link_id="g1")
    finally:
        rest.close()
    return caught.value


CODES = [
    (10006, "Too many visits!", ErrorKind.RATE_LIMIT, Outcome.NOT_CREATED, TransientError),
    (10018, "ip rate limit", ErrorKind.IP_BAN, Outcome.NOT_CREATED, TransientError),
    (
        10002,
        "invalid request, please check your server timestamp",
        ErrorKind.RETRY,
        Outcome.NOT_CREATED,
        TransientError,
    ),
    (10000, "server timeout", ErrorKind.AMBIGUOUS, Outcome.UNKNOWN, UnresolvedError),
    (10016, "System error. Please try again later.", ErrorKind.AMBIGUOUS, Outcome.UNKNOWN, UnresolvedError),
    (10019, "restarting", ErrorKind.RETRY, Outcome.UNKNOWN, TransientError),
    (110072, "OrderLinkedID is duplicate", ErrorKind.DUPLICATE, Outcome.EXISTS, UnresolvedError),
    (10014, "duplicate request", ErrorKind.DUPLICATE, Outcome.UNKNOWN, UnresolvedError),
    (110017, "current position is zero", ErrorKind.RESYNC, Outcome.NOT_CREATED, RefusedError),
    (110001, "order not exists or too late to cancel", ErrorKind.NOT_FOUND, Outcome.NOT_CREATED, RefusedError),
    (110007, "ab not enough for new order", ErrorKind.BALANCE, Outcome.NOT_CREATED, RefusedError),
    (110094, "Order does not meet minimum order value", ErrorKind.PARAM, Outcome.NOT_CREATED, RefusedError),
    (110043, "leverage not modified", ErrorKind.NOOP, Outcome.NOT_CREATED, RefusedError),
    (10003, "API key is invalid.", ErrorKind.AUTH, Outcome.NOT_CREATED, AccountError),
    (33004, "Your api key has expired.", ErrorKind.AUTH, Outcome.NOT_CREATED, AccountError),
    # Of the state of a symbol: such orders wait, the strategy is not halted.
    (110023, "This contract only supports position closing", ErrorKind.SYMBOL, Outcome.NOT_CREATED, RefusedError),
    (30228, "No new positions during delisting.", ErrorKind.SYMBOL, Outcome.NOT_CREATED, RefusedError),
    (110042, "Pre-delivery status can only reduce positions", ErrorKind.SYMBOL, Outcome.NOT_CREATED, RefusedError),
    (110066, "No trading is allowed at the current time", ErrorKind.SYMBOL, Outcome.NOT_CREATED, RefusedError),
    (110074, "This contract is not live", ErrorKind.SYMBOL, Outcome.NOT_CREATED, RefusedError),
    (110095, "In the call auction", ErrorKind.SYMBOL, Outcome.NOT_CREATED, RefusedError),
    (110103, "Only Post-Only orders are available at this stage", ErrorKind.SYMBOL, Outcome.NOT_CREATED, RefusedError),
    # Seen in logs of others (issue 12.3); none of them leaves open whether the order exists.
    (170003, "An unknown parameter was sent.", ErrorKind.PARAM, Outcome.NOT_CREATED, RefusedError),
    (10020, "Request not supported: the account is not unified", ErrorKind.HALT, Outcome.NOT_CREATED, AccountError),
    (110016, "Requested quantity exceeds risk limit", ErrorKind.PARAM, Outcome.NOT_CREATED, RefusedError),
    (110071, "Sorry, we're revamping the Unified Margin Account!", ErrorKind.HALT, Outcome.NOT_CREATED, AccountError),
    (110119, "not documented", ErrorKind.PARAM, Outcome.NOT_CREATED, RefusedError),
    (110135, "event contract", ErrorKind.HALT, Outcome.NOT_CREATED, AccountError),
    (110136, "event contract", ErrorKind.HALT, Outcome.NOT_CREATED, AccountError),
    (110137, "event contract", ErrorKind.HALT, Outcome.NOT_CREATED, AccountError),
    (3200425, "event contract", ErrorKind.HALT, Outcome.NOT_CREATED, AccountError),
    (3200641, "collateral at the limit", ErrorKind.BALANCE, Outcome.NOT_CREATED, RefusedError),
    (182011, "collateral at the limit", ErrorKind.BALANCE, Outcome.NOT_CREATED, RefusedError),
    (110007, "CheckMarginRatio fail! InsufficientAB", ErrorKind.BALANCE, Outcome.NOT_CREATED, RefusedError),
    (110003, "Order price is out of permissible range", ErrorKind.PARAM, Outcome.NOT_CREATED, RefusedError),
    (20006, "Duplicate reqId", ErrorKind.DUPLICATE, Outcome.UNKNOWN, UnresolvedError),
    (3400045, "Set margin mode failed", ErrorKind.PARAM, Outcome.NOT_CREATED, RefusedError),
    (987654, "never heard of", ErrorKind.AMBIGUOUS, Outcome.UNKNOWN, UnresolvedError),
    # 10001 says everything in its text
    (10001, "params error: qty err", ErrorKind.PARAM, Outcome.NOT_CREATED, RefusedError),
    (10001, "position idx not match position mode", ErrorKind.RESYNC, Outcome.NOT_CREATED, RefusedError),
    (10001, "Position mode is not modified", ErrorKind.NOOP, Outcome.NOT_CREATED, RefusedError),
    (10001, "5f3c-09buy: [50100.5,50200] invalid", ErrorKind.RETRY, Outcome.NOT_CREATED, TransientError),
    (10001, "Sell:[1,2] invalid", ErrorKind.RETRY, Outcome.NOT_CREATED, TransientError),
    (10001, "Not supported symbols", ErrorKind.PARAM, Outcome.NOT_CREATED, RefusedError),
    (
        10001,
        "The number of contracts exceeds minimum limit allowed",
        ErrorKind.PARAM,
        Outcome.NOT_CREATED,
        RefusedError,
    ),
    (
        10001,
        "empty value: apiTimestamp[] apiKey[]: openapi sign params error!",
        ErrorKind.AUTH,
        Outcome.NOT_CREATED,
        AccountError,
    ),
]


def test_return_codes_become_the_right_error_after_one_request():
    async def scene() -> None:
        async with FakeExchange() as exchange:
            exchange.on["/v5/market/time"] = envelope({"timeNano": "1760000000000000000"})
            for code, text, kind, outcome, leaf in CODES:
                exchange.on["/v5/order/cancel"] = envelope(code=code, msg=text)
                exchange.asked.clear()
                error = await failure(exchange)
                assert (error.ret_code, error.kind, error.outcome) == (code, kind, outcome), text
                assert type(error) is leaf
                assert error.http_status is None
                assert exchange.paths().count("/v5/order/cancel") == 1, f"{code}: sent more than once"

    run(scene())


HTTP = [
    (400, ErrorKind.PARAM),
    (401, ErrorKind.AUTH),
    (403, ErrorKind.IP_BAN),
    (404, ErrorKind.PARAM),
    (429, ErrorKind.AMBIGUOUS),
    (409, ErrorKind.AMBIGUOUS),
    (500, ErrorKind.AMBIGUOUS),
    (502, ErrorKind.AMBIGUOUS),
    (504, ErrorKind.AMBIGUOUS),
]


def test_http_statuses_are_not_taken_for_return_codes():
    async def scene() -> None:
        async with FakeExchange() as exchange:
            for status, kind in HTTP:

                def page(_: Asked, status: int = status) -> web.Response:
                    return web.Response(status=status, text="<html>")

                exchange.on["/v5/order/cancel"] = page
                error = await failure(exchange)
                assert (error.http_status, error.ret_code, error.kind) == (status, None, kind)

    run(scene())


@pytest.mark.parametrize("body", ["", "<html>busy</html>", "null", "[]", "{}", '{"retCode": 110007}', "12", '"x"'])
def test_an_answer_that_is_none_leaves_the_outcome_open(body: str):
    async def scene() -> None:
        async with FakeExchange() as exchange:
            exchange.on["/v5/order/cancel"] = lambda _: web.Response(text=body, content_type="application/json")
            error = await failure(exchange)
            assert (error.kind, error.outcome) == (ErrorKind.AMBIGUOUS, Outcome.UNKNOWN)

    run(scene())


def test_no_answer_in_time_leaves_the_outcome_open():
    async def scene() -> None:
        async with FakeExchange() as exchange:
            never = asyncio.Event()

            async def silence(_: Asked) -> None:
                await never.wait()

            exchange.on["/v5/order/cancel"] = silence
            error = await failure(exchange, timeout=0.1)
            assert (error.kind, error.outcome) == (ErrorKind.AMBIGUOUS, Outcome.UNKNOWN)
            assert len(exchange.asked) == 1
            never.set()

    run(scene())


def test_a_connection_that_breaks_after_the_request_leaves_the_outcome_open():
    async def scene() -> None:
        async with FakeExchange() as exchange:
            exchange.on["/v5/order/cancel"] = lambda _: None
            error = await failure(exchange)
            assert (error.kind, error.outcome) == (ErrorKind.AMBIGUOUS, Outcome.UNKNOWN)
            assert len(exchange.asked) == 1

    run(scene())


def test_nobody_there_means_nothing_was_created():
    async def scene() -> ExchangeError:
        async with FakeExchange() as exchange:
            gone = exchange
        return await failure(gone)

    error = run(scene())
    assert (error.kind, error.outcome) == (ErrorKind.RETRY, Outcome.NOT_CREATED)


@case_table(
    ("error", "kind", "text"),
    [
        (NotSent("ConnectionRefusedError"), ErrorKind.RETRY, "no connection to the exchange (ConnectionRefusedError)"),
        (NoAnswer("no answer in time"), ErrorKind.AMBIGUOUS, "no answer in time"),
        (Broken("the connection broke"), ErrorKind.AMBIGUOUS, "no answer: the connection broke"),
        (Unusable("it is not HTTP"), ErrorKind.AMBIGUOUS, "the answer could not be used: it is not HTTP"),
    ],
)
def test_only_what_never_left_may_be_sent_again(error: CarrierError, kind: ErrorKind, text: str):
    assert error.has_left is (kind is ErrorKind.AMBIGUOUS)
    found = classify(error)
    assert (found.kind, found.message) == (kind, text)
    assert found.outcome is (Outcome.UNKNOWN if error.has_left else Outcome.NOT_CREATED)


def test_a_slip_of_pybits_is_no_auth_error():
    """Its own bugs surface as AttributeError, KeyError and the like, and may well mention a key."""
    assert classify(AttributeError("'NoneType' object has no attribute 'keys'")).kind is ErrorKind.AMBIGUOUS


def test_what_nobody_expected_is_ambiguous_and_says_its_name():
    error = classify(ZeroDivisionError("secret details"))
    assert error.kind is ErrorKind.AMBIGUOUS
    assert "ZeroDivisionError" in str(error)
    assert "secret details" not in str(error)


def test_an_exchange_error_stays_what_it_is():
    error = TruncatedListing("cut")
    assert classify(error) is error
    assert isinstance(error, ExchangeError)


def test_every_code_of_the_table_has_one_kind_and_a_leaf():
    assert len(RET_CODES) > 180
    for code, kind in RET_CODES.items():
        assert code != 0
        assert from_ret_code(code, "").kind is kind
        assert not from_ret_code(code, "").is_unknown


def test_a_code_that_is_in_no_table_says_so():
    error = from_ret_code(181001, "whatever")
    assert (error.is_unknown, error.kind) == (True, ErrorKind.AMBIGUOUS)
    assert str(error) == "whatever; gridbot does not know this code (retCode 181001, ambiguous)"


def test_keys_and_signatures_never_come_out(caplog: pytest.LogCaptureFixture):
    """10004 echoes what was signed, key first; 10001 echoes the headers."""
    texts = [
        (10004, f'error sign! origin_string[1760000000000{KEY}5000{{"request": [{{"qty": "1"}}]}}]'),
        (10001, f"empty value: apiTimestamp[1] apiKey[{KEY}] apiSignature[deadbeef]: openapi sign params error!"),
        (10003, f"api_key={KEY} is invalid, secret: {SECRET}"),
        (110007, f"weird text with {SECRET} and {KEY}"),
    ]

    async def scene() -> list[ExchangeError]:
        async with FakeExchange() as exchange:
            errors = []
            for code, text in texts:
                exchange.on["/v5/order/cancel"] = envelope(code=code, msg=text)
                errors.append(await failure(exchange))
            return errors

    with caplog.at_level(logging.DEBUG):
        errors = run(scene())
    for error in errors:
        shown = "".join([str(error), repr(error), error.message, *traceback.format_exception(error)])
        assert KEY not in shown
        assert SECRET not in shown
        assert "deadbeef" not in shown
        assert error.__cause__ is None
        assert error.__context__ is None
    assert KEY not in caplog.text
    assert SECRET not in caplog.text


def test_scrub_leaves_ordinary_texts_alone():
    text = "position idx not match position mode (side Buy, price 60000)"
    assert scrub(text, ("60000", "")) == text.replace("60000", "***")
    assert scrub(text) == text
