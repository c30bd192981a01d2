"""Announcements as values: whom a maintenance concerns, and which symbols an announcement names."""

from __future__ import annotations

import pytest

from gridbot.exchange.environment import Environment
from gridbot.exchange.notices import Announcement, Maintenance, MaintenanceState, concerns
from tests.case_table import case_table

MAINTENANCE = Maintenance("m1", "engine", MaintenanceState.SCHEDULED)


@pytest.mark.parametrize(
    ("changes", "environment", "is_ours"),
    [
        ({}, Environment.MAINNET, True),
        ({"env": 1}, Environment.MAINNET, True),
        ({"env": 2}, Environment.MAINNET, False),
        ({"env": 2}, Environment.DEMO, True),
        ({"env": 1}, Environment.DEMO, False),
        ({"env": 2}, Environment.TESTNET, True),
        ({"env": 1}, Environment.PAPER, True),
        ({"products": frozenset({1, 2})}, Environment.MAINNET, True),
        ({"products": frozenset({2, 4})}, Environment.MAINNET, False),
        ({"uid_digits": frozenset({7})}, Environment.MAINNET, True),
        ({"uid_digits": frozenset({1, 2})}, Environment.MAINNET, False),
    ],
)
def test_whom_a_maintenance_concerns(changes: dict[str, object], environment: Environment, is_ours: bool) -> None:
    maintenance = Maintenance("m1", "engine", MaintenanceState.SCHEDULED, **changes)  # type: ignore[arg-type]
    assert concerns(maintenance, environment, "9900007") is is_ours


@pytest.mark.parametrize("user_id", ["", "paper-alice"])
def test_an_account_whose_number_is_not_known_is_concerned(user_id: str) -> None:
    maintenance = Maintenance("m1", "", MaintenanceState.SCHEDULED, uid_digits=frozenset({1}))
    assert concerns(maintenance, Environment.MAINNET, user_id)


def test_a_state_that_nobody_knows_is_one_of_its_own() -> None:
    assert MaintenanceState("paused") is MaintenanceState.UNKNOWN
    assert MaintenanceState("ongoing") is MaintenanceState.ONGOING


@case_table(
    ("title", "is_named"),
    [
        ("Delisting of BTCUSDT Perpetual Contract", True),
        ("Delisting of ETHUSDT, BTCUSDT.", True),
        ("Delisting of 1000BTCUSDT", False),
        ("Delisting of BTCUSDT2", False),
        ("Delisting of BTC/USDT", False),
    ],
)
def test_a_symbol_is_named_as_a_word_of_its_own(title: str, is_named: bool) -> None:
    assert Announcement(title, "delistings", 1).names("BTCUSDT") is is_named
    assert Announcement("Delisting", "delistings", 1, title).names("BTCUSDT") is is_named


def test_an_announcement_without_an_address_goes_by_its_time_and_title() -> None:
    assert Announcement("a", "other", 1, url="https://x").name == "https://x"
    assert Announcement("a", "other", 1).name != Announcement("a", "other", 2).name
