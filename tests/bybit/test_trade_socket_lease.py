"""Orders of a fleet's host: without its lease nothing leaves, and what was stamped too long ago is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.bybit.clocks import wall_ms
from gridbot.exchange.failures import ErrorKind, Outcome
from gridbot.lease.lease_term import LeaseTerm
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.system_ports import boot_ns
from tests.bybit.support import run
from tests.bybit.test_over_paper import SYMBOL, order
from tests.bybit.trade_scene import failed, trading


class _Term:
    """A lease whose clock the test moves: it is behind the machine's by `late_ms`."""

    def __init__(self) -> None:
        self.late_ms = 0
        now = boot_ns()
        self.lease = LeaseWatch(LeaseTerm(1, now, now + 3_600_000_000_000), self.boot_ns, wall_ms)

    def boot_ns(self) -> int:
        return boot_ns() - self.late_ms * 1_000_000

    def ends(self) -> None:
        self.late_ms = -7_200_000

    def is_back(self) -> None:
        now = self.boot_ns()
        self.lease.extend(LeaseTerm(1, now, now + 360_000_000_000_000))


@pytest.mark.parametrize("by_socket", [True, False], ids=["socket", "http"])
def test_without_its_lease_not_one_byte_of_a_change_leaves_and_queries_go_on(by_socket: bool) -> None:
    async def scene() -> None:
        term = _Term()
        async with trading(lease=term.lease, wait=by_socket) as it:
            if not by_socket:
                await it.socket.stop()
            # Before the exchange's time is known to half a second nothing leaves either.
            error = await failed(it.orders.place_order(order("early")))
            assert (error.kind, error.outcome) == (ErrorKind.NO_LEASE, Outcome.NOT_CREATED)
            await it.rest.server_time_ms()
            await it.orders.place_order(order("g1"))
            term.ends()
            calls = it.by_http
            for answer in (
                it.orders.place_order(order("late")),
                it.orders.place_orders([order("late1"), order("late2")]),
                it.orders.cancel_order(SYMBOL, order_link_id="g1"),
                it.rest.set_leverage(SYMBOL, Decimal(7)),
            ):
                error = await failed(answer)
                assert (error.kind, error.outcome) == (ErrorKind.NO_LEASE, Outcome.NOT_CREATED)
                assert "no lease of the account" in error.message
            assert it.by_http == calls
            assert it.links == ["g1"]
            await it.rest.server_time_ms()
            term.is_back()
            await it.orders.place_order(order("g2"))
            assert sorted(it.links) == ["g1", "g2"]
            assert it.socket.is_ready is by_socket

    run(scene())


@pytest.mark.parametrize("by_socket", [True, False], ids=["socket", "http"])
def test_what_was_stamped_two_seconds_ago_the_exchange_refuses(by_socket: bool) -> None:
    """A holder that was frozen between the stamp and the socket: its clock, and so the stamp, is that of then."""

    async def scene() -> None:
        term = _Term()
        async with trading(lease=term.lease, wait=by_socket) as it:
            if not by_socket:
                await it.socket.stop()
            await it.rest.server_time_ms()
            term.late_ms = 2_600
            error = await failed(it.orders.place_order(order("g1")))
            assert error.ret_code == 10002
            assert it.links == []

    run(scene())
