"""Whether the exchange would move a price (docs/bybit.md 3.13)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.core import Instrument, Side, TickerEvent
from gridbot.risk.band_watch import BandWatch
from tests.case_table import case_table

D = Decimal
BTC = Instrument(
    "BTCUSDT",
    D("0.1"),
    D("0.001"),
    D("0.001"),
    D(100),
    price_limit_x=D("0.01"),
    price_limit_y=D("0.02"),
)


def ticker(last: str = "2500", *, mark: str | None = "2500", at_ms: int = 0, **more: str) -> TickerEvent:
    prices = {name: D(value) for name, value in more.items()}
    return TickerEvent("BTCUSDT", D(last), at_ms, mark_price=None if mark is None else D(mark), **prices)  # type: ignore[arg-type]


@case_table(
    ("side", "price", "is_beyond"),
    [
        (Side.BUY, "2525", False),
        (Side.BUY, "2525.1", True),
        (Side.SELL, "2475", False),
        (Side.SELL, "2474.9", True),
        (Side.BUY, "1", False),
        (Side.SELL, "9999", False),
    ],
)
def test_the_band_without_a_premium(side: Side, price: str, is_beyond: bool) -> None:
    watch = BandWatch(BTC)
    watch.note(ticker(index_price="2498"))
    assert watch.is_beyond(side, D(price)) == is_beyond


def test_a_lasting_premium_widens_the_band_up_to_the_second_ratio() -> None:
    watch = BandWatch(BTC)
    for second in range(40):
        at_ms = 1300 + 1000 * second
        watch.note(ticker("2600", at_ms=at_ms, bid1_price="2599.9", ask1_price="2600.1"))
        watch.note(ticker("9", at_ms=at_ms + 500, bid1_price="9", ask1_price="9"))  # the first of each second counts
        watch.note(ticker("2600", at_ms=at_ms + 600, bid1_price="2599.9", ask1_price="2600.1"))
    assert [watch.is_beyond(Side.BUY, D(price)) for price in ("2550", "2550.1")] == [False, True]
    assert watch.is_beyond(Side.SELL, D("2474.9"))


@case_table(
    ("instrument", "event"),
    [
        (BTC, None),
        (BTC, ticker(mark=None)),
        (replace(BTC, price_limit_x=None), ticker()),
        (replace(BTC, price_limit_y=None), ticker()),
    ],
)
def test_where_the_rule_or_the_mark_is_not_known_the_exchanges_answer_tells(
    instrument: Instrument, event: TickerEvent | None
) -> None:
    watch = BandWatch(instrument)
    if event is not None:
        watch.note(event)
    assert not watch.is_beyond(Side.BUY, D(99999))
