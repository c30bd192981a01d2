"""The page's process beside real trading: nobody waits for it, nobody misses it, and its owner gets in. One session.

Somebody watches on it: workers are killed, a strategy is held, commands are given, and the records say by whom.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request
from decimal import Decimal

import psutil
import pytest

from supervisor.cli.open_page import FORM
from supervisor.web.fleet_history import FleetHistory
from supervisor.web.logins import make_code
from supervisor.web.record_file import RecordFile
from tests.real_browser import missing
from tests.supervisor.web.test_page_in_a_browser import text

from .conftest import DEMO, Session, wait_for

pytestmark = pytest.mark.system

BROWSER = """#!/bin/sh
# As much of a browser as it takes: posts the form of the file that it is given.
code=$(sed -n 's/.*name="code" value="\\([^"]*\\)".*/\\1/p' "${1#file://}")
url=$(sed -n 's/.*action="\\([^"]*\\)".*/\\1/p' "${1#file://}")
exec python3 - "$url" "$code" "$0.said" <<'END'
import sys, urllib.parse, urllib.request
url, code, said = sys.argv[1:]
with urllib.request.urlopen(url, urllib.parse.urlencode({"code": code}).encode()) as answer:
    open(said, "w").write(answer.headers["Set-Cookie"])
END
"""


def healthz(url: str) -> str:
    with urllib.request.urlopen(f"{url}/healthz", timeout=60) as answer:
        return str(answer.read().decode())


def test_the_page_comes_and_goes_while_accounts_trade_and_somebody_watches(gridbot, tmp_path, monkeypatch, request):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        session = gridbot.start(f"{DEMO}\nweb: {{port: {port}, allow_commands: true}}\n")
        status = session.wait(lambda status: status["web"]["process"]["last_exit"], "a page that finds its port taken")
        assert (status["health"], status["incidents"]) == ("healthy", []), "a warning, and trading starts"
        assert f"expected port {port} of 127.0.0.1 to be free" in session.tail()
        refused = session.run("open")
        assert refused.returncode == 7
        assert str(port) in refused.stderr
    status = session.wait(lambda status: status["web"]["url"], "the page, now that its port is free")
    url, pid = status["web"]["url"], status["web"]["process"]["pid"]
    assert url == f"http://127.0.0.1:{port}"
    assert healthz(url) == "ok\n"
    assert psutil.Process(pid).nice() >= 10, "it gives way to those who trade"

    shown = session.run("open", "--print")
    assert f"{url}/login" in shown.stdout
    browser = tmp_path / "browser"
    browser.write_text(BROWSER)
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setenv("DISPLAY", ":0")
    opened = session.run("open")
    assert opened.returncode == 0, opened.stderr
    assert "HttpOnly" in (tmp_path / "browser.said").read_text()
    assert [path.name for path in (session.data_dir / "web").glob("*.html")] == []

    fills = session.sql("SELECT count(*) AS n FROM fills")[0]["n"]
    workers = {row["process"]["pid"] for row in status["accounts"]}
    os.kill(pid, signal.SIGKILL)
    again = session.wait(
        lambda status: status["web"]["url"] and status["web"]["process"]["pid"] != pid, "another process of the page"
    )
    assert again["web"]["url"] == url
    assert (again["health"], again["incidents"], again["reasons"]) == ("healthy", [], [])
    assert {row["process"]["pid"] for row in again["accounts"]} == workers
    wait_for(lambda: session.sql("SELECT count(*) AS n FROM fills")[0]["n"] > fills, "more fills")
    watched = not missing()
    if watched:
        seen = request.getfixturevalue("browser")
        enter_and_look(session, seen)
        watch_a_strategy(session, seen)
        watch_operations(session, seen)
    session.stop()
    same_as_pnl(session)
    if not watched:
        request.getfixturevalue("browser")  # skips, and says where to get one


def same_as_pnl(session: Session) -> None:
    """The page's money of all time and of today, by strategy, is what `pnl` says, on what a demo has recorded."""
    document = FleetHistory(RecordFile(session.data_dir, hold_s=60.0)).document()
    assert document["problems"] == {}
    shown = {(row["account"], row["strategy"], row["money"]): row for row in document["strategies"]}
    for name, since in (("total", "2020-01-01"), ("today", document["day"].isoformat())):
        rows = json.loads(session.ask("pnl", "--from", since, "--json").stdout)["rows"]
        assert {(row["account"], row["strategy"], row["money"]) for row in rows} <= shown.keys()
        assert any(Decimal(str(row["fees"])) for row in rows), "it has traded"
        for row in rows:
            there = shown[row["account"], row["strategy"], row["money"]]
            for column, key in (
                ("grid_profit", "grid"),
                *((key, key) for key in ("realised", "fees", "funding", "net")),
            ):
                assert Decimal(str(row[column])) == there[name][key], (row, column)
            assert row["fills"] == there[name]["fills"]


