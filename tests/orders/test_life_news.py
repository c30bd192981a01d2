"""What the exchange says of orders unasked, in listings and on look-ups, and what contradicts our inferences."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import OrderStatus, Side
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.orders import life_effects, life_events
from gridbot.orders.breakers import Cause
from gridbot.orders.life_moves import OFF_TICK, TAKEN
from gridbot.orders.life_news import AT_ONCE_MS, OFF_STEP
from gridbot.orders.order import OrderState, Transition
from gridbot.orders.retry import MAX_TRIES, NO_TRIES, Tries
from tests.case_table import case_table
from tests.orders.helpers import INSTRUMENT, make_order
from tests.orders.life_bench import LATER_TS, LifeBench, expected, names, outcomes

D = Decimal

# Event -> effects -> situations. A transition is `[before>after]`; `*` stands for all other situations.
TABLE: dict[str, dict[str, str]] = {
    "heard: rests": {
        "[pending>open]": "queued | in flight | acknowledged",
        "[pending>open] ForgetRetry": "waits",
        "[unresolved>open]": "unresolved",
        "[unresolved>open] ForgetRetry": "unresolved, waits",
        "[unresolved>open] cancel[open]": "unresolved, withdrawn | cancel lost | sent, cancel lost",
        "": "*",
        "Reconcile": "cancelled",
        "[cancelled>open] TellOperator cancel[open]": "held to be cancelled",
        "[rejected>open] TellOperator": "held to be rejected",
    },
    "heard: filled in part": {
        "[pending>partially_filled]": "queued | in flight | acknowledged",
        "[pending>partially_filled] ForgetRetry": "waits",
        "[unresolved>partially_filled]": "unresolved",
        "[unresolved>partially_filled] ForgetRetry": "unresolved, waits",
        "[unresolved>partially_filled] cancel[partially_filled]": (
            "unresolved, withdrawn | cancel lost | sent, cancel lost"
        ),
        "[open>partially_filled]": "open",
        "[partially_filled>partially_filled]": "partially filled",
        "[pending_cancel>pending_cancel]": "cancel sent | cancel answered | cancel waits | sent, cancel sent",
        "": "filled | filled, unsettled",
        "Reconcile": "cancelled",
        "[cancelled>partially_filled] TellOperator cancel[partially_filled]": "held to be cancelled",
        "[rejected>partially_filled] TellOperator": "held to be rejected",
    },
    "heard: filled": {
        "[pending>filled]": "queued | in flight | acknowledged",
        "[pending>filled] ForgetRetry": "waits",
        "[unresolved>filled]": "*",
        "[unresolved>filled] ForgetRetry": "unresolved, waits",
        "[open>filled]": "open",
        "[partially_filled>filled]": "partially filled",
        "[pending_cancel>filled]": "cancel sent | cancel answered | sent, cancel sent",
        "[pending_cancel>filled] ForgetRetry": "cancel waits",
        "": "filled | filled, unsettled",
        "[cancelled>filled]": "cancelled | held to be cancelled",
        "[rejected>filled]": "held to be rejected",
    },
    "heard: cancelled": {
        "[pending>cancelled]": "queued | in flight | acknowledged",
        "[pending>cancelled] ForgetRetry": "waits",
        "[unresolved>cancelled]": "*",
        "[unresolved>cancelled] ForgetRetry": "unresolved, waits",
        "[open>cancelled]": "open",
        "[partially_filled>cancelled]": "partially filled",
        "[pending_cancel>cancelled]": "cancel sent | cancel answered | sent, cancel sent",
        "[pending_cancel>cancelled] ForgetRetry": "cancel waits",
        "": "filled | filled, unsettled | cancelled | held to be cancelled",
        "[rejected>cancelled]": "held to be rejected",
    },
    "listed": {
        "[pending>open]": "queued | in flight | acknowledged",
        "[pending>open] ForgetRetry": "waits",
        "[unresolved>open]": "unresolved",
        "[unresolved>open] ForgetRetry": "unresolved, waits",
        "[unresolved>open] cancel[open]": "unresolved, withdrawn | cancel lost | sent, cancel lost",
        "": "*",
        "NoteCancel SendCancel": "cancel answered",
        "[cancelled>open] TellOperator": "cancelled",
        "[cancelled>open] TellOperator cancel[open]": "held to be cancelled",
        "[rejected>open] TellOperator": "held to be rejected",
    },
    "found open": {
        "": "*",
        "NoteCancel SendCancel": "cancel answered",
    },
    "gone": {
        "": "*",
        "[pending>cancelled]": "acknowledged",
        "[unresolved>cancelled]": "unresolved | unresolved, withdrawn | cancel lost",
        "[open>cancelled]": "open",
        "[partially_filled>cancelled]": "partially filled",
        "[pending_cancel>cancelled]": "cancel sent | cancel answered",
        "[pending_cancel>cancelled] ForgetRetry": "cancel waits",
    },
    "never arrived": {
        "": "*",
        "[pending>cancelled]": "acknowledged",
        "RetryAt": "unresolved",
        "[unresolved>cancelled]": "unresolved, withdrawn | cancel lost",
        "[open>cancelled]": "open",
        "[partially_filled>cancelled]": "partially filled",
        "[pending_cancel>cancelled]": "cancel sent | cancel answered",
        "[pending_cancel>cancelled] ForgetRetry": "cancel waits",
    },
    "executed in part": {
        "[pending>partially_filled]": "queued | in flight | acknowledged",
        "[pending>partially_filled] ForgetRetry": "waits",
        "[unresolved>partially_filled]": "unresolved",
        "[unresolved>partially_filled] ForgetRetry": "unresolved, waits",
        "[unresolved>partially_filled] cancel[partially_filled]": (
            "unresolved, withdrawn | cancel lost | sent, cancel lost"
        ),
        "[open>partially_filled]": "open",
        "[partially_filled>partially_filled]": "partially filled",
        "[pending_cancel>pending_cancel]": "cancel sent | cancel answered | cancel waits | sent, cancel sent",
        "": "filled | filled, unsettled | cancelled",
        "Reconcile": "held to be cancelled",
        "[rejected>cancelled] Reconcile": "held to be rejected",
    },
    "executed": {
        "[pending>filled]": "queued | in flight | acknowledged",
        "[pending>filled] ForgetRetry": "waits",
        "[unresolved>filled]": "*",
        "[unresolved>filled] ForgetRetry": "unresolved, waits",
        "[open>filled]": "open",
        "[partially_filled>filled]": "partially filled",
        "[pending_cancel>filled]": "cancel sent | cancel answered | sent, cancel sent",
        "[pending_cancel>filled] ForgetRetry": "cancel waits",
        "": "filled | filled, unsettled | cancelled",
        "[cancelled>filled]": "held to be cancelled",
        "[rejected>filled]": "held to be rejected",
    },
}


@case_table("event", TABLE)
def test_what_news_lead_to(event: str) -> None:
    assert outcomes(event) == expected(TABLE[event])


@pytest.mark.parametrize("event", [life_events.Heard, life_events.Revived])
def test_raw_messages_are_kept_where_there_are_any(event: type) -> None:
    bench = LifeBench().reach("open")
    row = bench.row(OrderStatus.NEW, raw={"orderId": "x"})
    effects = bench.take(
        life_events.Heard(bench.order, row) if event is life_events.Heard else life_events.Revived(row)
    )
    assert effects == [life_effects.KeepRaw(row)]


def test_news_end_the_wait_for_another_try() -> None:
    bench = LifeBench().reach("waits")
    bench.take(bench.heard(OrderStatus.NEW))
    assert (bench.order.create_tries, bench.order.on_wire) == (NO_TRIES, True)


def test_a_post_only_order_that_would_take_counts_as_refused_once() -> None:
    """Each repetition of the frame counted again, so that one doubled frame could open a level's breaker."""
    bench = LifeBench().reach("acknowledged")
    news = bench.heard(OrderStatus.CANCELLED, reject_reason="EC_PostOnlyWillTakeLiquidity")
    assert bench.take(news)[-1] == life_effects.CountRefusal(bench.order, bench.order.ticks, answered=False)
    assert bench.take(news) == []


