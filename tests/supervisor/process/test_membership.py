"""An account leaves a host when all its processes have ended, a rescue's too."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.process import membership
from supervisor.process.membership import Membership


@pytest.mark.parametrize(
    ("ends_by", "asked"),
    [("itself", []), ("being asked", ["end"]), ("kill", ["end", "kill"]), ("nothing soon", ["end", "kill"])],
)
def test_an_account_is_not_given_up_while_a_rescue_works_on_it(
    monkeypatch: pytest.MonkeyPatch, ends_by: str, asked: list[str]
) -> None:
    """Its lease went to another host, which traded, while a flattening by the rescue still closed positions here."""
    for name, seconds in (("POLL_S", 0.001), ("RESCUE_S", 0.005), ("ENDS_S", 0.005)):
        monkeypatch.setattr(membership, name, seconds)
    told: list[str] = []
    looked = 0

    def keeps_down(account: str) -> bool:
        nonlocal looked
        looked += 1
        over = {"itself": looked > 3, "being asked": bool(told), "kill": "kill" in told, "nothing soon": looked > 30}
        return not over[ends_by]

    rescues = SimpleNamespace(
        keeps_down=keeps_down, end=lambda account: told.append("end"), kill=lambda account: told.append("kill")
    )
    it: Any = SimpleNamespace(_rescues=rescues)
    asyncio.run(Membership._rescue_over(it, "ann"))
    assert told == asked
    assert not keeps_down("ann")
