"""Which queue goes where: every death, and what the next processes get."""

from __future__ import annotations

import gc
import itertools

import pytest

from supervisor.children.child import CONTEXT
from supervisor.children.queues import QueueLedger, close_queue


class Stock:
    """Queues by number."""

    def __init__(self):
        self.numbers = itertools.count(1)
        self.closed: list[int] = []
        self.ledger = QueueLedger(["a", "b"], lambda: next(self.numbers), self.closed.append)


@pytest.fixture
def stock():
    stock = Stock()
    assert stock.ledger.for_writer() == {"a": 1, "b": 2}
    assert [stock.ledger.for_worker(name) for name in "ab"] == [1, 2]
    return stock


def test_at_the_start_the_writer_has_all_queues(stock):
    assert not stock.ledger.writer_outdated()
    assert stock.ledger.usable("a")


def test_a_killed_worker_gets_a_new_queue_and_so_does_the_writer(stock):
    stock.ledger.worker_ended("a", in_order=False)
    assert stock.closed == [1]
    assert stock.ledger.writer_outdated()
    assert not stock.ledger.usable("a")
    assert stock.ledger.for_worker("a") == 3
    stock.ledger.writer_ended(in_order=True)
    assert stock.ledger.for_writer() == {"a": 3, "b": 2}
    assert not stock.ledger.writer_outdated()


def test_a_worker_that_ended_in_order_leaves_its_queue_to_the_next(stock):
    stock.ledger.worker_ended("a", in_order=True)
    assert stock.ledger.for_worker("a") == 1
    assert not stock.ledger.writer_outdated()
    assert stock.closed == []


def test_a_killed_writer_spoils_the_queues_of_living_workers(stock):
    stock.ledger.writer_ended(in_order=False)
    assert stock.closed == [1, 2]
    assert stock.ledger.for_writer() == {}
    assert not stock.ledger.writer_outdated()
    assert not stock.ledger.usable("a")


def test_after_a_killed_writer_the_next_process_of_a_worker_has_a_queue_again(stock):
    stock.ledger.writer_ended(in_order=False)
    stock.ledger.for_writer()
    stock.ledger.worker_ended("a", in_order=True)
    assert stock.ledger.writer_outdated()
    stock.ledger.writer_ended(in_order=True)
    fresh = stock.ledger.for_writer()
    assert list(fresh) == ["a"]
    assert stock.ledger.for_worker("a") == fresh["a"]


def test_a_writer_that_starts_while_a_worker_waits_has_its_next_queue(stock):
    stock.ledger.worker_ended("a", in_order=False)
    stock.ledger.writer_ended(in_order=False)
    queues = stock.ledger.for_writer()
    assert list(queues) == ["a"]
    assert stock.ledger.for_worker("a") == queues["a"]
    assert not stock.ledger.writer_outdated()


def test_no_queue_is_ever_given_to_anybody_after_it_was_closed(stock):
    for in_order_worker, in_order_writer in itertools.product([True, False], repeat=2):
        stock.ledger.worker_ended("a", in_order=in_order_worker)
        stock.ledger.writer_ended(in_order=in_order_writer)
        given = [*stock.ledger.for_writer().values(), stock.ledger.for_worker("a")]
        assert not set(given) & set(stock.closed)


def test_a_process_can_start_with_a_queue_that_was_thrown_away_meanwhile():
    """The writer is being spawned when a worker dies: its queue is closed, but must not be gone yet."""
    ledger = QueueLedger(["a"], CONTEXT.Queue, close_queue)
    ledger.for_worker("a")
    writer = CONTEXT.Process(target=len, args=(ledger.for_writer(),))
    writer.start()
    ledger.worker_ended("a", in_order=False)
    gc.collect()
    writer.join()
    assert writer.exitcode == 0
    ledger.bury()
    ledger.worker_ended("a", in_order=False)
