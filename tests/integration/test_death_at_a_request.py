"""A worker that is killed in the moment in which its request leaves: the journal names the order."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path

from benchmarks.parts.path_bench import CENTRE, PathBench
from gridbot.core import Direction, Side
from gridbot.exchange.requests import OrderRequest
from gridbot.orders.order import OrderState
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.open_orders import OpenOrders
from gridbot.records.record_types import Header, IntentRecord, OrderRecord

REQUEST = "request"


def _die_at_the_request(directory: Path) -> None:
    """Send orders until one is asked for at the level that the exchange has emptied, and die instead of sending it."""

    async def die() -> None:
        bench = PathBench(directory, levels=4)
        await bench.begin()

        def place_order(order: OrderRequest) -> None:
            (directory / REQUEST).write_text(
                f"{order.order_link_id} {order.side} {order.direction} {order.qty} {order.price} {order.reduce_only}"
            )
            os.kill(os.getpid(), signal.SIGKILL)

        bench.gateway.place_order = place_order  # type: ignore[method-assign, assignment]
        await bench.replace(0)

    asyncio.run(die())


def test_the_journal_has_the_order_before_its_request_leaves_and_the_rest_may_be_lost(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_die_at_the_request, args=(tmp_path,))
    child.start()
    child.join(40)
    assert child.exitcode == -signal.SIGKILL
    link_id, *terms = (tmp_path / REQUEST).read_text().split()
    read = list(JournalReader(journal_directory(tmp_path, "bench")).read_from(1))
    assert [header.seq for header, _ in read] == list(range(1, len(read) + 1))
    about = [
        (header, record)
        for header, record in read
        if isinstance(record, OrderRecord | IntentRecord) and record.order_link_id == link_id
    ]
    [(header, order)] = about
    assert isinstance(header, Header)
    assert isinstance(order, OrderRecord)
    assert [order.side, order.direction, str(order.qty), str(order.price), str(order.reduce_only)] == terms
    assert (order.symbol, order.state, order.attempt) == ("BTCUSDT", OrderState.PENDING, 1)
    assert header.local_ts > 1_700_000_000_000_000
    assert Direction(order.direction).open_side is Side(order.side)
    assert order.price != CENTRE
    still_open = OpenOrders()
    for _, record in read:
        if isinstance(record, OrderRecord):
            still_open.take(record)
    assert link_id in still_open.by_key, "the next start asks the exchange for it"
    before = {record.order_link_id for _, record in read if isinstance(record, IntentRecord)}
    assert before == {record.order_link_id for _, record in read if isinstance(record, OrderRecord)} - {link_id}
