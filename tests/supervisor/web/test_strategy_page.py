"""The view of one strategy in a real browser: its pure parts, and the page behind the real server."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from click.testing import CliRunner

from supervisor.cli.main import cli
from supervisor.web import status_feed, strategy_asker
from tests.store.night import make_night

from .page_kit import recorded, recorded_why, served
from .test_page_in_a_browser import log_in, text


@pytest.fixture
def kit(tmp_path, monkeypatch):
    monkeypatch.setattr(status_feed, "POLL_S", 0.1)
    monkeypatch.setattr(strategy_asker, "AGAIN_S", 0.2)
    with served(tmp_path) as served_kit:
        yield served_kit


def module(browser, kit, name, script):
    """The value of `script` with the page's module `name` as `m`."""
    if not browser.run("location.href").startswith(kit.server.url):
        browser.go(f"{kit.server.url}/login")
    whole = f"import('/static/{name}.js').then((m) => {script})"
    return browser.run(whole)


def wish(leg, price, text_of="paused", weight="held", **more):
    side = "Buy" if float(price) < 100 else "Sell"
    row = {"leg": leg, "side": side, "price": price, "closes": (leg == "long") == (side == "Sell"), "weight": weight}
    return row | {"text": text_of, "next_s": None, "lifted_by": ""} | more


def order(leg, price, **more):
    side = "Buy" if float(price) < 100 else "Sell"
    row = {"leg": leg, "side": side, "price": price, "qty": "0.2", "filled": "0", "state": "open", "link_id": "x"}
    return row | {"closes": (leg == "long") == (side == "Sell")} | more


LEVELS = [["98.0", "Buy"], ["99.0", "Buy"], ["100.0", None], ["101.0", "Sell"], ["102.0", "Sell"]]


def test_addresses_ladders_reasons_and_scales(browser, kit):
    routes = {
        "": {"view": "fleet", "whom": ""},
        "#/": {"view": "fleet", "whom": ""},
        "#/operations?for=alice%2Fbtc": {"view": "operations", "whom": "alice/btc"},
        "#/alice/btc": {"view": "strategy", "account": "alice", "strategy": "btc", "range": "1h"},
        "#/a%2Fb/x%20y?range=7d": {"view": "strategy", "account": "a/b", "strategy": "x y", "range": "7d"},
        "#/alice/%zz?range=toString": {"view": "strategy", "account": "alice", "strategy": "%zz", "range": "1h"},
    }
    assert module(browser, kit, "route", f"{json.dumps(list(routes))}.map(m.routeOf)") == list(routes.values())
    link = module(browser, kit, "route", "[m.linkTo('a/b', 'x y', '7d'), m.linkTo('a', 'b')]")
    assert link == ["#/a%2Fb/x%20y?range=7d", "#/a/b"]

    missing = [
        wish("long", "98.0", next_s=4.0, lifted_by="resume"),
        wish("long", "99.0", next_s=2.0, lifted_by="resume"),
        wish("short", "99.0", "nothing to close", "normal"),
        wish("short", "102.0", "its request is under way", "passing"),
    ]
    orders = [
        order("long", "101.0", filled="0.1", state="partially_filled"),
        order("short", "102.0", state="pending"),
        order("long", "97.5"),
        order("short", "101.0"),
        order("short", "101.0", state="pending_cancel"),
    ]
    why = {"missing": missing, "last_price": "100.4", "ladder": {"levels": LEVELS, "orders": orders}}
    reasons = module(browser, kit, "ladder", f"m.reasonsOf({json.dumps(missing)})")
    assert [(row["mark"], row["weight"], row["next_s"], len(row["rows"])) for row in reasons] == [
        ("A", "held", 2.0, 2), ("B", "normal", None, 1), ("C", "passing", None, 1)]  # fmt: skip
    rows = module(browser, kit, "ladder", f"m.ladderRows({json.dumps(why)})")
    assert [row["price"] for row in rows] == ["102.0", "101.0", "100.0", "99.0", "98.0", "97.5"]
    by_price = {row["price"]: row for row in rows}
    waits = by_price["100.0"]
    assert (waits["side"], waits["onLadder"], waits["long"], waits["short"]) == (None, True, None, None)
    assert by_price["97.5"]["onLadder"] is False
    pending = by_price["102.0"]["short"]
    assert (pending["rests"], pending["mark"], pending["qtyText"]) == (False, "C", "0.2"), (
        "both an order and why it waits"
    )
    assert (by_price["101.0"]["long"]["filled"], by_price["101.0"]["long"]["closes"]) == (0.1, True)
    assert by_price["101.0"]["short"]["more"] == 1, "two orders of ours at one level are told"
    gone = by_price["99.0"]["long"]
    assert (gone["qty"], gone["mark"], gone["weight"], gone["side"]) == (None, "A", "held", "Buy")
    assert by_price["102.0"]["away"] == pytest.approx(102 / 100.4 - 1)
    [(low, high)] = module(browser, kit, "ladder", f"m.waitingBands({json.dumps(rows)})")
    assert (low, high) == (pytest.approx((99 * 100) ** 0.5), pytest.approx((101 * 100) ** 0.5))

    names = module(browser, kit, "ladder", "[0, 25, 26, 701, 702].map(m.letters)")
    assert names == ["A", "Z", "AA", "ZZ", "AAA"]
    scale = "((s) => [s.y(110), s.y(90), s.has(100), s.has(200)])(m.scaleOf([90, 110, 0], 10, 210))"
    top, bottom, near, far = module(browser, kit, "ladder", scale)
    assert 10 < top < 20 < 200 < bottom < 210, "with some room"
    assert (near, far) == (True, False)
    tags = module(
        browser, kit, "ladder", "m.apart([{y: 50}, {y: 52}, {y: 99}, {y: 98}], 10, 0, 100).map((tag) => tag.at)"
    )
    assert all(other - one >= 10 for one, other in pairwise(tags)), tags
    assert tags[-1] == 100
    ticks = module(browser, kit, "ladder", "m.timeTicks(Date.UTC(2026, 0, 1, 0, 50), Date.UTC(2026, 0, 1, 1, 50), 4)")
    assert [label for _, label in ticks] == ["01:00", "01:15", "01:30", "01:45"]
    shown = "m.labelled([{price: 'a', value: 1}, {price: 'b', value: 5}, {price: 'c', value: 20}], (v) => v, 10, [30])"
    assert module(browser, kit, "ladder", f"[...{shown}]") == ["a", "c"]
    assert module(browser, kit, "words", "['59838.40', '0.002', '1234567', null].map(m.priced)") == [
        "59,838.40", "0.002", "1,234,567", "–"]  # fmt: skip
    assert browser.complaints() == []


