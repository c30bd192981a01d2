"""The page in a real browser: in by a code, live, lost and found again, many accounts, phone, dark."""

from __future__ import annotations

import contextlib
import copy
import os
import socket
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from supervisor.cli.open_page import FORM
from supervisor.web import record_routes, status_feed
from supervisor.web.logins import make_code
from tests.real_browser import Browser
from tests.store.night import Life
from tests.store.session import write_all
from tests.supervisor.metrics.metric_models import of_fleet

from .page_kit import PageKit, recorded, served


@pytest.fixture
def kit(tmp_path, monkeypatch):
    monkeypatch.setattr(status_feed, "POLL_S", 0.1)
    with served(tmp_path) as served_kit:
        yield served_kit


def log_in(browser: Browser, kit: PageKit, rows: int) -> None:
    """By the file that `open` writes."""
    form = kit.data_dir / "form.html"
    form.write_text(FORM.format(url=kit.server.url, code=make_code(kit.data_dir)))
    browser.go(form.as_uri())
    browser.shows(f"document.querySelectorAll('tr.account').length === {rows}", f"{rows} accounts")


def text(place: str) -> str:
    return f"document.querySelector({place!r}).textContent"


def of_three_hosts(kit: PageKit) -> None:
    """The same accounts, now of h1; carol is on h3, and dora was on h2, which is dead."""
    assert kit.model is not None
    model = copy.deepcopy(kit.model)
    told = {**copy.deepcopy(model["accounts"][1]), "host_alive": True, "lease": "held", "epoch": 3}
    model["accounts"][0]["strategies"][0] |= {"state": "active", "reason": ""}
    told["strategies"][0]["strat_id"] = "alice-btc"
    model |= {
        "fleet": of_fleet(),
        "elsewhere": [
            {**told, "account": "carol", "host": "h3", "age_s": 2.0},
            {**told, "account": "dora", "host": "h2", "age_s": 90.0, "host_alive": False},
        ],
        "incidents_elsewhere": [
            {"account": "", "strategy": "", "child": "writer", "key": "down", "cause": "", "level": "ERROR", "id": "x",
             "since": "2026-11-30T01:10:00.000Z", "count": 1, "text": "it is away", "acked": None, "muted_until": None,
             "host": "h3"}
        ],
    }  # fmt: skip
    kit.model = model