@case_table("situation", ["in flight", "acknowledged", "unresolved"])
@case_table(
    ("status", "reason"),
    [
        (OrderStatus.REJECTED, "EC_ReachRiskPriceLimit"),
        (OrderStatus.REJECTED, ""),
        (OrderStatus.CANCELLED, "EC_BySelfMatch"),
    ],
)
def test_an_order_that_is_accepted_and_ended_at_once_is_a_refusal_that_is_told(
    situation: str, status: OrderStatus, reason: str
) -> None:
    """It was placed again at the next price, for ever, and nobody said so: an acknowledgement counted as success."""
    bench = LifeBench().reach(situation)
    news = bench.heard(status, reject_reason=reason)
    [counted] = [effect for effect in bench.take(news) if isinstance(effect, life_effects.CountRefusal)]
    assert (counted.cause, counted.answered) == (Cause.REFUSED, False)
    assert counted.error is not None
    assert str(counted.error) == (
        f"the exchange accepted the order and ended it at once: {reason or 'Rejected'} ({ErrorKind.PARAM})"
    )
    assert bench.take(news) == [], "the frame comes twice"


def test_a_post_only_order_that_would_take_may_be_called_rejected() -> None:
    bench = LifeBench().reach("acknowledged")
    news = bench.heard(OrderStatus.REJECTED, reject_reason="EC_PostOnlyWillTakeLiquidity")
    assert bench.take(news)[-1] == life_effects.CountRefusal(bench.order, bench.order.ticks, answered=False)