def test_the_ladder_is_there_with_its_table_and_says_why_orders_are_missing(browser, kit):
    why = recorded_why()
    kit.why["alice-btc"] = why
    browser.screen(1400, 900)
    log_in(browser, kit, 2)
    browser.click("tr.account button")
    browser.shows("document.querySelector('tr.strategy a') !== null", "the link to the strategy")
    browser.click("tr.strategy a")
    browser.shows("document.querySelectorAll('svg.ladder .bar').length > 10", "the ladder")
    assert browser.run("location.hash") == "#/alice/alice-btc"
    assert browser.run("document.title") == "alice / alice-btc · gridbot"
    assert browser.run("document.activeElement.tagName") == "MAIN", "a screen reader goes on with what is new"
    bars = "document.querySelectorAll('svg.ladder:not(.legend) .bar').length"
    assert browser.run(bars) == len(why["ladder"]["orders"])
    assert browser.run("document.querySelectorAll('.levels tbody tr').length") == len(why["ladder"]["levels"])
    told = browser.run(text(".reasons-list"))
    for reason in {row["text"] for row in why["missing"]}:
        assert reason in told

    browser.run("document.querySelector('.picture').focus()")
    browser.keys("ArrowDown", "ArrowUp", "End", "ArrowUp", "Home")
    browser.shows(f"{text('.readout')}.startsWith({priced(why['ladder']['levels'][-1][0])!r})", "the highest level")
    assert browser.run("document.querySelectorAll('tr.picked').length") == 1

    kit.why["alice-btc"] = why | {
        "holds": [{"of": "strategy", "what": "paused", "text": "for the <b>night</b>", "since_ms": 0, "by": "operator",
                   "left_s": None, "lifted_by": "gridbot-supervisor resume alice/alice-btc"}],
        "missing": [row | {"weight": "held", "text": "paused: for the night"} for row in why["missing"]],
        "rules": ["long_1: the long is near its liquidation: its closes are 1.5 times as large"],
        "legs": [
            leg | {"size": "0.5", "entry": "60100", "liq": "41230.5", "liq_distance_percent": 31.2}
            for leg in why["legs"]
        ],
    }  # fmt: skip
    browser.shows("document.querySelector('.holds') !== null", "what holds it")
    assert "for the <b>night</b>" in browser.run(text(".holds"))
    assert "lifted by gridbot-supervisor resume alice/alice-btc" in browser.run(text(".holds")).replace("\n", " ")
    assert "held back" in browser.run(text(".reasons-list"))
    assert "near its liquidation" in browser.run(text(".cards"))
    assert "▼ long liquidation 41,230.5" in browser.run(text("svg.ladder")), "out of sight, it is an arrow"

    del kit.why["alice-btc"]
    browser.shows("document.body.innerText.includes('Its worker says nothing new')", "that its worker is silent")
    assert browser.run("document.querySelectorAll('svg.ladder .bar').length") > 10, "what was known stays"
    hold = {"of": "strategy", "what": "waiting", "text": "not listed", "since_ms": None, "by": "", "left_s": None}
    kit.why["alice-btc"] = {
        "account": "alice",
        "strategy": "alice-btc",
        "symbol": "BTCUSDT",
        "not_started": True,
        "holds": [hold | {"lifted_by": ""}],
    }
    browser.shows(
        f"document.querySelector('.holds') && {text('.holds')}.includes('not listed')",
        "why it has not started",
    )
    assert browser.run("document.querySelector('svg.ladder') === null")

    browser.run("location.hash = '#/alice/nobody'")
    browser.shows("document.body.innerText.includes('There is no strategy nobody')", "that there is none")
    browser.run("location.hash = '#/'")
    browser.shows("document.querySelectorAll('tr.account').length === 2", "the fleet again")
    assert browser.complaints() == []


