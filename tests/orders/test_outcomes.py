"""What the answer to a request means: the tables, and the four outcomes."""

from __future__ import annotations

from collections.abc import Callable

from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome
from gridbot.exchange.requests import OrderAck
from gridbot.orders.outcomes import (
    Next,
    OrderOutcome,
    OrderResult,
    Verdict,
    after_cancel,
    after_place,
    result_of_cancel,
    result_of_place,
)
from tests.case_table import case_table


def error(kind: ErrorKind, outcome: Outcome = Outcome.NOT_CREATED) -> ExchangeError:
    return ExchangeError("no", kind=kind, outcome=outcome)


def kinds(judge: Callable[[ExchangeError], Verdict], holds: Callable[[Verdict], bool]) -> set[ErrorKind]:
    """The kinds of errors, proved to have had no effect, whose verdict is such."""
    return {kind for kind in ErrorKind if holds(judge(error(kind)))}


TRANSIENT = {ErrorKind.RATE_LIMIT, ErrorKind.IP_BAN, ErrorKind.RETRY}


def test_only_what_passes_by_itself_is_tried_again() -> None:
    """incidents L8, L9: a refused close or open never queues, the strategy asks again when it still wants it."""
    assert kinds(after_place, lambda v: v.next is Next.RETRY) == TRANSIENT
    assert kinds(after_cancel, lambda v: v.next is Next.RETRY) == TRANSIENT


def test_a_cancel_is_never_the_proof_that_its_order_is_gone() -> None:
    """incident L14: "no such order" (110001) and "already cancelled" are questions for the order's history."""
    kept = {ErrorKind.BALANCE, ErrorKind.AUTH, ErrorKind.HALT, ErrorKind.NO_LEASE}
    assert kinds(after_cancel, lambda v: v.next is Next.KEEP) == kept
    assert kinds(after_cancel, lambda v: v.next is Next.LOOK_UP) == set(ErrorKind) - kept - TRANSIENT
    assert kinds(after_cancel, lambda v: v.next is Next.REJECT) == set()


def test_what_counts_against_a_level_is_what_the_level_can_help() -> None:
    """docs/risk.md 6.1 no. 11: a bad key, a halt and a busy exchange say nothing about the level."""
    refused = {ErrorKind.RESYNC, ErrorKind.BALANCE, ErrorKind.NOT_FOUND, ErrorKind.PARAM}
    assert kinds(after_place, lambda v: v.breaker) == refused
    assert kinds(after_cancel, lambda v: v.breaker) == set()


def test_what_a_refusal_contradicts_is_read_again() -> None:
    """110017 contradicts our position (incident L8), 110007 our balance (incident L9)."""
    assert kinds(after_place, lambda v: v.refresh_positions) == {ErrorKind.RESYNC}
    assert kinds(after_place, lambda v: v.refresh_wallet) == {ErrorKind.BALANCE}
    assert kinds(after_cancel, lambda v: v.refresh_positions or v.refresh_wallet) == set()


def test_key_errors_count_towards_the_cooldown_whatever_was_asked() -> None:
    """incident L42: also when the reply leaves open whether the order exists."""
    assert kinds(after_place, lambda v: v.auth) == kinds(after_cancel, lambda v: v.auth) == {ErrorKind.AUTH}
    assert after_place(error(ErrorKind.AUTH, Outcome.UNKNOWN)) == Verdict(Next.LOOK_UP, auth=True)


def test_a_symbol_that_takes_no_such_order_holds_back_its_orders_and_halts_nothing() -> None:
    assert kinds(after_place, lambda v: v.symbol) == {ErrorKind.SYMBOL}


def test_a_restricted_symbol_halts_its_strategy() -> None:
    assert kinds(after_place, lambda v: v.halt) == {ErrorKind.HALT}


@case_table("kind", list(ErrorKind))
def test_a_lost_reply_never_becomes_a_rejection(kind: ErrorKind) -> None:
    """incident L2: a create that timed out after the exchange took it was repeated under a new id."""
    assert after_place(error(kind, Outcome.UNKNOWN)).next is Next.LOOK_UP


def test_an_acknowledgement_confirms_either_request() -> None:
    ack = OrderAck("id-1", "link-1")
    for result in (result_of_place(ack), result_of_cancel(ack)):
        assert result == OrderResult(OrderOutcome.CONFIRMED, ack=ack)


@case_table("kind", list(ErrorKind))
def test_the_outcome_of_a_failure_agrees_with_what_is_done_about_it(kind: ErrorKind) -> None:
    failure = error(kind)
    for result, verdict in ((result_of_place(failure), after_place), (result_of_cancel(failure), after_cancel)):
        is_open = verdict(failure).next is Next.LOOK_UP
        assert result.outcome is (OrderOutcome.UNRESOLVED if is_open else OrderOutcome.REJECTED)
        assert (result.ack, result.error, result.reason) == (None, failure, "")


@case_table("kind", list(ErrorKind))
def test_a_create_is_rejected_only_when_that_is_proved(kind: ErrorKind) -> None:
    assert result_of_place(error(kind, Outcome.UNKNOWN)).outcome is OrderOutcome.UNRESOLVED
    assert result_of_place(error(kind, Outcome.EXISTS)).outcome is OrderOutcome.UNRESOLVED


def test_a_denied_request_says_why_and_has_no_answer() -> None:
    result = OrderResult.denied("stopping")
    assert result.outcome is OrderOutcome.DENIED
    assert (result.ack, result.error, result.reason) == (None, None, "stopping")
