"""What `doctor` asks of an account, in either mode, with rows as Bybit writes them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gridbot.bybit.examination import clock_of, dead_man_of, fees_of, held_legs, newest_executions, terms_of
from gridbot.core.vocabulary import Direction
from gridbot.exchange.examined import DeadManState, HeldLeg, SymbolTerms
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import FeeRate
from tests.bybit.rest_session import D, Session
from tests.bybit.support import Asked, envelope, run

POSITIONS = "/v5/position/list"
FILL = {
    "symbol": "BTCUSDT", "execId": "e", "orderId": "o", "orderLinkId": "l", "side": "Buy", "execPrice": "60000",
    "execQty": "0.1", "execType": "Trade", "execFee": "0.1", "leavesQty": "0", "execTime": "1700000000000",
}  # fmt: skip


def leg(index: int, **changes: Any) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "positionIdx": index, "size": "0.5", "side": "Sell", "avgPrice": "60000"}
    return (
        row
        | {"leverage": "10", "markPrice": "60100", "unrealisedPnl": "-50", "positionIM": "3", "positionMM": "2"}
        | changes
    )


@pytest.mark.parametrize(
    ("rows", "terms"),
    [
        ([leg(1, leverage="20"), leg(2, leverage="5")], SymbolTerms(True, D(5))),
        ([leg(0)], SymbolTerms(False, D(10))),
        ([leg(0, leverage="")], SymbolTerms(False, None)),
        ([], SymbolTerms(None, None)),
        ([{"symbol": "BTCUSDT"}], SymbolTerms(None, None)),
        (["strange"], SymbolTerms(None, None)),
    ],
)
def test_the_terms_of_a_symbol(rows: list[Any], terms: SymbolTerms) -> None:
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[POSITIONS] = envelope({"list": rows})
            assert await terms_of(rest, "BTCUSDT") == terms

    run(scene())


def test_positions_of_either_mode() -> None:
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[POSITIONS] = envelope(
                {"list": [leg(0), leg(1, side="Buy"), leg(2, size="0"), leg(0, side="", size="0")]}
            )
            short, long = await held_legs(rest)
            known = (D("0.5"), D(60000), D(60100), D(-50))
            assert short == HeldLeg("BTCUSDT", Direction.SHORT, *known, False, D(3), D(2))
            assert long == HeldLeg("BTCUSDT", Direction.LONG, *known, True, D(3), D(2))
            assert short.value == D("30050")
            exchange.on[POSITIONS] = envelope({"list": [leg(1, size="")]})
            with pytest.raises(ExchangeError, match="1 rows cannot be read") as caught:
                await held_legs(rest)
            assert caught.value.kind is ErrorKind.AMBIGUOUS

    run(scene())


@pytest.mark.parametrize(
    ("result", "state"),
    [
        ({"dcpInfos": []}, DeadManState(False)),
        ({"dcpInfos": None}, DeadManState(False)),
        ({"dcpInfos": [{"product": "SPOT", "dcpStatus": "ON", "timeWindow": "10"}]}, DeadManState(False)),
        ({"dcpInfos": [{"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": "10"}]}, DeadManState(True, 10)),
        ({"dcpInfos": [{"product": "DERIVATIVES", "dcpStatus": "OFF", "timeWindow": "10"}]}, DeadManState(True, 0)),
    ],
)
def test_disconnect_cancel_all(result: dict[str, Any], state: DeadManState) -> None:
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/account/query-dcp-info"] = envelope(result)
            assert await dead_man_of(rest) == state

    run(scene())


def test_only_so_many_pages_of_the_newest_executions() -> None:
    """However many there are: a busy account has thousands an hour."""

    async def scene() -> None:
        async with Session() as (exchange, rest):

            def page(asked: Asked) -> Any:
                number = len([each for each in exchange.asked if each.path == "/v5/execution/list"])
                return envelope({"list": [FILL | {"execId": f"e{number}"}], "nextPageCursor": f"c{number}"})

            exchange.on["/v5/execution/list"] = page
            found = await newest_executions(rest, 1, 3)
            assert [each.exec_id for each in found] == ["e1", "e2", "e3"]
            exchange.on["/v5/execution/list"] = envelope({"list": [FILL], "nextPageCursor": ""})
            assert len(await newest_executions(rest, 1, 3)) == 1

    run(scene())


def test_fees_and_the_clock() -> None:
    async def scene() -> None:
        async with Session() as (exchange, rest):
            rows = [
                {"symbol": "BTCUSDT", "makerFeeRate": "0.0001", "takerFeeRate": "0.0006"},
                {"symbol": "ETHUSDT", "makerFeeRate": "", "takerFeeRate": "0.0006"},
                "strange",
            ]
            exchange.on["/v5/account/fee-rate"] = envelope({"list": rows})
            assert await fees_of(rest) == {"BTCUSDT": FeeRate("BTCUSDT", D("0.0001"), D("0.0006"))}
            exchange.on["/v5/market/time"] = lambda _: envelope({"timeNano": str(time.time_ns())})
            clock = await clock_of(rest)
            assert abs(clock.ahead_ms) <= 1 + clock.give_or_take_ms
            assert len([each for each in exchange.asked if each.path == "/v5/market/time"]) == 3

    run(scene())