def enter_and_look(session, browser):
    """By the file that `open` writes, as somebody with a name."""
    form = session.data_dir / "form.html"
    code = make_code(session.data_dir, "peter as bot@host")
    form.write_text(FORM.format(url=session.status()["web"]["url"], code=code))
    browser.screen(1400, 900)
    browser.go(form.as_uri())
    browser.shows("document.querySelectorAll('tr.account').length === 2", "the fleet")
    browser.shows("document.querySelector('tr.account').textContent.includes('trading')", "that it trades")


def watch_a_strategy(session, browser):
    """It is paused, goes on, and its worker is killed."""
    browser.run("location.hash = '#/alice/alice-btc'")
    browser.shows("document.querySelectorAll('svg.ladder .bar.opens').length >= 10", "orders of both legs")
    assert browser.run("document.querySelectorAll('.levels tbody tr').length") >= 13
    browser.shows("document.querySelector('svg.ladder .trail') !== null", "the price as it goes")

    assert session.ask("pause", "alice/alice-btc", "--reason", "looking").exit_code == 0
    browser.shows(f"document.querySelector('.holds') && {text('.holds')}.includes('looking')", "what holds it")
    assert "resume alice/alice-btc" in browser.run(text(".holds")), "and what lifts it"
    assert session.ask("resume", "alice/alice-btc").exit_code == 0
    browser.shows("document.querySelector('.holds') === null", "that nothing holds it")

    [worker] = [row["process"]["pid"] for row in session.status()["accounts"] if row["account"] == "alice"]
    os.kill(worker, signal.SIGKILL)
    session.wait(lambda status: status["accounts"][0]["process"]["restarts"] == 1, "another worker")
    told = "[...document.querySelectorAll('.facts dd')].at(-1).textContent"
    bars = "document.querySelectorAll('svg.ladder .bar').length >= 10"
    browser.shows(f"{told} === 'now' && !document.querySelector('main .banner') && {bars}", "the ladder as it is now")
    browser.run("location.hash = '#/'")
    browser.shows("[...document.querySelectorAll('tr.account td[data-title=Restarts]')][0].textContent === '1'", "it")
    assert browser.complaints() == []


def watch_operations(session, browser):
    """Its worker is killed again, and commands of the page are carried out and recorded."""
    status = session.wait(
        lambda status: all(row["process"]["state"] == "RUNNING" for row in status["accounts"]), "workers"
    )
    names = [row["account"] for row in status["accounts"]]
    browser.run("location.hash = '#/operations'")
    every = "[...document.querySelectorAll('#processes ~ div tr')]"
    row = f"{every}.find((row) => row.textContent.includes('worker-{names[0]}'))"
    browser.shows(f"{row} !== undefined", "the worker")
    pid = next(row["process"]["pid"] for row in status["accounts"] if row["account"] == names[0])
    browser.shows(f"{row}.textContent.includes('{pid}')", "its process")
    os.kill(pid, signal.SIGKILL)
    browser.shows(
        f"!{row}.textContent.includes('{pid}') && {row}.textContent.includes('running') "
        f"&& {row}.textContent.includes('SIGKILL')",
        "another process of it, and how the last one ended",
    )
    session.wait(
        lambda status: all(row["process"]["state"] == "RUNNING" for row in status["accounts"]), "all of them again"
    )

    browser.fill("#targets", names[0])
    browser.fill("#field-reason", "watched")
    browser.press("pause now")
    browser.shows("document.body.innerText.includes('pause: done')", "that it was done")
    browser.fill("#command", "resume")
    browser.press("Show resume, then confirm")
    browser.press("resume now")
    browser.shows("document.body.innerText.includes('resume: done')", "that it was done")
    sql = "SELECT name, who, ok FROM operator_commands WHERE who LIKE 'web:%' ORDER BY local_ts"
    wait_for(lambda: len(session.sql(sql)) == 2, "both in the records")
    assert [(each["name"], each["who"], each["ok"]) for each in session.sql(sql)] == [
        ("pause", "web:peter as bot@host", True),
        ("resume", "web:peter as bot@host", True),
    ]
    browser.press("Read records again")
    browser.shows("document.querySelector('#operator-log ~ div').textContent.includes('web:peter')", "the operator log")
    browser.fill("select[name=settings-of]", names[0])
    browser.shows("document.querySelector('#configuration ~ div').textContent.includes('environment')", "its settings")
    complaints = [each for each in browser.complaints() if "/api/" not in each]
    assert complaints == []
