"""The exchange's announcements of an account: incidents, health, and what is read again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.notices import Announcement, Maintenance, MaintenanceState, Notices
from gridbot.orders.outcomes import result_of_place
from gridbot.worker.notice_watch import SOON_MS, NoticeWatch
from tests.worker.account_bench import AccountBench
from tests.worker.test_terms import opening

STRATEGIES = {"BTCUSDT": "btc", "ETHUSDT": "eth"}


class Bench:
    def __init__(self, environment: Environment = Environment.MAINNET) -> None:
        self.account = AccountBench()
        self.found = Notices()
        self.failure: ExchangeError | None = None
        self.watch = NoticeWatch(
            self,  # type: ignore[arg-type]
            self.account.context,
            STRATEGIES,
            environment=environment,
            user_id="9900007",
        )

    async def notices(self, *, max_age_s: float = 0.0) -> Notices:
        if self.failure is not None:
            raise self.failure
        return self.found

    async def second(self, *maintenance: Maintenance, news: tuple[Announcement, ...] = ()) -> None:
        """All of it is read, then a second passes."""
        self.found = Notices(maintenance, news)
        await self.watch.read()
        self.pass_time(1)

    def pass_time(self, seconds: float) -> None:
        self.account.clock.now_s += seconds
        self.watch.look()
        self.account.alarm.look(self.watch.standing())

    def maintenance(self, state: MaintenanceState, begins_in_s: float = 0, **more: object) -> Maintenance:
        begin_ms = self.account.clock.wall_ms() + int(begins_in_s * 1000)
        values = {"begin_ms": begin_ms, "end_ms": begin_ms + 3_600_000, **more}
        return Maintenance("m1", "engine", state, **values)  # type: ignore[arg-type]


async def test_a_maintenance_that_cannot_be_read_any_more_goes_on_and_that_is_told() -> None:
    bench = Bench()
    await bench.second(bench.maintenance(MaintenanceState.ONGOING))
    [reason] = bench.watch.reasons
    bench.found = Notices(unreadable="expected a text in id, got None")
    await bench.watch.read()
    bench.pass_time(1)
    assert bench.watch.reasons == [reason]
    assert bench.account.alarm.ended == []
    level, key, text, _ = bench.account.alarm.alerts[-1]
    assert (level, key) == ("warning", "notices")
    assert text.endswith("cannot be read, those known stay: expected a text in id, got None")


async def test_a_maintenance_is_a_warning_then_an_error_and_a_reason_then_all_is_read_again() -> None:
    bench = Bench()
    alarm, requests = bench.account.alarm, bench.account.requests
    await bench.second(bench.maintenance(MaintenanceState.SCHEDULED, 1800))
    assert [(level, key) for level, key, _, _ in alarm.alerts] == [("warning", "maintenance.m1")]
    assert (bench.watch.reasons, bench.watch.is_maintained) == ([], False)
    bench.pass_time(1800 - SOON_MS / 1000)
    assert bench.watch.is_maintained
    bench.pass_time(SOON_MS / 1000)
    assert [level for level, *_ in alarm.alerts] == ["warning", "error"]
    [reason] = bench.watch.reasons
    assert reason.startswith("maintenance of the exchange until ")
    assert not requests.wishes.reconcile
    await bench.second(bench.maintenance(MaintenanceState.COMPLETED, -1900))
    assert alarm.ended == ["the exchange's maintenance is over: engine; everything is read again"]
    assert requests.wishes.reconcile == "the exchange's maintenance is over: engine"
    assert requests.wishes.terms == STRATEGIES.keys()
    assert (bench.watch.reasons, bench.watch.is_maintained, alarm.rows()) == ([], False, [])


async def test_what_does_not_get_through_meanwhile_has_it_as_a_hint() -> None:
    bench = Bench()
    account = bench.account
    await bench.second(bench.maintenance(MaintenanceState.ONGOING))
    refusal = make_error("busy", ErrorKind.PARAM, ret_code=10001)
    for _ in range(3):
        account.context.passage.answered(opening(), result_of_place(refusal))
    assert "; maintenance of the exchange until " in account.context.passage.blocked(account.runner.book, "btc")
    await bench.second()
    assert "maintenance" not in account.context.passage.blocked(account.runner.book, "btc")


async def test_an_announcement_is_an_incident_of_its_strategy_and_its_terms_are_read() -> None:
    bench = Bench()
    now_ms = bench.account.clock.wall_ms()
    news = Announcement("Delisting of ETHUSDT", "delistings", now_ms, url="https://x/1")
    await bench.second(news=(news, replace(news, url="https://x/2"), replace(news, title="Delisting of XRPUSDT")))
    alerts = bench.account.alarm.alerts
    assert [(level, key, where) for level, key, _, where in alerts] == [("warning", "announced.ETHUSDT", "eth")] * 2
    assert "Delisting of ETHUSDT, https://x/1" in alerts[0][2]
    assert bench.account.requests.wishes.terms == {"ETHUSDT"}


async def test_a_maintenance_of_others_is_nothing() -> None:
    bench = Bench()
    await bench.second(bench.maintenance(MaintenanceState.ONGOING, env=2))
    await bench.second(bench.maintenance(MaintenanceState.ONGOING, uid_digits=frozenset({1})))
    assert (bench.watch.reasons, bench.account.alarm.alerts) == ([], [])


async def test_what_was_known_stays_when_it_cannot_be_read_and_where_there_are_none_nobody_is_told() -> None:
    bench = Bench(Environment.DEMO)
    await bench.second(bench.maintenance(MaintenanceState.ONGOING))
    bench.failure = make_error("no answer in time", ErrorKind.AMBIGUOUS)
    with pytest.raises(ExchangeError):
        await bench.watch.read()
    assert len(bench.watch.reasons) == 1
    bench.failure = make_error("the exchange answered with an HTTP error", ErrorKind.PARAM, http_status=404)
    await bench.watch.read()
    await bench.watch.read()
    assert len(bench.watch.reasons) == 1