@case_table(
    ("situation", "reason"),
    [
        ("acknowledged", "EC_PerCancelRequest"),
        ("acknowledged", "EC_NoError"),
        ("open", "EC_BySelfMatch"),
        ("cancel lost", "EC_BySelfMatch"),
    ],
)
def test_an_order_that_somebody_cancels_or_that_has_rested_is_no_refusal(situation: str, reason: str) -> None:
    bench = LifeBench().reach(situation)
    assert "CountRefusal" not in names(bench.take(bench.heard(OrderStatus.CANCELLED, reject_reason=reason)))


@pytest.mark.parametrize("situation", ["in flight", "acknowledged", "unresolved"])
def test_an_order_that_has_traded_before_the_exchange_ends_it_is_no_refusal(situation: str) -> None:
    """Its order frame may come before its execution: three of them were told as "no order gets through"."""
    bench = LifeBench().reach(situation)
    news = bench.heard(OrderStatus.CANCELLED, cum="0.005", reject_reason="EC_BySelfMatch")
    assert "CountRefusal" not in names(bench.take(news))


@case_table(("rested_ms", "counts"), [(AT_ONCE_MS, True), (AT_ONCE_MS + 1, False)])
@case_table("situation", ["in flight", "acknowledged", "unresolved"])
def test_an_order_that_has_rested_unseen_is_no_refusal(situation: str, rested_ms: int, counts: bool) -> None:
    """Its first news were those of its end, after a dark stream: it counted as ended at once."""
    bench = LifeBench().reach(situation)
    ended_ms = LATER_TS + rested_ms
    news = bench.heard(OrderStatus.CANCELLED, ts=ended_ms, reject_reason="EC_BySelfMatch", created_ts=LATER_TS)
    assert ("CountRefusal" in names(bench.take(news))) is counts


@case_table("situation", ["in flight", "acknowledged", "unresolved", "held to be rejected"])
@case_table("event", ["heard", "listed"])
def test_an_order_that_comes_to_life_at_another_price_counts_as_refused_for_the_level_it_was_wanted_for(
    situation: str, event: str
) -> None:
    """Beyond the price band the exchange moves it: it was cancelled there and placed again, for ever."""
    bench = LifeBench().reach(situation)
    level = bench.order.ticks
    row = bench.row(OrderStatus.NEW, price=INSTRUMENT.price(level + 7))
    news = life_events.Heard(bench.order, row) if event == "heard" else life_events.Revived(row)
    counted = [effect for effect in bench.take(news) if isinstance(effect, life_effects.CountRefusal)]
    assert counted == [life_effects.CountRefusal(bench.order, level, answered=False, cause=Cause.MOVED)]
    assert bench.order.ticks == level + 7
    assert bench.take(news) == [], "the frame comes twice"