def priced(value):
    whole, _, part = value.partition(".")
    return f"{int(whole):,}.{part}"


def test_it_fits_a_phone_in_the_dark_and_two_hundred_accounts(browser, kit):
    kit.model = recorded(200)
    browser.to_phone(390, 800)
    browser.screen(390, 800, dark=True)
    log_in(browser, kit, 200)
    browser.run("location.hash = '#/account-000/alice-btc?range=24h'")
    browser.shows("document.querySelectorAll('svg.ladder .bar').length > 10", "the ladder")
    browser.shows("document.documentElement.scrollWidth <= 390", "no need to scroll sideways")
    assert browser.run("document.querySelector('.ranges [aria-current]').textContent") == "24h"
    assert browser.complaints() == []


def test_figures_are_what_the_rows_say(browser, kit):
    pairs = [
        {"close_exec_id": "c1", "open_price": "99", "net_profit": "1"},
        {"close_exec_id": "c1", "open_price": "98", "net_profit": "2"},
        {"close_exec_id": "c2", "open_price": "97", "net_profit": "3"},
    ]
    script = f"[...m.closesOf({json.dumps(pairs)})].map(([id, of]) => [id, of.map((pair) => pair.open_price)])"
    assert module(browser, kit, "figures", script) == [["c1", ["99", "98"]], ["c2", ["97"]]]
    told = {"columns": ["ts", "fee"], "rows": [["a", "1"], ["b", None]]}
    assert module(browser, kit, "figures", f"m.asObjects({json.dumps(told)})") == [
        {"ts": "a", "fee": "1"},
        {"ts": "b", "fee": None},
    ]
    assert module(browser, kit, "figures", "[m.spanFrom(7_000_123, 3600), m.spanFrom(5, null)]") == [3_360_000, None]

    def profit(level, direction, net, pairs="1"):
        return {"level": level, "direction": direction, "net_profit": net, "pairs": pairs}

    few = [profit("99.5", "long", "1.5", "3"), profit("101", "short", "-2"), profit("99.5", "short", "0.25")]
    bands = module(browser, kit, "figures", f"m.banded({json.dumps(few)})")
    assert [(band["name"], band["long"], band["short"]) for band in bands] == [
        ("101", {"net": 0, "pairs": 0}, {"net": -2, "pairs": 1}),
        ("99.5", {"net": 1.5, "pairs": 3}, {"net": 0.25, "pairs": 1}),
    ]
    many = [profit(str(1000 + number), "long", "0.5") for number in range(200)]
    bands = module(browser, kit, "figures", f"m.banded({json.dumps(many)}, 10)")
    assert len(bands) == 10
    assert sum(band["long"]["net"] for band in bands) == 100, "nothing is left out"
    assert bands[0]["name"].endswith("to 1,199")
    assert bands[-1]["name"].startswith("1,000 to")
    assert module(browser, kit, "figures", "m.banded([])") == []

    def refusal(ts, by, code, reason, direction="long"):
        row = {"ts": ts, "refused_by": by, "ret_code": code, "reason": reason}
        return row | {"direction": direction, "side": "Buy"}

    refusals = [
        refusal("2026-01-01T00:00:02Z", "gate", None, "max_notional"),
        refusal("2026-01-01T00:00:01Z", "exchange", 110007, "not enough"),
        refusal("2026-01-01T00:00:05Z", "exchange", 110007, "not enough", "short"),
    ]
    counted = module(browser, kit, "figures", f"m.reasonsCounted({json.dumps(refusals)})")
    assert [(row["by"], row["reason"], row["times"], row["kinds"]) for row in counted] == [
        ("exchange 110007", "not enough", 2, ["long Buy", "short Buy"]),
        ("gate", "max notional", 1, ["long Buy"]),
    ]
    assert counted[0]["last"] - counted[0]["first"] == 4000
    shares = module(browser, kit, "figures", "m.percentiles([5, 1, 3, 2, 4], [0.5, 0.95, 1, 0])")
    assert shares == [3, 5, 5, 1]
    assert module(browser, kit, "figures", "m.percentiles([], [0.5])") == [None]


