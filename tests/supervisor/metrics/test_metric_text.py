"""What is scraped: the catalogue is closed, its names follow Prometheus' rules, its labels have an end."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gridbot.execution.request_counts import RequestCounts
from supervisor.metrics import metric_reference
from supervisor.metrics.metric_catalogue import CATALOGUE, series_names
from supervisor.metrics.metric_text import exposition
from supervisor.metrics.metric_types import LABELS, Kind, number
from tests.case_table import case_table
from tests.supervisor.metrics.metric_models import fifty, recorded

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "conf" / "deploy"
OURS = re.compile(r"\bgridbot_[a-z_]+")
BASE_UNITS = {"seconds", "bytes", "ratio", "usdt", "coins", "records", ""}
WRONG_UNITS = ("_ms", "_us", "_ns", "_milliseconds", "_minutes", "_kb", "_mb", "_percent")
HERE = ROOT / ".ci" / "prometheus" / "usr" / "bin"
PROMTOOL = shutil.which("promtool") or shutil.which("promtool", path=str(HERE)) or ""
UNPACK = "(mkdir -p .ci/prometheus && cd .ci/prometheus && apt-get download prometheus && dpkg -x prometheus_*.deb .)"
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason=f"no promtool here: {UNPACK}")


def samples(model):
    return [
        sample for family in text_string_to_metric_families(exposition(model).decode()) for sample in family.samples
    ]


def value(found, name, **labels):
    [one] = [s.value for s in found if s.name == name and labels.items() <= s.labels.items()]
    return one


def test_the_catalogue_is_closed_and_each_entry_appears():
    names = {name for metric in CATALOGUE for name in series_names(metric)}
    assert {sample.name for sample in samples(fifty())} == names
    assert {sample.name for sample in samples(recorded())} <= names
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)


@case_table("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_and_units_follow_the_rules(metric):
    assert OURS.fullmatch(metric.name)
    assert metric.unit in BASE_UNITS
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    assert not metric.unit or metric.unit in metric.name.removesuffix("_total").split("_")
    assert not metric.name.endswith(WRONG_UNITS)
    assert set(metric.labels) <= LABELS.keys()
    assert metric.doc.endswith(".")
    assert metric.source


def test_labels_have_an_end():
    """What somebody else could make up is `other`, or absent."""
    found = samples(fifty())
    for sample in found:
        for label, text in sample.labels.items():
            known = LABELS[label].values if label in LABELS else None
            assert not known or text in known | {"other"}, (sample.name, label, text)
    assert value(found, "gridbot_strategy_levels_waiting", strategy="a0-0", reason="other") == 5
    assert value(found, "gridbot_strategy_refusals_total", strategy="a0-0", reason="other") == 1
    assert not [s for s in found if s.labels.get("strategy") == "removed"]
    per_account = sum(s.labels.get("account") == "a0" for s in found)
    assert per_account < 300, "lines that one account of two strategies costs, all reasons and buckets counted"
    assert {label for metric in CATALOGUE for label in metric.labels} == LABELS.keys(), "no label is left over"


def test_figures_are_those_of_the_model():
    model = fifty()
    row = model["accounts"][0]
    row |= {"loop_lag_ms": 12.5, "equity": "1234.5", "margin_ratio": "0.25"}
    row["strategies"][0] |= {"last_price": "40000", "waiting": {"not_covered": 8, "paused": 2}, "open_orders": 5}
    row["counts"]["frame_to_request"]["counts"] = [1, 2, *[0] * 10, 3]
    found = samples(model)
    at = {"account": "a0"}
    assert value(found, "gridbot_account_loop_lag_seconds", **at) == 0.0125
    assert value(found, "gridbot_account_equity_usdt", environment="paper", **at) == 1234.5
    assert value(found, "gridbot_account_margin_ratio", **at) == 0.25
    assert value(found, "gridbot_strategy_orders_wanted", strategy="a0-0") == 7, "a flat leg has nothing to close"
    leg = {"strategy": "a0-0", "direction": "long"}
    assert value(found, "gridbot_strategy_liquidation_distance_ratio", **leg) == 0.25
    row["strategies"][0] |= {"last_price": "24000"}
    assert value(samples(model), "gridbot_strategy_liquidation_distance_ratio", **leg) == -0.25, "it is beyond 30000"
    assert value(found, "gridbot_strategy_position_usdt", **leg) == 40000
    bucket = "gridbot_account_frame_to_request_seconds_bucket"
    assert [value(found, bucket, le=le, **at) for le in ("5e-05", "0.0001", "1.0", "+Inf")] == [1, 3, 3, 6]
    assert value(found, "gridbot_process_restarts_total", process="worker-a0") == row["process"]["restarts"]
    assert value(found, "gridbot_cap_held_accounts", scope="night") == 1


def test_a_host_of_a_fleet_exports_what_is_its_own_and_how_it_sees_the_others():
    model = fifty()
    model["telegram"] = {"process": {**model["writer"]["process"], "name": "telegram", "state": "STOPPED"}}
    model["elsewhere"] = [{**model["accounts"][0], "account": "b0", "host": "h3"}]
    found = samples(model)
    assert {s.labels["account"] for s in found if "account" in s.labels} == {f"a{n}" for n in range(50)}, "none twice"
    assert value(found, "gridbot_lease_epoch", account="a0") == 4
    assert value(found, "gridbot_lease_left_seconds", account="a0") == 7.5, "as old as the look at the database"
    up = {s.labels["host"]: s.value for s in found if s.name == "gridbot_fleet_host_up"}
    assert up == {"h1": 1, "h2": 0, "h3": 1}, "one that ended in order is not dead"
    assert {s.labels["host"] for s in found if s.name == "gridbot_fleet_host_lag_seconds"} == {"h1", "h3"}
    assert value(found, "gridbot_fleet_hosts_alive") == 2
    assert value(found, "gridbot_fleet_leases", lease_state="ends") == 1
    assert value(found, "gridbot_lease_takeovers_total") == 2
    assert [value(found, "gridbot_fleet_service_here", service=each) for each in ("notify", "telegram")] == [1, 0]
    states = [s for s in found if s.name == "gridbot_process_state" and s.labels["process"] == "telegram"]
    assert states == [], "one that another host has run is not down"
    away = {**model, "fleet": {**model["fleet"], "database": "away", "away_s": 12.0, "lapsed": ["a0"]}}
    away["fleet"] |= {"seen_s": 12.0}
    found = samples(away)
    assert value(found, "gridbot_fleet_database_up") == 0
    assert value(found, "gridbot_fleet_database_away_seconds") == 12
    assert value(found, "gridbot_lease_left_seconds", account="a0") == -3.5
    assert value(found, "gridbot_lease_lapsed_accounts") == 1
    assert not [s for s in samples(recorded()) if s.name.startswith(("gridbot_fleet_", "gridbot_lease_"))]


def test_what_is_not_known_has_no_sample():
    """A worker that is down: its state is told, and no figure of a minute ago as if it were of now."""
    model = recorded()
    model["writer"]["waiting"] = {}
    model["accounts"] = [
        {
            "account": "alice",
            "process": {**model["accounts"][0]["process"], "state": "BACKOFF", "uptime_s": None, "rss": None},
            "health": None,
            "freshness": "offline",
            "equity": None,
            "counts": {"orders_sent": 7},
            "strategies": [{"strat_id": "alice-btc", "symbol": "BTCUSDT", "mode": "live", "state": None}],
        }
    ]
    found = samples(model)
    of_alice = {s.name for s in found if s.labels.get("account") == "alice" and s.value}
    assert of_alice == {
        "gridbot_account_health",
        "gridbot_account_market_data",
        "gridbot_account_orders_sent_total",
        "gridbot_strategy_state",
    }
    assert value(found, "gridbot_account_health", health="unknown") == 1
    assert [(s.name, s.value) for s in samples(None)] == [("gridbot_up", 0.0)]


def test_numbers_of_the_model():
    assert [number(each) for each in (None, "x", "1e999", "NaN", "-0.50", 3, True)] == [
        None,
        None,
        None,
        None,
        -0.5,
        3,
        1,
    ]


def test_fifty_accounts_are_a_text_of_bounded_length():
    assert len(exposition(fifty())) < 2_000_000


def test_the_page_is_made_of_the_catalogue():
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metric_reference.page(), (
        "python -m supervisor.metrics.metric_reference > docs/metrics.md"
    )


@pytest.mark.parametrize("file", ["grafana-board.json", "alerts.yml", "alerts.test.yml"])
def test_board_and_alerts_name_only_what_there_is(file):
    names = {name for metric in CATALOGUE for name in series_names(metric)}
    named = set(OURS.findall((DEPLOY / file).read_text(encoding="utf-8")))
    assert len(named) > 10
    assert named <= names


@needs_promtool
def test_promtool_finds_nothing_wrong_and_each_alert_fires_when_it_should():
    def promtool(*words, text=None):
        done = subprocess.run([PROMTOOL, *words], input=text, capture_output=True, timeout=60, cwd=DEPLOY)
        return done.returncode, (done.stdout + done.stderr).decode()

    assert promtool("check", "metrics", text=exposition(fifty())) == (0, "")
    for words in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")):
        code, said = promtool(*words)
        assert (code, "SUCCESS" in said) == (0, True), said


def test_what_the_skip_message_shows_is_what_ci_runs():
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in UNPACK.strip("()").split(" && "):
        assert command in run


def test_each_alert_has_a_night_that_it_is_for():
    fired = set(re.findall(r'alertname="(\w+)"', (DEPLOY / "alerts.test.yml").read_text(encoding="utf-8")))
    assert fired == set(re.findall(r"- alert: (\w+)", (DEPLOY / "alerts.yml").read_text(encoding="utf-8")))


def test_the_buckets_are_those_of_the_worker():
    model = recorded()
    model["accounts"][0]["counts"] |= RequestCounts().document()
    found = samples(model)
    assert value(found, "gridbot_account_frame_to_request_seconds_count", account="alice") == 0
