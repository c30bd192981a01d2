"""A strategy that could not start is paused and resumed like any other: it starts by itself when it may."""

from __future__ import annotations

import pytest

from gridbot.core import ExecType
from gridbot.risk.holds import Held, Hold, Holds, Who
from gridbot.worker.reconcile_calls import record_untraded
from gridbot.worker.refused_strategies import NOBODY, RefusedStrategies
from gridbot.worker.startup import RefusedStrategy
from tests.worker.account_bench import AccountBench

GONE = RefusedStrategy("btc", "BTCUSDT", "it is not listed any more")
SHADOW = RefusedStrategy("eth", "ETHUSDT", "one of these days", shadow=True)
PAUSED = Held("paused by the operator", Who.OPERATOR, 7)


class Bench:
    def __init__(self, *refused: RefusedStrategy, before: Holds | None = None) -> None:
        self.kept: list[tuple[str, Holds]] = []
        self.refused = RefusedStrategies(
            refused or (GONE, SHADOW),
            load=lambda name: before or Holds(),
            keep=lambda name, holds: self.kept.append((name, holds)),
            wall_ms=lambda: 7,
        )


def test_each_is_found_by_its_name_and_its_symbol() -> None:
    refused = Bench().refused
    assert list(refused) == [GONE, SHADOW]
    assert refused.of_symbol("ETHUSDT") == SHADOW
    assert refused.of_symbol("SOLUSDT") is None
    assert list(NOBODY) == []


def test_a_pause_is_kept_until_an_operator_resumes() -> None:
    bench = Bench()
    assert bench.refused.held("btc") == ""
    bench.refused.pause("btc")
    bench.refused.pause("btc")
    bench.refused.resume("btc")
    bench.refused.resume("btc")
    assert bench.kept == [("btc", Holds({Hold.PAUSED: PAUSED})), ("btc", Holds())]


def test_what_an_earlier_life_left_stands_in_words() -> None:
    halted = Held("a fault", Who.FAULT, 5)
    bench = Bench(before=Holds({Hold.PAUSED: PAUSED, Hold.HALTED: halted}))
    assert bench.refused.held("btc") == "halted: a fault; paused: paused by the operator"
    bench.refused.resume("btc")
    assert bench.refused.held("btc") == ""


@pytest.mark.parametrize("refused", [GONE, SHADOW])
def test_what_the_exchange_takes_meanwhile_pauses_the_next_start_of_a_live_one(refused: RefusedStrategy) -> None:
    """A liquidation of its legs was an alert, and the strategy began to trade when its symbol could be traded again."""
    account, bench = AccountBench(), Bench(refused)
    taken = account.taken(ExecType.BUST)
    is_live = refused is GONE
    record_untraded(account.context, taken, bench.refused)
    record_untraded(account.context, taken, bench.refused)
    assert len(bench.kept) == is_live
    [(level, key, text, _)] = account.alarm.alerts
    if is_live:
        assert (level, key) == ("error", "reduced.BTCUSDT")
        assert text.endswith("(BustTrade); the strategy is paused")
        assert bench.refused.holds("btc").held[Hold.PAUSED].who is Who.LIQUIDATION
    else:
        assert (level, key) == ("warning", "unusual.BTCUSDT")
