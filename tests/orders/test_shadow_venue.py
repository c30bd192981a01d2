"""The hypothetical exchange of a shadow strategy (docs/strategy.md 8)."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import (
    Direction,
    ExecType,
    ExecutionEvent,
    Instrument,
    OrderStatus,
    OrderUpdateEvent,
    Side,
    TickerEvent,
)
from gridbot.core.exchange_sequence import is_before
from gridbot.orders.shadow_account import ShadowAccount
from gridbot.orders.shadow_venue import ShadowVenue
from tests.case_table import case_table
from tests.orders.helpers import make_order

D = Decimal
BTC = Instrument("BTCUSDT", D("0.1"), D("0.001"), D("0.001"), D(100))


def ticker(last: str, **more: str) -> TickerEvent:
    return TickerEvent("BTCUSDT", D(last), exchange_ts=5, **{k: D(v) for k, v in more.items()})  # type: ignore[arg-type]


def venue_of(account: ShadowAccount | None = None) -> ShadowVenue:
    return ShadowVenue(BTC, account or ShadowAccount(), run_id="r1")


def fills_at(venue: ShadowVenue, price: str) -> list[ExecutionEvent]:
    return [event for event in venue.on_ticker(ticker(price)) if isinstance(event, ExecutionEvent)]


def test_a_fill_is_whole_at_the_orders_own_price_and_happens_once() -> None:
    venue = venue_of()
    buy = make_order(1)
    assert venue.place(buy, 1).status is OrderStatus.NEW
    [fill] = fills_at(venue, "99.9")
    assert (fill.price, fill.qty, fill.direction, fill.leaves_qty) == (D(100), D("0.010"), Direction.LONG, 0)
    assert fill.fee == D("0.010") * 100 * D("0.0002")
    assert venue.on_ticker(ticker("99.8")) == []


def test_sequence_numbers_grow_over_restarts_and_within_a_millisecond() -> None:
    """They began anew: a restart within 30 s put the new fills before the old ones, and corrected those."""
    venue = venue_of()
    for level in (1, 2):
        venue.place(make_order(level), 1)
    made = fills_at(venue, "99.0")
    again = ShadowVenue(BTC, ShadowAccount(), run_id="r2")
    again.place(make_order(1), 1)
    later = TickerEvent("BTCUSDT", D("99.0"), exchange_ts=9)
    made += [event for event in again.on_ticker(later) if isinstance(event, ExecutionEvent)]
    assert [(fill.exchange_ts, fill.seq) for fill in made] == [(5, 5), (5, 6), (9, 9)]
    assert is_before(made[0], made[1])
    assert is_before(made[1], made[2])


@case_table(
    ("side", "last", "quote", "fills"),
    [
        (Side.BUY, "99.9", {}, 1),
        (Side.BUY, "100.0", {}, 0),  # touching is not trading through
        (Side.BUY, "100.1", {"ask1_price": "100.0"}, 1),
        (Side.BUY, "100.1", {"ask1_price": "100.1", "bid1_price": "100.0"}, 0),
        (Side.SELL, "100.1", {}, 1),
        (Side.SELL, "100.0", {}, 0),
        (Side.SELL, "99.9", {"bid1_price": "100.0"}, 1),
        (Side.SELL, "99.9", {"bid1_price": "99.9", "ask1_price": "100.0"}, 0),
    ],
)
def test_an_order_fills_when_the_price_goes_through_it_or_the_other_side_reaches_it(
    side: Side, last: str, quote: dict[str, str], fills: int
) -> None:
    venue = venue_of()
    venue.place(make_order(1, side=side, direction=Direction.LONG if side is Side.BUY else Direction.SHORT), 1)
    assert len(venue.on_ticker(ticker(last, **quote))) == fills


def test_shadow_closes_are_clamped_to_the_position_and_average_entry_holds() -> None:
    venue = venue_of()
    venue.place(make_order(1, ticks=1000), 1)
    venue.place(make_order(2, ticks=980), 1)
    fills = fills_at(venue, "97")
    assert [fill.price for fill in fills] == [D(100), D(98)], "the nearer price first"
    [long, short] = venue.positions(9)
    assert (long.size, long.entry_price) == (D("0.020"), D(99))
    assert (short.size, short.entry_price) == (0, None)
    venue.place(make_order(3, ticks=1010, side=Side.SELL, qty="0.5"), 1)
    [close] = fills_at(venue, "102")
    assert (close.qty, close.closed_size, close.is_close) == (D("0.020"), D("0.020"), True)
    venue.place(make_order(4, ticks=1010, side=Side.SELL, qty="0.5"), 1)
    [over] = venue.on_ticker(ticker("102"))
    assert isinstance(over, OrderUpdateEvent)
    assert (over.status, over.cancel_type) == (OrderStatus.CANCELLED, "CancelByReduceOnly"), "nothing left to close"


def test_a_leg_of_an_earlier_run_can_be_closed() -> None:
    venue = venue_of()
    venue.restore(Direction.LONG, D("0.3"), D(90))
    venue.restore(Direction.SHORT, D(0), D(0))
    venue.place(make_order(1, ticks=1010, side=Side.SELL, qty="0.2"), 1)
    assert [fill.closed_size for fill in fills_at(venue, "102")] == [D("0.2")]
    assert [(leg.size, leg.entry_price) for leg in venue.positions(9)] == [(D("0.1"), D(90)), (0, None)]


def test_sells_fill_from_the_lowest_price_up() -> None:
    venue = venue_of()
    for n, ticks in enumerate((1020, 1010)):
        venue.place(make_order(n, ticks=ticks, side=Side.SELL, direction=Direction.SHORT), 1)
    assert [fill.price for fill in fills_at(venue, "103")] == [D(101), D(102)]


def test_a_cancelled_shadow_order_never_fills() -> None:
    venue = venue_of()
    order = make_order(1)
    venue.place(order, 1)
    assert venue.cancel(order, 2).status is OrderStatus.CANCELLED
    assert venue.on_ticker(ticker("90")) == []


def test_a_cancel_of_what_was_filled_already_says_so() -> None:
    venue = venue_of()
    order = make_order(1)
    venue.place(order, 1)
    venue.on_ticker(ticker("99.9"))
    late = venue.cancel(order, 2)
    assert (late.status, late.cum_exec_qty) == (OrderStatus.FILLED, order.qty)


@case_table(
    ("side", "direction", "quote", "rests"),
    [
        (Side.BUY, Direction.LONG, {"ask1_price": "100.1"}, True),
        (Side.BUY, Direction.LONG, {"ask1_price": "100.0"}, False),
        (Side.SELL, Direction.SHORT, {"bid1_price": "99.9"}, True),
        (Side.SELL, Direction.SHORT, {"bid1_price": "100.0"}, False),
        (Side.BUY, Direction.LONG, {}, True),  # no quote is known
    ],
)
def test_an_order_that_would_take_is_cancelled_since_it_is_post_only(
    side: Side, direction: Direction, quote: dict[str, str], rests: bool
) -> None:
    venue = venue_of()
    venue.on_ticker(ticker("100", **quote))
    news = venue.place(make_order(1, side=side, direction=direction), 1)
    assert (news.status is OrderStatus.NEW) == rests
    assert news.reject_reason == ("" if rests else "EC_PostOnlyWillTakeLiquidity")


def funding_ticker(ts: int, following: int, rate: str | None = "0.0001") -> TickerEvent:
    return TickerEvent(
        "BTCUSDT",
        D(100),
        exchange_ts=ts,
        mark_price=D(100),
        funding_rate=None if rate is None else D(rate),
        next_funding_ts=following,
    )


def test_a_funding_is_paid_by_the_longs_and_received_by_the_shorts_once() -> None:
    account = ShadowAccount()
    venue = venue_of(account)
    venue.restore(Direction.LONG, D(3), D(90))
    venue.restore(Direction.SHORT, D(1), D(90))
    assert venue.on_ticker(funding_ticker(10, 1000)) == []
    assert venue.on_ticker(funding_ticker(999, 1000)) == []
    paid = venue.on_ticker(funding_ticker(1001, 2000, "0.5"))  # the rate announced before counts
    assert [(e.direction, e.fee, e.exec_type, e.exchange_ts) for e in paid if isinstance(e, ExecutionEvent)] == [
        (Direction.LONG, D("0.03"), ExecType.FUNDING, 1000),
        (Direction.SHORT, D("-0.01"), ExecType.FUNDING, 1000),
    ]
    assert account.net == D("-0.02")
    assert venue.on_ticker(funding_ticker(1002, 2000)) == []


@case_table(
    ("before", "after"),
    [
        (funding_ticker(10, 1000, None), funding_ticker(1001, 2000)),
        (funding_ticker(10, 0), funding_ticker(1001, 2000)),
        (funding_ticker(10, 1000), funding_ticker(1001, 0)),
        (funding_ticker(10, 1000), funding_ticker(500, 2000)),  # moved, not passed
    ],
)
def test_a_funding_that_is_not_known_or_not_due_costs_nothing(before: TickerEvent, after: TickerEvent) -> None:
    venue = venue_of()
    venue.restore(Direction.LONG, D(3), D(90))
    venue.on_ticker(before)
    assert venue.on_ticker(after) == []


def test_ids_of_two_strategies_of_an_account_never_meet() -> None:
    account = ShadowAccount()
    eth = Instrument("ETHUSDT", D("0.1"), D("0.001"), D("0.001"), D(100))
    ids = set()
    for instrument in (BTC, eth):
        venue = ShadowVenue(instrument, account, run_id="r1")
        order = make_order(1)
        venue.place(order, 1)
        ids |= {order.order_id} | {fill.exec_id for fill in fills_at(venue, "99")}
    assert len(ids) == 4, "the ledger counts an id once, whoever's it is"


def test_between_the_nearest_orders_no_price_fills_anything() -> None:
    venue = venue_of()
    assert venue.nearest() == (None, None)
    for order in (make_order(1), make_order(2, ticks=990), make_order(3, ticks=1010, side=Side.SELL)):
        venue.place(order, 1)
    assert venue.nearest() == (1000, 1010)
    assert venue.on_ticker(ticker("100.1")) == []
