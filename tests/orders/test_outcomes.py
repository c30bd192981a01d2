"""What the answer to a request means: the tables, and the four outcomes."""

from __future__ import annotations

import pytest

from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome
from gridbot.exchange.requests import OrderAck
from gridbot.orders.outcomes import (
    Next,
    OrderOutcome,
    OrderResult,
    after_cancel,
    after_place,
    result_of_cancel,
    result_of_place,
)


def error(kind: ErrorKind, outcome: Outcome = Outcome.NOT_CREATED) -> ExchangeError:
    return ExchangeError("no", kind=kind, outcome=outcome)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_of_error_has_its_answer(kind: ErrorKind) -> None:
    assert after_place(error(kind)).next in Next
    assert after_cancel(error(kind)).next in Next


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_lost_reply_never_becomes_a_rejection(kind: ErrorKind) -> None:
    """incident L2: a create that timed out after the exchange took it was repeated under a new id."""
    assert after_place(error(kind, Outcome.UNKNOWN)).next is Next.LOOK_UP


def test_balance_and_zero_position_never_queue() -> None:
    for kind in (ErrorKind.BALANCE, ErrorKind.RESYNC):
        assert after_place(error(kind)).next is Next.REJECT


def test_an_acknowledgement_confirms_either_request() -> None:
    ack = OrderAck("id-1", "link-1")
    for result in (result_of_place(ack), result_of_cancel(ack)):
        assert result == OrderResult(OrderOutcome.CONFIRMED, ack=ack)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_the_outcome_of_a_failure_agrees_with_what_is_done_about_it(kind: ErrorKind) -> None:
    failure = error(kind)
    for result, verdict in ((result_of_place(failure), after_place), (result_of_cancel(failure), after_cancel)):
        is_open = verdict(failure).next is Next.LOOK_UP
        assert result.outcome is (OrderOutcome.UNRESOLVED if is_open else OrderOutcome.REJECTED)
        assert (result.ack, result.error, result.reason) == (None, failure, "")


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_create_is_rejected_only_when_that_is_proved(kind: ErrorKind) -> None:
    assert result_of_place(error(kind, Outcome.UNKNOWN)).outcome is OrderOutcome.UNRESOLVED
    assert result_of_place(error(kind, Outcome.EXISTS)).outcome is OrderOutcome.UNRESOLVED


def test_a_denied_request_says_why_and_has_no_answer() -> None:
    result = OrderResult.denied("stopping")
    assert result.outcome is OrderOutcome.DENIED
    assert (result.ack, result.error, result.reason) == (None, None, "stopping")
