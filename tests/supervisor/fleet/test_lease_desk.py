"""Terms to workers, documents to the database, and what a new holder begins with."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gridbot.lease.lease_term import LeaseTerm
from gridbot.lease.record_floor import first_number
from gridbot.records.codec import encode
from gridbot.records.durability import Durability
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_types import Json
from gridbot.records.state_record import StateRecord
from supervisor.fleet.fleet_store import Document, FleetAway
from supervisor.fleet.lease_desk import DocumentedStore, LeaseDesk
from supervisor.fleet.lease_types import Acquire, Extended, Gained, HostId, LeaseState, LeaseTimes
from supervisor.fleet.memory_store import MemoryStore, Tables
from supervisor.fleet.takeover import SetBack, begin_here

A, B = HostId("a", "1"), HostId("b", "1")
TIMES = LeaseTimes()


class Flaky(MemoryStore):
    """Away so many times."""

    away = 0
    put = 0

    def _fails(self) -> None:
        if self.away:
            self.away -= 1
            raise FleetAway("away")

    async def documents(self, account):
        self._fails()
        return await super().documents(account)

    async def put_documents(self, me, documents):
        self._fails()
        self.put += 1
        return await super().put_documents(me, documents)


class Bench:
    def __init__(self, tmp_path: Path, me: HostId = A) -> None:
        self.store = Flaky(Tables(lambda: 1_800_000_000_000_000))
        self.sent: list = []
        self.data_dir = tmp_path
        self.desk = LeaseDesk(me, self.store, tmp_path, lambda *each: self.sent.append(each), cancels_when_lost=True)

    def document(self, name: str, body: bytes, *, urgent: bool = False) -> None:
        self.desk.take("x", {"name": name, "body": body, "urgent": urgent})

    def kept(self) -> dict[str, bytes]:
        return {each.name: each.body for each in self.store.tables.of_account("x")}


def _gained(epoch: int = 1, previous: str = "") -> Gained:
    return Gained("x", epoch, 100, 900, previous)


def test_a_worker_is_launched_with_its_term_and_hears_of_each_renewal(tmp_path):
    async def main():
        it = Bench(tmp_path)
        assert it.desk.of_launch("x") is None
        await it.desk.begin(_gained())
        assert it.desk.of_launch("x") == {"term": LeaseTerm(1, 100, 900), "cancels": True}
        it.desk.extended(Extended("x", 1, 200, 1000))
        assert it.desk.at_launch("x") == it.desk.of_launch("x")
        assert it.sent == [("x", LeaseTerm(1, 200, 1000).to_message())]
        assert it.desk.of_launch("x") == {"term": LeaseTerm(1, 200, 1000), "cancels": True}
        it.desk.gone("x")
        assert it.desk.of_launch("x") is None
        # A process that were launched without any term would take itself for one of no fleet, and send freely.
        assert it.desk.at_launch("x") == {"term": LeaseTerm(1, 0, 0), "cancels": False}
        assert it.desk.at_launch("y") == {"term": LeaseTerm(0, 0, 0), "cancels": False}
        assert [each.name for each in (tmp_path / "state" / "x").iterdir()] == ["holder.json"]  # nobody had it before

    asyncio.run(main())


def test_what_stops_orders_is_kept_at_once_and_the_newest_of_everything_before_the_lease_is_given_up(
    tmp_path,
):
    async def main():
        it = Bench(tmp_path)
        store = DocumentedStore(it.store, it.desk.shelf)
        await store.acquire(A, TIMES, Acquire("x", 0, 0))
        it.document("early", b"{}")
        assert it.desk.shelf.waiting == 0  # nobody's lease
        await it.desk.begin(_gained())
        it.desk.start()
        it.store.away = 1
        it.document("holds.json", b"1", urgent=True)
        while it.kept() != {"holds.json": b"1"}:
            await asyncio.sleep(0.01)
        it.document("grid", b"1")
        it.document("grid", b"2")
        await store.release(A, "x", 1, free=True)
        assert it.kept() == {"holds.json": b"1", "grid": b"2"}
        assert (await store.look({"x"}))[1][0].state is LeaseState.FREE
        # Another host has it: what comes late is not written over the successor's.
        await store.acquire(B, TIMES, Acquire("x", 1, 0))
        it.document("grid", b"3")
        await it.desk.shelf.flush("x")
        assert it.kept()["grid"] == b"2"
        assert it.desk.shelf.waiting == 0
        await it.desk.end()

    asyncio.run(main())


def test_a_lease_is_not_given_up_while_the_database_lacks_its_documents(tmp_path):
    async def main():
        it = Bench(tmp_path)
        store = DocumentedStore(it.store, it.desk.shelf)
        await store.acquire(A, TIMES, Acquire("x", 0, 0))
        await it.desk.begin(_gained())
        it.document("grid", b"1")
        it.store.away = 1
        with pytest.raises(FleetAway):
            await store.release(A, "x", 1, free=True)
        assert (await store.look({"x"}))[1][0].state is LeaseState.HELD
        await store.release(A, "x", 1, free=True)
        assert it.kept() == {"grid": b"1"}

    asyncio.run(main())


def test_a_new_holder_begins_with_what_the_former_one_left_and_its_own_older_state_is_set_aside(tmp_path):
    async def main():
        it = Bench(tmp_path, B)
        old = tmp_path / "state" / "x"
        old.mkdir(parents=True)
        (old / "holds.json").write_text('{"old": true}')
        it.store.tables.documents |= {
            ("x", name): Document("x", name, 4, number, json.dumps(body).encode())
            for number, (name, body) in enumerate(
                [("holds.json", {"seq": 7, "holds": {}}), ("ledger.json", {"seq": 9, "states_to": 7, "ledger": {}})]
            )
        }
        it.store.away = 2
        await it.desk.begin(_gained(5, "a"))
        holds, ledger = (json.loads((old / name).read_text()) for name in ("holds.json", "ledger.json"))
        floor = first_number(5)
        assert holds == {"seq": floor, "holds": {}, "checksum": holds["checksum"]}
        assert ledger == {"seq": floor, "states_to": floor, "ledger": {}, "brought": True}
        assert (tmp_path / "state" / "x.before-5" / "holds.json").read_text() == '{"old": true}'
        # Tried again after it failed half-way, it keeps what was set aside first.
        begin_here(tmp_path, B, "x", 5, "a", [])
        assert (tmp_path / "state" / "x.before-5" / "holds.json").read_text() == '{"old": true}'
        # The same host again: what lies here is the newest.
        begin_here(tmp_path, B, "x", 6, "b", [])
        assert json.loads((old / "holds.json").read_text()) == holds
        assert not (tmp_path / "state" / "x.before-6").exists()

    asyncio.run(main())


def test_an_earlier_run_that_died_before_it_began_does_not_make_old_state_the_newest(tmp_path):
    """It got the lease, and put nothing in place: what lies here is older than what the host before it left."""
    state = tmp_path / "state" / "x"

    def begin(epoch: int, previous: str, *halts: int) -> object:
        """The epoch of the halt that the holder `epoch` begins with; the database has one of each of `halts`."""
        documents = [Document("x", "holds.json", each, 1, b'{"of": %d}' % each) for each in halts[-1:]]
        begin_here(tmp_path, B, "x", epoch, previous, documents)
        return json.loads((state / "holds.json").read_text())["of"]

    state.mkdir(parents=True)
    (state / "holds.json").write_text('{"of": 1}')
    assert begin(1, "") == 1, "from before there was a fleet"
    (state / "holds.json").write_text('{"of": 100}')
    assert begin(2, "b", 1) == 100, "not yet in the fleet, and nobody had it meanwhile"
    assert begin(3, "b", 1) == 100, "the same, whoever of our runs had written the one of the fleet"
    # Epoch 4 was another host's, epoch 5 a run of ours that never began.
    assert begin(6, "b", 1, 4) == 4
    assert json.loads((tmp_path / "state" / "x.before-6" / "holds.json").read_text()) == {"of": 100}
    # Epoch 7 is another host's again; epoch 8 is ours and is killed half-way.
    (state / "holder.json").unlink()
    assert begin(9, "b", 1, 4, 7) == 7
    (state / "holder.json").write_text("{")
    assert begin(10, "b", 1, 4, 7) == 7
    assert json.loads((state / "holder.json").read_text()) == {"epoch": 10, "host": "b", "instance": B.instance}
    # The same run again, after it failed half-way; a database that grants an epoch again has forgotten something.
    assert begin(10, "b", 1) == 7
    for epoch, me in ((10, replace(B, instance="another run")), (9, B)):
        with pytest.raises(SetBack, match=f"above 10, which x has had here, got {epoch}"):
            begin_here(tmp_path, me, "x", epoch, "b", [])


def test_a_data_directory_that_was_set_back_does_not_undo_a_halt(tmp_path):
    """A backup of yesterday has the epoch of today, when one holder has had the account ever since."""
    state, halted = tmp_path / "state" / "x", {"seq": first_number(3) + 90, "halted": "by hand"}

    def begin(epoch: int, number: int, of: int = 3) -> object:
        """What the holder `epoch` begins with, when a holder told the database of a halt with that number."""
        body = json.dumps({**halted, "seq": first_number(3) + number}).encode()
        begin_here(tmp_path, B, "x", epoch, "b" if epoch > 3 else "", [Document("x", "holds.json", of, 1, body)])
        return json.loads((state / "holds.json").read_text()).get("halted")

    state.mkdir(parents=True)
    yesterday = json.dumps({"seq": first_number(3) + 40})
    (state / "holds.json").write_text(yesterday)
    assert begin(3, 0, of=1) is None
    with Journal(journal_directory(tmp_path, "x"), "x", Durability.PROCESS) as journal:
        last = first_number(3) + 80
        assert journal.append(encode("x", "run", last, 0, StateRecord(name="holds.json", document=Json("{}"))), last)
    assert begin(4, 80) is None, "the journal has it, and the file follows"
    (state / "holder.json").write_text(json.dumps({"epoch": 3, "host": "b", "instance": "1"}))
    assert begin(4, 90) == "by hand"
    assert (tmp_path / "state" / "x.before-4" / "holds.json").read_text() == yesterday


def test_a_lease_lost_while_its_documents_are_read_begins_nothing(tmp_path):
    async def main():
        it = Bench(tmp_path, B)
        it.store.away = 1_000_000
        beginning = asyncio.ensure_future(it.desk.begin(_gained(5, "a")))
        await asyncio.sleep(0)
        it.desk.gone("x")
        with pytest.raises(LookupError, match="lease of x"):
            await beginning
        assert list(tmp_path.iterdir()) == []

    asyncio.run(main())