def test_the_fleet_is_live_says_what_is_wrong_and_when_it_is_not_live(browser, kit):
    browser.screen(1400, 800)
    log_in(browser, kit, 2)
    assert browser.run("location.pathname") == "/"
    parts = browser.run("[...document.querySelectorAll('#app > *')].map((each) => each.tagName)")
    assert parts == ["HEADER", "DIV", "MAIN"], "in this order from the first figure on"
    assert not browser.run("document.querySelector('input[name=split]').checked"), "it fits a small screen at first"
    assert browser.run("document.querySelector('.fleet').scrollWidth <= document.querySelector('.fleet').clientWidth")
    assert "10,000.81" in browser.run(text("tr.account"))
    assert "trading" in browser.run(text("tr.account"))
    totals = browser.run("[...document.querySelectorAll('.totals tbody tr')].map((row) => row.innerText)")
    assert len(totals) == 2, "paper, and shadow by itself"
    assert "15,000.81" in totals[0]
    assert totals[1].startswith("shadow")
    assert "+0.18" in totals[1]

    changed = recorded()
    alice = changed["accounts"][0]
    alice["strategies"][0] |= {"state": "halted", "reason": "hedge mode is off <b>now</b>"}
    alice["equity"] = "9999.5"
    changed["incidents"] = [
        {"account": "alice", "strategy": "alice-btc", "child": "", "key": "halt", "cause": "", "level": "ERROR",
         "since": "2026-11-30T01:10:00.000Z", "count": 1, "text": "it is <i>halted</i>"}
    ]  # fmt: skip
    kit.model = changed
    browser.shows(f"{text('tr.account')}.includes('9,999.50')", "another equity")
    row = browser.run(text("tr.account"))
    assert "halted" in row
    assert "alice-btc: hedge mode is off <b>now</b>" in row, "words of others are text"
    assert "it is <i>halted</i>" in browser.run(text(".alerts"))
    browser.click("tr.account button")
    browser.shows("document.querySelectorAll('tr.strategy').length === 2", "the strategies")
    assert browser.run("document.querySelector('tr.account button').getAttribute('aria-expanded')") == "true"

    of_three_hosts(kit)
    browser.shows("document.querySelectorAll('tr.account').length === 4", "the accounts of all hosts")
    cells = (
        "[...document.querySelectorAll('tr.account')].map((row) => "
        "['Host', 'As of'].map((name) => row.querySelector(`td[data-title=\"${name}\"]`).innerText.trim()).join(' '))"
    )
    assert browser.run(cells) == ["h1 now", "h1 now", "h3 2 s ago", "h2 1 min ago"]
    assert "host silent" in browser.run(text("tr.account:last-child"))
    assert "host h2 is dead or silent; what is shown was told 1 min ago" in browser.run(text("tr.account:last-child"))
    totals = browser.run("[...document.querySelectorAll('.totals tbody tr')].map((row) => row.innerText)")
    assert "without 1 of 4" in totals[0], "what a silent host has told is in no total"
    assert "24,999.50" not in totals[0]
    hosts = browser.run("[...document.querySelectorAll('.hosts tbody tr')].map((row) => row.innerText)")
    assert [line.split()[0] for line in hosts] == ["h1", "h2", "h3", "h4"]
    assert "dead or silent for" in hosts[1]
    assert "writer on h3: it is away" in browser.run(text(".alerts"))
    browser.run("location.hash = '#/carol/alice-btc'")
    browser.shows("document.body.innerText.includes('Host h3 has carol')", "who has it")
    browser.shows("document.querySelector('#ladder-title')", "its ladder, which its holder has told")
    links = browser.run("[...document.querySelectorAll('main a')].map((each) => each.getAttribute('href'))")
    assert [link for link in links if not link.startswith(("#", "blob:"))] == [], "nothing leads to another host"
    browser.run("location.hash = '#/dora/alice-btc'")
    browser.shows("document.querySelector('.banner.bad')?.innerText.includes('host h2 is dead')", "that it is silent")
    browser.run("location.hash = '#/'")
    kit.model = changed
    browser.shows("document.querySelectorAll('tr.account').length === 2", "no fleet any more")

    kit.model = None
    browser.shows("document.body.innerText.includes('The supervisor does not answer: no room')", "the problem")
    assert "9,999.50" in browser.run(text("tr.account")), "what was known stays, with its age"
    kit.model = recorded()
    browser.shows(f"{text('tr.account')}.includes('10,000.81')", "the supervisor again")
    assert not browser.run("document.body.innerText.includes('does not answer')")

    browser.click("header button")
    browser.shows("location.pathname === '/login'", "the way out")
    foreign = [url for url in browser.requested() if not url.startswith((kit.server.url, "file:", "data:"))]
    assert foreign == []
    assert browser.complaints() == []


