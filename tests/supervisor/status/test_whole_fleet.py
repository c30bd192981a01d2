"""The model of a host as that of all hosts: what others told, as old as it is."""

from __future__ import annotations

from supervisor.notify.daily_summary import figures_of
from supervisor.status.alert_marks import Marks, alert_id, marked, of_host
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


def test_an_alert_of_a_process_is_of_its_host_and_one_of_an_account_or_the_fleet_of_none():
    row = {"account": "", "strategy": "", "child": "writer", "key": "down", "cause": "", "level": "ERROR"}
    ids = {alert_id(of_host(row, host)) for host in ("", "h1", "h2")}
    assert len(ids) == 3
    for same in ({**row, "account": "alice"}, {**row, "key": "fleet_host"}):
        assert alert_id(of_host(same, "h1")) == alert_id(of_host(same, "h2")) == alert_id(same)
    assert marked(of_host(row, "h2"), Marks(), 0)["host"] == "h2"
