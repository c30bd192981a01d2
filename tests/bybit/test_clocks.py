"""Clocks: the exchange's time as measured, and one place that reads ours."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gridbot.bybit
from gridbot.bybit.clocks import DEAD_BAND_MS, MAX_ROUND_TRIP_MS, ExchangeClock, wall_ms


def test_the_offset_is_measured_from_the_middle_of_the_round_trip():
    clock = ExchangeClock()
    clock.learn(server_ms=6_000, sent_ms=1_000, received_ms=1_200)
    assert clock.measured_ms == clock.offset_ms == 4_900
    assert abs(clock.now_ms() - wall_ms() - 4_900) < 1_000


@pytest.mark.parametrize("ahead_ms", [-DEAD_BAND_MS, 0, DEAD_BAND_MS])
def test_a_small_offset_is_noise(ahead_ms: int):
    clock = ExchangeClock()
    clock.learn(1_000 + ahead_ms, 1_000, 1_000)
    assert (clock.measured_ms, clock.offset_ms) == (ahead_ms, 0)


@pytest.mark.parametrize("round_trip_ms", [-1, MAX_ROUND_TRIP_MS + 1])
def test_a_measurement_that_took_too_long_changes_nothing(round_trip_ms: int):
    clock = ExchangeClock()
    clock.learn(50_000, 1_000, 1_000 + round_trip_ms)
    assert (clock.measured_ms, clock.offset_ms) == (None, 0)


def test_no_other_module_of_the_package_imports_time():
    found = set()
    for path in Path(gridbot.bybit.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if "time" in names or (isinstance(node, ast.ImportFrom) and node.module == "time"):
                found.add(path.name)
    assert found == {"clocks.py"}
