"""The exchange's disconnect-cancel-all: when it is set, and what is told when it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gridbot.exchange.dead_man import DeadMan
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.incidents import Name
from gridbot.worker.dead_man_watch import DeadManWatch
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.schedule import Job, JobKind


class Bench:
    def __init__(self, switch: DeadMan | None) -> None:
        self.told: list[int] = []
        self.answers: list[ExchangeError | None] = []
        self.topic_refused = ""
        self.requests = RefreshRequests()
        self.watch = DeadManWatch(switch, self, self.requests, lambda: self.topic_refused)  # type: ignore[arg-type]

    async def cancel_when_gone(self, after_s: int) -> None:
        self.told.append(after_s)
        error = self.answers.pop(0) if self.answers else None
        if error is not None:
            raise error

    async def run_job(self) -> bool:
        """What the clockwork does; whether there was something to do."""
        wanted = self.requests.wishes.dead_man
        if wanted:
            self.requests.started(Job(JobKind.DEAD_MAN))
            await self.watch.set()
        return wanted


async def test_it_is_set_at_the_start_and_when_the_stream_is_back_and_shown() -> None:
    bench = Bench(DeadMan(30))
    assert bench.watch.row() == {"after_s": 30, "state": "not set yet"}
    for _ in range(2):
        bench.watch.is_due()
        assert bench.watch.row() == {"after_s": 30, "state": "not set yet"}
        assert await bench.run_job()
        assert bench.watch.row() == {"after_s": 30, "state": "set"}
    assert bench.told == [30, 30]
    assert (bench.watch.refused, bench.watch.standing()) == ("", {})


async def test_a_refusal_is_an_incident_until_it_is_set_and_the_account_trades_on() -> None:
    bench = Bench(DeadMan(30))
    bench.answers = [make_error("Permission denied", ErrorKind.AUTH, ret_code=10005)]
    bench.watch.is_due()
    await bench.run_job()
    assert bench.watch.row() == {"after_s": 30, "state": "refused"}
    assert "Permission denied" in bench.watch.refused
    assert "orders stay when this machine is gone" in bench.watch.standing()[Name("dead_man")].text
    bench.watch.is_due()
    await bench.run_job()
    assert bench.watch.standing() == {}
    bench.topic_refused = "no such topic"
    assert "no such topic" in bench.watch.refused, "without its topic it does nothing"
    assert bench.watch.row() == {"after_s": 30, "state": "refused"}


async def test_what_nobody_knows_is_tried_again_by_the_schedule() -> None:
    bench = Bench(DeadMan(30))
    bench.answers = [make_error("timed out", ErrorKind.AMBIGUOUS)]
    bench.watch.is_due()
    with pytest.raises(ExchangeError):
        await bench.run_job()
    assert bench.watch.row() == {"after_s": 30, "state": "not set yet"}


async def test_off_asks_for_nothing() -> None:
    bench: Any = Bench(None)
    bench.watch.is_due()
    assert not await bench.run_job()
    await bench.watch.set()
    assert (bench.told, bench.watch.row(), bench.watch.standing()) == ([], None, {})