def test_the_past_is_what_the_records_have_with_its_sql_and_as_files(browser, tmp_path, monkeypatch):
    """Real records, read by the real reader."""
    monkeypatch.setattr(status_feed, "POLL_S", 0.1)
    make_night(tmp_path)
    model = recorded()
    model["accounts"][0]["strategies"][0]["strat_id"] = "btc_grid"
    with served(tmp_path, hold_s=60.0) as kit:
        kit.model = model
        kit.why["btc_grid"] = recorded_why() | {"strategy": "btc_grid"}
        browser.screen(1400, 900)
        log_in(browser, kit, 2)
        saved = "window.saved = []; const click = HTMLAnchorElement.prototype.click; "
        saved += "HTMLAnchorElement.prototype.click = function () { window.saved.push(this.download); }; "
        saved += (
            "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (t) => { window.copied = t; }}})"
        )
        browser.run(f"{{{saved}}}")
        browser.run("location.hash = '#/alice/btc_grid?range=all'")
        browser.shows("document.querySelectorAll('.figure .tools').length === 6", "all figures")
        browser.shows(
            "[...document.querySelectorAll('.figure')].every((f) => !f.innerText.includes('Reading'))", "rows"
        )
        rows = "[...document.querySelectorAll({!r})].map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"
        fills = browser.run(rows.format("section[aria-labelledby=figure-fills] tbody tr"))
        assert [row[1:6] for row in fills] == [
            ["long", "Sell closes", "110", "1", "0.022"],
            ["long", "Sell closes", "101", "1", "0.0202"],
            ["long", "Buy opens", "99", "2", "0.0396"],
        ]
        assert [row[7].partition(",")[0] for row in fills] == ["1 @ 99", "1 @ 99", ""], "with the fill that each closes"
        levels = browser.run(rows.format("section[aria-labelledby=figure-levels] tbody tr"))
        assert [row[0] for row in levels] == ["99"]
        assert levels[0][3] == "2", "pairs"
        refusals = browser.run(rows.format("section[aria-labelledby=figure-refusals] tbody tr"))
        assert {row[0] for row in refusals} == {"gate", "exchange 110007"}
        browser.shows("document.querySelectorAll('#chart-equity canvas, #chart-latency canvas').length === 2", "charts")

        browser.run("document.querySelector('[aria-label=\"Fills: copy SQL\"]').click()")
        browser.shows("window.copied", "its SQL")
        pasted = CliRunner().invoke(cli, ["sql", browser.run("window.copied"), "--data-dir", str(tmp_path)])
        assert pasted.exit_code == 0, pasted.output
        files = [("fills", "csv"), ("fills", "parquet"), ("equity", "csv"), ("levels", "csv"), ("latency", "parquet")]
        for number, (name, kind) in enumerate(files, 1):
            button = f"#figure-{name} + .tools button[aria-label$={kind}]"
            browser.run(f"document.querySelector({button!r}).click()")
            browser.shows(f"window.saved.length === {number}", f"{name} as {kind}")
        assert browser.run("window.saved") == [f"{name}-alice-btc_grid-all.{kind}" for name, kind in files]
        assert browser.complaints() == []
