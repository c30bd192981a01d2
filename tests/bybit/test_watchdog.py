"""When a stream is dead, and how long to wait."""

from __future__ import annotations

from dataclasses import replace

from gridbot.bybit.watchdog import ConnectionView, Limits, backoff_s, why_dead
from gridbot.exchange.stream_news import ConnectionState
from tests.case_table import case_table

LIMITS = Limits()
FINE = ConnectionView(ConnectionState.READY, True, 100, 1, 1, watch_silence=True)


def test_a_talking_stream_is_alive():
    assert why_dead(FINE, LIMITS) is None


@case_table(
    ("view", "word"),
    [
        (replace(FINE, state=ConnectionState.LOST), "lost"),
        (replace(FINE, is_connected=False), "closed"),
        (replace(FINE, alive_age_s=46), "pong"),
        (replace(FINE, message_age_s=31), "message"),
        (replace(FINE, state=ConnectionState.CONNECTING, state_age_s=16), "ready"),
        (replace(FINE, state=ConnectionState.SUBSCRIBING, state_age_s=16), "ready"),
    ],
)
def test_reasons_to_give_up(view: ConnectionView, word: str):
    assert word in (why_dead(view, LIMITS) or "")


def test_private_silence_is_no_death():
    assert why_dead(replace(FINE, watch_silence=False, message_age_s=100_000), LIMITS) is None


def test_a_private_stream_without_pongs_is_dead():
    assert why_dead(replace(FINE, watch_silence=False, alive_age_s=46), LIMITS) is not None


def test_a_stream_that_is_being_set_up_has_time():
    assert why_dead(replace(FINE, state=ConnectionState.CONNECTING, is_connected=False, state_age_s=14), LIMITS) is None


def test_patience_doubles_while_the_market_itself_is_silent():
    patience = []
    for rebuilds in range(6):
        view = replace(FINE, quiet_rebuilds=rebuilds)
        patience.append(next(age for age in range(1000) if why_dead(replace(view, message_age_s=age), LIMITS)))
    assert patience == [31, 61, 121, 241, 241, 241]


def test_waits_double_up_to_the_limit_and_luck_shortens_them():
    assert [backoff_s(n, 0, LIMITS) for n in (1, 2, 3, 6, 7, 8, 1000)] == [1, 2, 4, 32, 60, 60, 60]
    assert backoff_s(3, 1, LIMITS) == 3