def test_the_fleet_shows_what_is_recorded_with_its_age_and_what_is_not_known_as_a_dash(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(record_routes, "FLEET_S", 0.0)
    cell = "document.querySelector('tr.account td[data-title=\"{}\"]').innerText.trim()"
    with served(tmp_path, hold_s=60.0) as kit:
        browser.screen(1800, 800)
        log_in(browser, kit, 2)
        browser.shows(f"{text('.recorded')}.includes('No history: there is no database at')", "that there is none")
        assert browser.run(cell.format("Total: Grid")) == "–"
        assert browser.run(cell.format("Drawdown")) == "–"
        browser.run("location.hash = '#/alice/alice-btc'")
        browser.shows("!document.querySelector('.fleet')", "another view")
        elsewhere = tmp_path / "elsewhere"
        life = Life(elsewhere, "alice")
        life.now_ms = time.time_ns() // 1_000_000 - 7_200_000
        life.began("paper")
        life.wallet("20001.617014")
        life.fill("Buy", "100", "2", strategy="alice-btc")
        life.fill("Sell", "101.5", "1", strategy="alice-btc", realised_pnl=Decimal("1.5"))
        life.close()
        write_all(elsewhere)
        (elsewhere / "gridbot.duckdb").rename(tmp_path / "gridbot.duckdb")
        assert kit.model is not None
        kit.model["time"] = datetime.now(UTC).isoformat()
        browser.run("Date.now = () => 0")  # a clock that is wrong
        browser.run("location.hash = '#/'")
        browser.shows(f"{cell.format('Total: Grid')} === '+1.50'", "the grid profit of the records")
        assert browser.run(cell.format("Today: Grid")) in ("+1.50", "0.00"), "just after midnight it was yesterday"
        assert browser.run(cell.format("Today: Funding")) == "0.00"
        assert browser.run(cell.format("Drawdown")) == "50.0 %"
        browser.shows(f"/^[12] h$/.test({cell.format('Last fill')})", "its age, by the time of the supervisor")
        assert browser.run("document.querySelectorAll('tr.account .curve polyline').length") == 1
        assert "lowest 10,000.81" in browser.run("document.querySelector('.curve[role]').getAttribute('aria-label')")
        assert browser.run(text(".recorded")).strip().startswith("Today, grid profit, curves and last fills: ")
        totals = browser.run("[...document.querySelectorAll('.totals tbody tr')].map((row) => row.innerText)")
        assert "+1.50" in totals[0]
        assert "+1.50" not in totals[1], "what was paper is in no shadow's total"
        browser.click("input[name=split]")
        browser.shows("!document.querySelector('td[data-title=\"Total: Grid\"]')", "nets alone")
        assert browser.run(cell.format("Total: Net")) == "+0.97"
        browser.click("input[name=split]")
        assert browser.complaints() == []


def test_two_hundred_accounts_are_found_sorted_and_fit_a_phone(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(status_feed, "POLL_S", 0.1)
    place = tmp_path / "a-data-directory-of-which-the-page-tells-and-whose-name-is-wider-than-a-phone"
    place.mkdir()
    with served(place) as kit:
        two_hundred_accounts(browser, kit)


def two_hundred_accounts(browser, kit):
    accounts = 200
    kit.model = recorded(accounts)
    browser.screen(1600, 1000)
    log_in(browser, kit, accounts)
    height = browser.run("document.querySelector('tr.account').getBoundingClientRect().height")
    assert height <= 20, "fifty rows and their heads stand on 1080 lines"
    browser.fill("input[name=find]", "account-01")
    browser.shows("document.querySelectorAll('tr.account').length === 10", "ten of them")
    browser.run("document.querySelector('.fleet thead button').focus()")
    browser.keys("Enter", "Space")
    browser.run("document.querySelector('input[name=find]').focus()")
    browser.keys("Control+A", "Delete")
    browser.shows(f"document.querySelectorAll('tr.account').length === {accounts}", "all of them")
    assert browser.run("localStorage.getItem('gridbot-order')") in (
        '{"key":"name","down":false}', '{"key":"name","down":true}')  # fmt: skip
    browser.to_phone(390, 800)
    browser.shows(f"document.querySelectorAll('tr.account').length === {accounts}", "all of them on a phone")
    for dark in (False, True):
        browser.screen(390, 800, dark=dark)
        browser.shows("document.querySelector('.recorded .warn') !== null", "that nothing is recorded there")
        browser.shows("document.documentElement.scrollWidth <= 390", "no need to scroll sideways")
        row = "document.querySelector('tr.account').getBoundingClientRect().height"
        assert browser.run(row) < 320, "two figures stand on a line, with no gaps"
    assert browser.complaints() == []


def test_a_view_with_a_fault_says_so_and_many_pages_of_a_browser_leave_room_for_each_other(browser, kit):
    browser.screen(1000, 700)
    log_in(browser, kit, 2)
    for place in ("__proto__", "constructor", "strategy"):
        browser.run(f"location.hash = '#/{place}'")
        browser.shows("document.body.innerText.includes('There is nothing at this address')", place)
    browser.run("location.hash = '#/'")
    browser.shows("document.querySelectorAll('tr.account').length === 2", "the fleet")
    for part in ("groups", "strategies"):
        broken = recorded()
        broken["accounts"][0][part] = None
        kit.model = broken
        browser.shows("document.body.innerText.includes('A fault of the page, in fleet')", "the fault")
        kit.model = recorded()
        browser.shows("document.querySelectorAll('tr.account').length === 2", "the view again, by itself")

    seen = (
        "Object.defineProperty(document, 'hidden', {configurable: true, value: %s}); "
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    browser.run(seen % "true")
    browser.until(lambda: not kit.server.feed.viewers, "a page that nobody sees to ask for nothing")
    browser.run(seen % "false")
    browser.until(lambda: kit.server.feed.viewers == 1, "its stream again")
    browser.run(seen % "true")
    browser.until(lambda: not kit.server.feed.viewers, "its end")
    browser.run(
        "for (let n = 0; n < 4; n++) navigator.locks.request(`gridbot-stream-${n}`, () => new Promise(() => {})); 0"
    )
    browser.run(seen % "false")
    kit.model["accounts"][0]["equity"] = "77.7"
    browser.shows(f"{text('tr.account')}.includes('77.70')", "the newest, without a stream")
    assert "live" in browser.run(text(".link"))
    assert not kit.server.feed.viewers, "four others have the streams"
    assert browser.complaints() == []


def lasting_port() -> int:
    """A free port that no connection of another program gets by chance, as one of the system's own range might be."""
    for port in range(12_000 + os.getpid() % 10_000, 32_000):
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
            return port
    raise AssertionError("expected one of 10,000 ports to be free")


def test_a_page_that_lost_the_process_says_so_and_one_without_login_how_to_get_in(browser, tmp_path):
    port = lasting_port()
    with served(tmp_path, port=port) as kit:
        browser.screen(1000, 700)
        log_in(browser, kit, 2)
    browser.shows("document.querySelector('.link').className.includes('stale')", "that it is not live")
    assert "is lost" in browser.run("document.body.innerText") or "old" in browser.run(text(".link"))
    with served(tmp_path, before=port) as kit:
        assert kit.server.port == port, "it comes back at the address that the page knows"
        browser.shows("document.body.innerText.includes('gridbot-supervisor open')", "how to log in again")
        probe = "import('/static/live.js').then((m) => m.ask('/api/status?probe')).then((answer) => answer.status)"
        assert browser.run(probe) == 401
        assert not [url for url in browser.requested() if "probe" in url], "what was refused is not asked for again"
        browser.run(
            f"fetch('/login', {{method: 'POST', body: new URLSearchParams({{code: '{make_code(tmp_path)}'}})}})"
            ".then((answer) => answer.text()).then((page) => import('/static/live.js').then((m) => "
            "m.keepKey(page.split('name=\"page-key\" content=\"')[1].split('\"')[0])))"
            ".then(() => dispatchEvent(new StorageEvent('storage')))"
        )
        browser.shows("document.querySelector('.link').className.includes('active')", "a login in another tab")
        assert browser.run(probe) == 200
        browser.shows("!document.body.innerText.includes('You are logged out')", "no word of it any more")


def test_what_one_tab_of_the_browser_has_stored_the_next_one_does_not_find(chromium, kit):
    """All tests share one window: a login of one would let another in."""
    stored = "[document.cookie, localStorage.length, sessionStorage.length].join()"
    for _ in range(2):
        browser = chromium.browser()
        browser.go(f"{kit.server.url}/")
        browser.shows("document.body?.innerText.includes('gridbot-supervisor open')", "that nobody is logged in")
        assert browser.run(stored) == ",0,0"
        log_in(browser, kit, 2)
        browser.run("document.cookie = 'a=b'; localStorage.c = sessionStorage.c = 'd'")
        assert browser.run(stored) != ",0,0"
        browser.close()