def test_an_order_that_is_moved_and_taken_back_at_once_counts_once() -> None:
    bench = LifeBench().reach("acknowledged")
    level = bench.order.ticks
    news = bench.heard(
        OrderStatus.CANCELLED, price=INSTRUMENT.price(level + 7), reject_reason="EC_PostOnlyWillTakeLiquidity"
    )
    assert names(bench.take(news)) == "[pending>cancelled] TellOperator CountRefusal"


@pytest.mark.parametrize("situation", ["open", "partially filled", "cancel sent"])
def test_an_order_that_is_amended_by_hand_is_no_refusal(situation: str) -> None:
    bench = LifeBench().reach(situation)
    amended = bench.heard(OrderStatus.NEW, "0.004" if situation == "partially filled" else "0", price=D("100.7"))
    assert "CountRefusal" not in names(bench.take(amended))
    assert bench.order.price == D("100.7")


def test_the_end_of_an_order_for_another_reason_is_no_refusal() -> None:
    bench = LifeBench().reach("open")
    filled = bench.heard(OrderStatus.FILLED, "0.010", reject_reason="EC_PostOnlyWillTakeLiquidity")
    assert names(bench.take(filled)) == "[open>filled]"


def test_an_order_that_never_arrives_and_was_answered_with_a_code_counts_as_refused() -> None:
    """A code in no table (181001): the order was looked up, sent again, given up and placed anew for ever."""
    bench = LifeBench().reach("in flight")
    unknown = make_error("category only support linear or option", ErrorKind.AMBIGUOUS, ret_code=181001)
    bench.take(bench.placed(unknown))
    bench.order.create_tries = Tries(MAX_TRIES, bench.now_s, None)
    over, counted = bench.take(life_events.LookedUp(bench.order, life_events.LookUp.NEVER_ARRIVED))
    assert isinstance(over, Transition)
    assert (over.after, over.ret_code) == (OrderState.REJECTED, 181001)
    assert counted == life_effects.CountRefusal(bench.order, bench.order.ticks, answered=True)


def test_the_stream_repeats_old_messages_so_only_newer_ones_revive() -> None:
    bench = LifeBench().reach("held to be cancelled")
    [ask] = bench.take(bench.heard(OrderStatus.NEW, ts=10))
    assert ask == life_effects.Reconcile(f"{bench.order.key} was held to be over and is said to rest")
    assert bench.order.state is OrderState.CANCELLED
    assert names(bench.take(life_events.Revived(bench.row(OrderStatus.NEW, ts=10)))).startswith("[cancelled>open]")


# ---------------------------------------------------------------------- one order per level


def test_an_order_that_the_exchange_prices_onto_another_one_is_cancelled() -> None:
    bench = LifeBench().reach("open")
    other = make_order(2, ticks=1010)
    bench.book.add(other)
    effects = bench.take(bench.heard(OrderStatus.NEW, price=D(101)))
    assert names(effects) == "[open>open] cancel[open]"
    assert bench.order.withdrawn == TAKEN
    assert other.is_live


def test_an_order_that_the_exchange_prices_elsewhere_stays() -> None:
    bench = LifeBench().reach("open")
    assert names(bench.take(bench.heard(OrderStatus.NEW, price=D(102)))) == "[open>open]", "the records have its price"
    assert bench.take(bench.heard(OrderStatus.NEW, price=D(102))) == []
    assert bench.book.has_live(bench.order.direction, 1020)


def test_an_adopted_order_is_recorded_and_goes_if_its_level_is_taken() -> None:
    bench = LifeBench()
    first, second = make_order(1), make_order(2)
    first.state = second.state = OrderState.OPEN
    first.exchange_ts = 7
    recorded, log = bench.take(life_events.Adopted(first, "reconcile"))
    assert recorded == Transition(first, OrderState.OPEN, OrderState.OPEN, "adopted (reconcile)")
    assert log == life_effects.Log("debug", "[order] adopted long Buy 0.010 @ 100.0")
    assert names(bench.take(life_events.Adopted(second, "reconcile"))) == "[open>open] Log cancel[open]"


