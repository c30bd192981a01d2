"""`fleet forget`: a host that has left for good goes, and its records come each once when it is there again."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

import gridbot
from supervisor.cli.fleet_group import fleet
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.fleet.host_forgetting import Leaver, objection
from supervisor.fleet.host_store import HostStore
from supervisor.fleet.lease_types import HostId
from supervisor.fleet.postgres_link import PostgresLink
from tests.fleet_database import FLEET
from tests.store.kit import make_recorder, record_executions
from tests.supervisor.fleet.test_fleet_begin import SHARED
from tests.supervisor.fleet.test_record_shipper import asked, fleet_at, numbers, ship_all, shipping

DOWN = "UPDATE gridbot.host SET until = clock_timestamp() - interval '1 s', state = '{}' WHERE name = 'h2' RETURNING 1"


@pytest.mark.parametrize(
    ("leaver", "told"),
    [
        (Leaver("h2", 7.4, 0.0), "got h2, which lives: stop it there first; .* counts as dead in 7 s"),
        (Leaver("h2", -1.0, 0.0, ("ann", "bob")), "got h2 with ann, bob: wait some seconds"),
        (Leaver("h2", -1.0, 0.0, (), tuple("abcdefg")), "got a, b, c, d, e and 2 more, which nobody has taken over"),
        (Leaver("h2", -1.0, 90.2), "did not end in order .all were there 90 s ago the last time.: .* add --anyway"),
        (Leaver("h2", -1.0, None), "did not end in order .they never were.: .* add --anyway"),
        (Leaver("h2", -1.0, 0.0), ""),
    ],
    ids=["lives", "holds", "waiting", "behind", "never", "may"],
)
def test_what_speaks_against_it(leaver: Leaver, told: str) -> None:
    why = objection(leaver, anyway=False)
    assert re.search(told, why), why
    assert bool(why) == bool(told)
    may = leaver.left_s < 0 and not leaver.holds and not leaver.waiting
    assert (objection(leaver, anyway=True) == "") == may, "--anyway is for records alone"


def test_a_host_is_forgotten_and_comes_back(tmp_path: Path, fleet_dsn: str) -> None:
    file, dsn_file = tmp_path / "h1.yaml", tmp_path / "dsn"
    dsn_file.write_text(fleet_dsn)
    dsn_file.chmod(0o600)
    file.write_text(f"fleet: {{name: {FLEET}, host: h1, dsn_file: dsn}}\nstorage: {{data_dir: {tmp_path / 'h1'}}}\n")
    data_dir = tmp_path / "h2"
    data_dir.mkdir()

    def forget(words: str) -> str:
        answer = CliRunner().invoke(fleet, ["forget", *words.split(), "-c", str(file)], standalone_mode=False)
        if isinstance(answer.exception, CommandError):
            return f"{answer.exception.code.name} {answer.exception.text}"
        assert answer.exception is None, answer.exception
        return answer.output

    def register() -> None:
        async def main() -> None:
            store = HostStore(PostgresLink(fleet_dsn, name="t", limit_s=60))
            assert await store.register(HostId("h2", "run"), 1000, 9, "", "1") is None
            await store.drain("h2", on=True)
            await store.wish({"ann": "h2", "zoe": "h3"}, "the test")
            if not asked(fleet_dsn, "SELECT 1 FROM gridbot.config_force"):
                await store.push(SHARED, "the test", "")
            await store.link.close()

        asyncio.run(main())

    def seen() -> tuple[list[str], list[str]]:
        with gridbot.connect(fleet=dsn_file, tables="fleet_hosts") as con:
            reads = [name for (name,) in con.execute("SELECT host FROM fleet_hosts").fetchall()]
        return [name for (name,) in asked(fleet_dsn, "SELECT name FROM gridbot.host")], reads

    recorder = make_recorder(data_dir)
    record_executions(recorder, range(1, 6))
    recorder.flush()
    register()
    with shipping(data_dir, fleet_at(fleet_dsn, "h2")) as (writer, shipper):
        ship_all(writer, shipper)
    assert forget("h9").startswith("USAGE expected the name of a host of the fleet (h2), got 'h9'")
    assert forget("h2 --anyway").startswith(f"{ExitCode.REFUSED.name} expected a host that has left, got h2")
    asked(fleet_dsn, DOWN.format("up"))
    with psycopg.connect(fleet_dsn) as connection:
        for name, until in (("ann", "1 h"), ("@notify", "-1 h"), ("gone", "-1 h")):
            connection.execute(
                "INSERT INTO gridbot.lease (account, epoch, host, instance, state, until)"
                " VALUES (%s, 3, 'h2', 'run', 'held', clock_timestamp() + %s::interval)",
                (name, until),
            )
    assert "got h2 with ann: wait" in forget("h2 --anyway")
    asked(fleet_dsn, "UPDATE gridbot.lease SET until = until - interval '2 h' RETURNING 1")
    assert "got ann, which nobody has taken over" in forget("h2 --anyway"), "nobody asks for what is not configured"
    asked(fleet_dsn, "UPDATE gridbot.lease SET host = 'h1', previous = 'h2' WHERE account = 'ann' RETURNING 1")
    assert "REFUSED expected all records of h2 in the fleet's database" in forget("h2")
    assert seen() == (["h2"], ["h2"]), "what is refused changes nothing"
    assert "h2 is forgotten; records that it has not shipped stay" in forget("h2 --anyway")
    assert seen() == ([], [])
    assert asked(fleet_dsn, "SELECT account, host FROM gridbot.wish") == [("zoe", "h3")]
    assert forget("h2").startswith("USAGE expected the name of a host of the fleet (none has joined yet), got 'h2'")

    # It comes back, with a record that nobody has seen yet: that one comes, and the others do not come again.
    record_executions(recorder, (6,))
    recorder.close()
    register()
    with shipping(data_dir, fleet_at(fleet_dsn, "h2")) as (writer, shipper):
        ship_all(writer, shipper)
        assert shipper.state.rows == 1
        shipper._ship_last(shipper._connected())
    assert numbers(fleet_dsn) == [1, 2, 3, 4, 5, 6]
    assert asked(fleet_dsn, "SELECT sum(executions) FROM gridbot.daily_sums") == [(6,)]
    assert seen() == (["h2"], ["h2"])
    asked(fleet_dsn, DOWN.format("down"))
    assert forget("h2") == "h2 is forgotten; a host of that name that starts joins anew\n", "it has ended in order"
