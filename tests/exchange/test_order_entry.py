"""Which way orders go, by what the configuration asks for, the environment and what testnet has shown."""

from __future__ import annotations

import pytest

from gridbot.exchange.environment import Environment
from gridbot.exchange.order_entry import HTTP_ONLY, PROVEN, EntryHealth, OrderEntry, by_socket
from gridbot.exchange.stream_news import ConnectionState
from tests.case_table import case_table

AUTO = {
    (Environment.PAPER, 0): True,
    (Environment.TESTNET, 0): True,
    (Environment.DEMO, PROVEN): False,
    (Environment.MAINNET, 0): False,
    (Environment.MAINNET, PROVEN - 1): False,
    (Environment.MAINNET, PROVEN): True,
}


@case_table(("case", "expected"), AUTO.items())
def test_auto(case: tuple[Environment, int], expected: bool) -> None:
    assert by_socket(OrderEntry.AUTO, *case) is expected


@pytest.mark.parametrize("environment", Environment)
def test_what_is_asked_for_is_done_where_it_can_be(environment: Environment) -> None:
    assert not by_socket(OrderEntry.HTTP, environment, PROVEN)
    assert by_socket(OrderEntry.WEBSOCKET, environment, 0) is (environment is not Environment.DEMO)


def test_a_socket_that_is_down_for_some_seconds_is_a_problem_that_says_the_same_while_it_lasts() -> None:
    def down(seconds: float, error: str = "no pong in time") -> str:
        return EntryHealth(OrderEntry.HTTP, ConnectionState.LOST, seconds, 1, error).problem

    assert HTTP_ONLY.problem == down(4.9) == ""
    assert down(5.0) == down(500.0) == "the trade socket is down (no pong in time); orders go by HTTP"
    assert "(lost)" in down(9.0, "")
    assert EntryHealth(OrderEntry.WEBSOCKET, ConnectionState.READY).problem == ""
