"""What a command would do to a strategy, in words."""

from __future__ import annotations

from typing import Any

from gridbot.commands.command_table import COMMANDS, find_command
from gridbot.commands.effects import effect, held
from tests.case_table import case_table

BUSY = {"mode": "live", "state": "active", "open_orders": 24, "long": {"size": "0.5"}, "short": {"size": "0.00"}}


def test_a_leg_that_is_open_is_held() -> None:
    assert held(BUSY) == {"long": "0.5"}
    assert held({}) == held({"long": None, "short": {"size": None}}) == {}


@case_table(
    ("name", "args", "strategy", "text"),
    [
        ("pause", {}, BUSY, "sends no new order; 24 resting orders are left"),
        ("pause", {"cancel": True}, BUSY, "sends no new order; 24 resting orders are cancelled"),
        ("pause", {"cancel": True}, {**BUSY, "open_orders": 1}, "sends no new order; 1 resting order is cancelled"),
        ("pause", {}, {}, "sends no new order; its resting orders are left"),
        ("reduce", {}, BUSY, "of its resting orders those that open are cancelled; closes go on"),
        ("cancel", {}, BUSY, "24 resting orders are cancelled; it pauses"),
        ("cancel", {"leave_running": True}, BUSY, "24 resting orders are cancelled; it places anew what it wants"),
        ("cancel", {}, {**BUSY, "mode": "shadow"}, "nothing on the exchange: it is a shadow; it pauses"),
        ("flatten", {}, BUSY, "it pauses; 24 resting orders are cancelled, long 0.5 is closed"),
        (
            "kill",
            {},
            {"open_orders": 1, "long": {"size": "1"}, "short": {"size": "2"}},
            "it pauses; 1 resting order is cancelled, long 1 and short 2 are closed; it stays latched",
        ),
        ("flatten", {}, {}, "it pauses; its resting orders are cancelled, no position is closed"),
        ("kill", {}, {"mode": "shadow"}, "nothing on the exchange: it is a shadow; it pauses; it stays latched"),
        ("resume", {}, BUSY, "trades already; the loss of its session counts from here"),
        ("resume", {}, {**BUSY, "state": "halted", "reason": "a fault"}, "trades again, although: a fault"),
        ("resume", {}, {**BUSY, "state": "paused"}, "trades again"),
        ("reconcile", {}, BUSY, "24 resting orders and its positions are compared with the exchange"),
        ("restart", {}, BUSY, "its process ends and begins anew; 24 resting orders and its positions stay"),
    ],
)
def test_what_it_would_do(name: str, args: dict[str, Any], strategy: dict[str, Any], text: str) -> None:
    assert effect(find_command(name), args, strategy) == text


def test_every_command_has_words() -> None:
    assert all(effect(command, {}, BUSY) for command in COMMANDS)
