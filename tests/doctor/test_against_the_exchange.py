"""The liquidation that `doctor` foretells, and the paper exchange's own: it comes where it was said, not before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridbot.core.instrument import Instrument
from gridbot.core.risk_rules import LegState
from gridbot.core.vocabulary import Direction
from gridbot.doctor.filled_ladder import Rung, SymbolBook, filled
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.server.paper_spec import PaperSpec
from tests.paper.support import ALICE, Venue, manual_config

D = Decimal
PRICES = {"BTCUSDT": D(60000), "ETHUSDT": D(2500)}
LEVERAGE = D(50)
BUYS = {
    "BTCUSDT": [Rung(D(59000), D(1)), Rung(D(58000), D(1)), Rung(D(57000), D(1))],
    "ETHUSDT": [Rung(D(2450), D(10)), Rung(D(2400), D(10))],
}


def book(symbol: str, *, up: bool) -> SymbolBook:
    instrument: Instrument = LISTINGS[symbol].instrument
    rungs = [Rung(2 * PRICES[symbol] - each.price if up else each.price, each.qty) for each in BUYS[symbol]]
    flat = LegState(leverage=LEVERAGE)
    sides: dict[str, Any] = {"sells" if up else "buys": rungs}
    return SymbolBook(symbol, PRICES[symbol], instrument.tiers, D("0.0002"), D("0.00055"), flat, flat, **sides)


@pytest.mark.parametrize("up", [False, True], ids=["prices fall", "prices rise"])
def test_an_account_is_liquidated_where_it_was_foretold(up: bool) -> None:
    books = [book(symbol, up=up) for symbol in BUYS]
    foretold = filled(books, D(10000), up=up)
    assert foretold.liquidated is not None
    assert not foretold.is_before_full
    direction = Direction.SHORT if up else Direction.LONG
    with Venue(PaperSpec(config=manual_config(), accounts=(ALICE,))) as venue:
        http = venue.http()

        def move_to(part: Decimal) -> None:
            for each in books:
                price = each.price * (1 + part)
                tick = LISTINGS[each.symbol].instrument.tick_size
                venue.set_price(each.symbol, str((price / tick).to_integral_value() * tick))

        def held() -> Decimal:
            rows = http.get_positions(category="linear", settleCoin="USDT")["result"]["list"]
            return sum((D(row["size"]) for row in rows), D(0))

        for each in books:
            leverage = {"buyLeverage": str(LEVERAGE), "sellLeverage": str(LEVERAGE)}
            http.set_leverage(category="linear", symbol=each.symbol, **leverage)
            for rung in (*each.buys, *each.sells):
                http.place_order(
                    category="linear", symbol=each.symbol, side=direction.open_side.value, orderType="Limit",
                    qty=str(rung.qty), price=str(rung.price), positionIdx=direction.position_idx,
                )  # fmt: skip
        step = foretold.liquidated / 40
        for number in range(1, 40):
            move_to(step * number)
        move_to(foretold.liquidated * D("0.998"))
        whole = sum((rung.qty for each in books for rung in (*each.buys, *each.sells)), D(0))
        assert held() == whole
        move_to(foretold.liquidated * D("1.002"))
        assert held() < whole
