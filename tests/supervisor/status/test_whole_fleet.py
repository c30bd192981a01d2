"""The model of a host as that of all hosts: what others told, as old as it is."""

from __future__ import annotations

from supervisor.notify.daily_summary import figures_of
from supervisor.status.alert_marks import Marks, alert_id, marked, of_host
from supervisor.status.caps_text import caps_lines
from supervisor.status.fleet_text import fleet_lines
from supervisor.status.whole_fleet import silent_hosts, whole_fleet
from tests.supervisor.metrics.metric_models import of_fleet, recorded


def test_accounts_and_alerts_of_all_hosts_and_silence_is_no_health():
    model = recorded()
    assert whole_fleet(model) == model
    own = model["accounts"][0]
    fresh = {**own, "account": "f", "host": "h3", "age_s": 2.0, "host_alive": True}
    old, dead = (
        {**fresh, "account": name, **more} for name, more in (("o", {"age_s": 16.0}), ("d", {"host_alive": False}))
    )
    never = {**fresh, "account": "n", "host": "", "age_s": None}
    model |= {"fleet": of_fleet(), "elsewhere": [fresh, old, dead, never], "incidents_elsewhere": [{"id": "x"}]}
    found = whole_fleet(model)
    rows = {row["account"]: row for row in found["accounts"]}
    assert rows["f"] == fresh
    assert [rows[name]["health"] for name in "odn"] == [None] * 3
    assert rows["o"]["reasons"][0] == "host h3 is dead or silent; what is shown was told 16 s ago"
    assert rows["n"]["reasons"][0] == "no host has it now; nothing was told of it yet"
    assert found["incidents"][-1] == {"id": "x"}
    assert silent_hosts(found) == ["h2", "h4"]
    assert set(figures_of(found).accounts) == set(rows)


def test_status_calls_nothing_healthy_of_which_it_has_not_heard_for_a_while():
    row = {"account": "a", "host": "h2", "process": {"state": "RUNNING"}, "health": "healthy", "lease": "held",
           "strategies": []}  # fmt: skip
    ages = [(2.0, True), (16.0, True), (2.0, False), (None, False)]
    found = [
        {**row, "age_s": age_s, "host_alive": alive, **({} if age_s else {"health": None})} for age_s, alive in ages
    ]
    fleet = {"name": "n", "hosts": [], "configuration": 1, "in_force": 1, "not_offered": {}}
    told = [line.split()[3] for line in fleet_lines({"fleet": fleet, "elsewhere": found})[1:]]
    assert told == ["healthy", "silent", "silent", "-"]
    [head] = fleet_lines({"fleet": {**fleet, "away_s": 31.4}})
    assert head.endswith("; as of 31.4 s ago: its database is away")


def test_a_cap_that_nobody_counts_yet_says_so():
    row = {"scope": "fleet/paper", "cap": "max_notional", "used": "0.00", "limit": "9.00", "share": 0.0, "held": [],
           "accounts": 6, "hosts": {}}  # fmt: skip
    for known, said in (
        (6, "6 accounts"),
        (4, "6 accounts, 2 not counted yet"),
        (0, "6 accounts, 6 not counted yet: a"),
    ):
        [line] = caps_lines({"caps": [{**row, "known": known}], "accounts": ()})
        assert said in line
        assert ("not counted" in line) == (known < 6)


def test_an_alert_of_a_process_is_of_its_host_and_one_of_an_account_or_the_fleet_of_none():
    row = {"account": "", "strategy": "", "child": "writer", "key": "down", "cause": "", "level": "ERROR"}
    ids = {alert_id(of_host(row, host)) for host in ("", "h1", "h2")}
    assert len(ids) == 3
    of_caps = [{**row, "child": "supervisor", "key": key} for key in ("cap.fleet/paper.max_notional", "cap_latch")]
    for same in ({**row, "account": "alice"}, {**row, "key": "fleet_host"}, *of_caps):
        assert alert_id(of_host(same, "h1")) == alert_id(of_host(same, "h2")) == alert_id(same)
    assert marked(of_host(row, "h2"), Marks(), 0)["host"] == "h2"