@case_table(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"price": D("100.04")}, OFF_TICK),
        ({"qty": D("0.0105")}, OFF_STEP),
        ({"price": D("100.04"), "qty": D("0.0105")}, OFF_TICK),
    ],
)
def test_an_adopted_order_that_fits_no_level_of_today_is_cancelled_with_the_reason(
    changes: dict[str, Decimal], reason: str
) -> None:
    """Tick size or quantity step have changed since it was made. Until it is gone it has its level and counts."""
    bench = LifeBench()
    order = make_order(1)
    order.state = OrderState.OPEN
    for name, value in changes.items():
        setattr(order, name, value)
    effects = bench.take(life_events.Adopted(order, "reconcile"))
    assert names(effects) == f"[open>open] Log{' cancel[open]' if reason else ''}"
    assert order.withdrawn == reason
    if reason:
        assert effects[2] == life_effects.NoteCancel(order, life_effects.Wish.SENT, reason)
    assert bench.book.has_live(order.direction, order.ticks)
    assert bench.book.opening_notional() == order.qty * order.price
    assert len(bench.book) == 1


def test_an_order_that_is_moved_to_no_level_is_cancelled() -> None:
    """A hand amends it to a finer price than the worker's tick size, which the exchange has changed meanwhile."""
    bench = LifeBench().reach("open")
    assert names(bench.take(bench.heard(OrderStatus.NEW, price=D("100.1")))) == "[open>open]"
    assert (
        names(bench.take(bench.heard(OrderStatus.NEW, ts=LATER_TS + 1, price=D("100.13"))))
        == "[open>open] cancel[open]"
    )
    assert (bench.order.withdrawn, bench.order.ticks) == (OFF_TICK, 1001)


# ---------------------------------------------------------------------- strangers


def test_an_unknown_order_of_ours_is_verified_and_a_foreign_one_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.orders.life_news.STRANGERS_KEPT", 2)
    bench = LifeBench()

    def seen(order_id: str, status: OrderStatus = OrderStatus.NEW, *, ours: bool = False) -> list[life_effects.Effect]:
        row = bench.row(status, order_id=order_id, order_link_id="by-hand", side=Side.SELL)
        return bench.take(life_events.StrangerSeen(row, ours, "s1"))

    assert seen("x1", ours=True) == [life_effects.Reconcile("one of our orders is not in the book")]
    text = "BTCUSDT: an order that is not ours rests on the exchange (Sell 0.010 @ 100.0); it is left alone"
    assert seen("x1") == [life_effects.TellOperator("warning", "foreign.BTCUSDT", text, "s1")]
    assert seen("x1") == []
    assert seen("x2", OrderStatus.FILLED) == []
    assert [len(seen(order_id)) for order_id in ("x2", "x1", "x3", "x1")] == [1, 0, 1, 1], "remembered within bounds"
    assert len(bench.book.strangers) == 2


def test_an_order_of_another_strategy_of_ours_is_left_alone_and_told_with_what_to_do() -> None:
    """Somebody has changed a strat_id while orders rested: they are nobody's, and a second ladder comes beside them."""
    bench = LifeBench()
    [told] = bench.take(life_events.StrangerSeen(bench.row(OrderStatus.NEW, order_id="x1"), False, "s2"))
    assert isinstance(told, life_effects.TellOperator)
    assert "an order of another strategy or account of gridbot rests" in told.text
    assert "If strat_id or the account's name was changed, change it back" in told.text


def test_an_execution_of_an_unknown_order_changes_nothing() -> None:
    bench = LifeBench()
    assert bench.take(bench.execution("0.010", "0")) == []


def test_a_price_that_is_older_by_its_time_alone_is_asked_for() -> None:
    """Amended by hand while the exchange's clock was set back, or a repetition: only the exchange knows."""
    bench = LifeBench().reach("open")
    order, moved = bench.order, bench.row(OrderStatus.NEW, ts=1, price=D("101"))
    order.exchange_ts = 9
    assert bench.take(life_events.Heard(order, moved)) == [life_effects.AskExchange(order)]
    assert order.price == D("100.0")
    said = Transition(order, OrderState.OPEN, OrderState.OPEN, "amended, or executed in part", 9)
    assert bench.take(life_events.Revived(moved)) == [said]
    assert (order.price, order.ticks) == (D("101"), 1010)
    assert bench.take(life_events.Heard(order, moved)) == [], "it says what we know"
