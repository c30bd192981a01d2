"""A fleet whose database was lost: each host brings to the new one what it knows, and nothing begins again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.host_memory import behind, behind_text, bring, known_here, refuse_copied, refuse_forgetful
from supervisor.fleet.lease_types import Acquire, HostId, LeaseState, LeaseTimes
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.postgres_store import PostgresStore
from supervisor.fleet.takeover import Begun, begin_here

A, B = HostId("a", "1"), HostId("b", "1")


def had(data_dir: Path, me: HostId, account: str, epoch: int) -> None:
    """The host has traded the account with that epoch, and has a halt of then."""
    begin_here(data_dir, me, account, epoch, "", [])
    state = data_dir / "state" / account
    (state / "grids").mkdir(exist_ok=True)
    (state / "grids" / "btc.json").write_text("{}")
    (state / "ban.json").write_text("{}")
    (state / "holds.json").write_text(json.dumps({"of": f"{me.name} {epoch}"}))


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_each_account_goes_on_above_its_last_epoch_with_the_state_of_who_had_it_last(tmp_path, fleet_dsn, order):
    places = {"a": tmp_path / "a", "b": tmp_path / "b"}
    assert known_here(places["a"]) == {}
    for epoch in (1, 3):
        had(places["a"], A, "x", epoch)
    had(places["b"], B, "x", 5)
    had(places["b"], B, "y", 1)
    (places["b"] / "state" / "x.before-5").mkdir()
    assert known_here(places["b"]) == {"x": Begun(5, "b", "1"), "y": Begun(1, "b", "1")}
    link = PostgresLink(fleet_dsn, name="test", limit_s=60)

    async def main() -> None:
        async def behind_at(name: str) -> Any:
            return await link.run(lambda connection: behind(connection, known_here(places[name])))

        async def bring_from(name: str) -> list[str]:
            return await link.run(lambda connection: bring(connection, name, places[name]))

        store = PostgresStore(PostgresLink(fleet_dsn, name="renewals", limit_s=60), link)
        try:
            assert await behind_at("b") == [("x", 5, 0), ("y", 1, 0)]
            await refuse_forgetful(link, tmp_path, "b")
            with pytest.raises(FleetAway, match=r"earlier ones only: x \(5, there 0\), y \(1, there 0\); is it a new"):
                await refuse_forgetful(link, places["b"], "b")
            # Somebody was started too early. His lease ends, and whoever is next waits for that.
            _, early = await store.acquire(A, LeaseTimes(), Acquire("y", 0, 0))
            assert early is not None
            assert await behind_at("b") == [("x", 5, 0), ("y", 1, 1)], "the epoch is granted for a second time"
            for name in order:
                await bring_from(name)
            assert await behind_at("a") == await behind_at("b") == []
            rows = sorted((await store.look({"x", "y"}))[1], key=lambda row: row.account)
            assert [(row.account, row.epoch, row.holder, row.state) for row in rows] == [
                (name, epoch, HostId("b", ""), LeaseState.ENDED) for name, epoch in (("x", 5), ("y", 1))
            ]
            assert rows[1].until_us >= early.until_us
            assert (await store.renew(A, LeaseTimes(), {"y": 1}))[1] == frozenset()
            found = await store.documents("x")
            assert [(each.name, each.epoch) for each in found] == [("grids/btc.json", 5), ("holds.json", 5)]
            assert json.loads(found[1].body) == {"of": "b 5"}
            assert await bring_from("b") == [], "once is enough"
        finally:
            await store.close()

    asyncio.run(main())


def test_what_is_said_names_some_accounts_and_unreadable_state_is_no_traceback(tmp_path):
    text = behind_text([(f"n{number}", 7, 2) for number in range(7)])
    assert "n0 (7, there 2)" in text
    assert "n4 (7, there 2) and 2 more" in text
    (tmp_path / "state").write_text("")
    with pytest.raises(FleetAway, match="expected to read"):
        known_here(tmp_path)


def test_a_data_directory_that_was_copied_for_another_host_is_refused(tmp_path):
    """Else all its records came into the fleet's a second time, as those of the new host."""
    known = {"ann": Begun(3, "h1", "1"), "old": Begun(1, "", "")}
    refuse_copied(known, "h1", tmp_path)
    refuse_copied({}, "h4", tmp_path)
    with pytest.raises(FleetAway, match="a data directory of host h4, or a new one, got one of h1: give this host"):
        refuse_copied(known, "h4", tmp_path)
