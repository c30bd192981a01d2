"""Notices, alerts and a plan for the tests of messages."""

from __future__ import annotations

from typing import Any

import pytz

from supervisor.notify.alert_notices import Kind, Notice
from supervisor.notify.alert_routes import Route
from supervisor.notify.incident_book import Seen
from supervisor.notify.teller import Plan

US = 1_000_000
HALT: dict[str, Any] = {
    "level": "ERROR", "account": "alice", "about": "alice/btc", "key": "halt", "text": "halted"
}  # fmt: skip
NOON_US = 1_767_355_200 * US
"""2026-01-02T12:00:00Z."""


def notice(name: str, kind: Kind, **changes: Any) -> Notice:
    return Notice(name, kind, **{**HALT, "at_us": NOON_US, "put_us": NOON_US, **changes})


def seen(name: str, phase: str = "begun", **changes: Any) -> Seen:
    return Seen(name, phase, **{**HALT, **changes})


def plan(*routes: Route, **changes: Any) -> Plan:
    made = routes or (Route("phone", ("phone",)),)
    return Plan("gridbot", made, pytz.utc, **changes)
