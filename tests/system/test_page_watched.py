"""Somebody watches real processes on the page: a worker is killed, a command is given, and the records say by whom."""

from __future__ import annotations

import os
import signal

import pytest

from supervisor.cli.open_page import FORM
from supervisor.web.logins import make_code
from tests.report.conftest import browser
from tests.supervisor.web.test_operations_in_a_browser import choose, press
from tests.supervisor.web.test_page_in_a_browser import shows

from .conftest import DEMO, wait_for

__all__ = ["browser"]
pytestmark = pytest.mark.system


def test_a_worker_is_killed_while_watched_and_a_command_of_the_page_is_carried_out_and_recorded(gridbot, browser):
    session = gridbot.start(f"{DEMO}\nweb: {{port: 0, allow_commands: true}}\n")
    status = session.wait(
        lambda status: status["web"]["url"] and all(row["process"]["state"] == "RUNNING" for row in status["accounts"]),
        "the page, and workers",
    )
    names = [row["account"] for row in status["accounts"]]
    form = session.data_dir / "form.html"
    form.write_text(FORM.format(url=status["web"]["url"], code=make_code(session.data_dir, "peter as bot@host")))
    browser.screen(1400, 900)
    browser.events.clear()
    browser.send("Page.navigate", url=form.as_uri())
    shows(browser, f"document.querySelectorAll('tr.account').length === {len(names)}", "the fleet")
    shows(browser, "document.querySelector('tr.account').textContent.includes('trading')", "that it trades")

    browser.run("location.hash = '#/operations'")
    every = "[...document.querySelectorAll('#processes ~ div tr')]"
    row = f"{every}.find((row) => row.textContent.includes('worker-{names[0]}'))"
    shows(browser, f"{row} !== undefined", "the worker")
    pid = next(row["process"]["pid"] for row in status["accounts"] if row["account"] == names[0])
    shows(browser, f"{row}.textContent.includes('{pid}')", "its process")
    os.kill(pid, signal.SIGKILL)
    shows(
        browser,
        f"!{row}.textContent.includes('{pid}') && {row}.textContent.includes('running') "
        f"&& {row}.textContent.includes('SIGKILL')",
        "another process of it, and how the last one ended",
    )
    session.wait(
        lambda status: all(row["process"]["state"] == "RUNNING" for row in status["accounts"]), "all of them again"
    )

    choose(browser, "#targets", names[0])
    choose(browser, "#field-reason", "watched")
    press(browser, "pause now")
    shows(browser, "document.body.innerText.includes('pause: done')", "that it was done")
    choose(browser, "#command", "resume")
    press(browser, "Show resume, then confirm")
    press(browser, "resume now")
    shows(browser, "document.body.innerText.includes('resume: done')", "that it was done")
    sql = "SELECT name, who, ok FROM operator_commands WHERE name IN ('pause', 'resume') ORDER BY local_ts"
    wait_for(lambda: len(session.sql(sql)) == 2, "both in the records")
    assert [(each["name"], each["who"], each["ok"]) for each in session.sql(sql)] == [
        ("pause", "web:peter as bot@host", True),
        ("resume", "web:peter as bot@host", True),
    ]
    press(browser, "Read records again")
    shows(
        browser, "document.querySelector('#operator-log ~ div').textContent.includes('web:peter')", "the operator log"
    )
    choose(browser, "select[name=settings-of]", names[0])
    shows(browser, "document.querySelector('#configuration ~ div').textContent.includes('environment')", "its settings")
    complaints = [each for each in browser.complaints() if "/api/" not in each]
    assert complaints == []
    session.stop()
