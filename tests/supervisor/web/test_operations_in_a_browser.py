"""Operations in a real browser: commands in two steps, alerts, settings, reports; no view has barriers (axe-core)."""

from __future__ import annotations

import pytest

from supervisor.web import status_feed
from tests.supervisor.cli.test_adoption_table import answer as adopt_answer

from .axe_check import barriers, needs_axe
from .page_kit import PageKit, recorded, served
from .test_operations import SECTIONS, filled
from .test_page_in_a_browser import log_in, text

ALERT = {
    "id": "k3x9aq", "account": "alice", "strategy": "alice-btc", "child": "", "key": "halt", "cause": "",
    "level": "ERROR", "since": "2026-11-30T01:10:00.000Z", "count": 3, "text": "it is <i>halted</i>", "acked": None,
    "muted_until": None,
}  # fmt: skip


@pytest.fixture
def kit(tmp_path, monkeypatch):
    monkeypatch.setattr(status_feed, "POLL_S", 0.1)
    filled(tmp_path)
    with served(tmp_path) as served_kit:
        served_kit.answers["settings"] = {"ok": True, "file": "/conf/g.yaml", "sections": SECTIONS}
        served_kit.model = recorded() | {"incidents": [ALERT]}
        yield served_kit


def enter(browser, kit: PageKit, accounts: int = 2) -> None:
    kit.allow_commands()
    log_in(browser, kit, accounts)
    browser.run("location.hash = '#/operations'")
    browser.shows(
        "document.querySelector('#backtests') !== null && document.querySelector('form.command') !== null",
        "the view",
    )


def test_commands_are_given_from_the_page_and_dangerous_ones_only_after_a_second_step(browser, kit):
    browser.screen(1400, 900)
    enter(browser, kit)
    browser.fill("#targets", "alice/alice-btc bob")
    browser.fill("#field-reason", "<b>night</b>")
    browser.press("pause now")
    browser.shows("document.body.innerText.includes('pause: done')", "what came of it")
    given = [(each["name"], each["account"], each["args"]) for each in kit.given if each["op"] == "worker"]
    assert sorted(given, key=str) == [
        ("pause", "alice", {"reason": "<b>night</b>", "strategy": "alice-btc"}),
        ("pause", "bob", {"reason": "<b>night</b>"}),
    ]
    kit.given.clear()
    browser.fill("#command", "flatten")
    browser.press("Show flatten, then confirm")
    browser.shows("document.querySelector('form.second') !== null", "the second step")
    assert "it pauses; 14 resting orders are cancelled" in browser.run(text("form.second"))
    give = "document.querySelector('form.second button.danger')"
    assert browser.run(f"{give}.disabled"), "the number of accounts was not typed yet"
    browser.fill("input[name=accounts]", "3")
    assert browser.run(f"{give}.disabled")
    assert kit.given == []
    browser.fill("input[name=accounts]", "2")
    browser.press("flatten now")
    browser.shows("document.body.innerText.includes('flatten: done')", "what came of it")
    assert sorted(each["account"] for each in kit.given if each["op"] == "worker") == ["alice", "bob"]
    kit.answers["worker"] = {"ok": True, "result": adopt_answer()}
    browser.fill("#command", "adopt")
    browser.fill("#targets", "alice")
    browser.press("Show adopt, then confirm")
    browser.press("adopt now")
    browser.shows(
        "document.querySelectorAll('[aria-label^=\"btc on BTCUSDT\"] tbody tr').length === 2", "a row an order"
    )
    assert "12 wanted and absent" in browser.run("document.body.innerText")
    assert '"strategies"' not in browser.run("document.body.innerText")
    kit.answers["worker"] = {"ok": False, "error": "the worker is <i>away</i>", "unanswered": True}
    browser.fill("#command", "reconcile")
    browser.fill("#targets", "bob")
    browser.press("reconcile now")
    browser.shows("document.body.innerText.includes('NO ANSWER: the worker is <i>away</i>')", "that nobody answered")
    browser.fill("#targets", "nobody")
    browser.press("reconcile now")
    browser.shows("document.body.innerText.includes(\"got 'nobody'\")", "what was wrong")
    browser.press("Acknowledge")
    browser.shows(f"{text('#alerts + div')}.includes('ack done')", "the alert")
    assert kit.given[-1]["alert"] == "k3x9aq"
    kit.allow_commands(allowed=False)
    browser.shows("document.body.innerText.includes('web.allow_commands is off')", "that it only looks now")
    assert browser.run("document.querySelectorAll('form.command, #alerts + div button').length") == 0
    assert unexpected(browser) == []


def test_what_is_in_force_is_shown_and_a_report_can_do_nothing_as_the_page(browser, kit):
    browser.screen(1400, 900)
    enter(browser, kit)
    assert "6" in browser.run(text("#processes"))
    browser.fill("select[name=settings-of]", "alice")
    browser.shows(f"{text('#configuration ~ div')}.includes('api_key')", "the account's values")
    assert unexpected(browser) == []
    page = "<!doctype html><title>a report</title><script>window.ran = 1</script>"
    (kit.data_dir / "reports" / "wide-2-alice-2026.html").write_text(page)
    browser.run("{const form = document.querySelector('form.inline'); form.target = '_self'; form.submit()}")
    browser.shows("document.title === 'a report'", "the report")
    assert browser.run("window.ran") == 1, "its scripts run"
    assert browser.run("self.origin") == "null", "and belong to nobody"
    assert browser.run("(() => { try { return localStorage.length } catch { return 'no' } })()") == "no"
    asked = "fetch('/api/status').then(() => 'told', () => 'no')"
    assert browser.run(asked) == "no"


@needs_axe
def test_no_view_has_a_barrier_for_a_keyboard_a_screen_reader_or_poor_sight(browser, kit):
    found: dict[str, list[str]] = {}

    def look(view: str) -> None:
        for width, dark, rules in ((1400, True, ["color-contrast"]), (1400, False, []), (390, False, [])):
            browser.screen(width, 900, dark=dark)
            found[f"{view}, {width}, {'dark' if dark else 'light'}"] = barriers(browser, *rules)

    kit.model = recorded(6)
    kit.model["incidents"] = [{**ALERT, "account": "account-000"}]
    kit.model["accounts"][0]["strategies"][0] |= {"state": "halted", "reason": "hedge mode is off"}
    browser.screen(1400, 900)
    enter(browser, kit, 6)
    browser.fill("#command", "kill")
    browser.click("form.command .field ~ .field input[type=checkbox]")
    browser.press("Show kill, then confirm")
    browser.shows("document.querySelector('form.second') !== null", "the second step")
    look("operations")
    browser.run("location.hash = '#/'")
    browser.shows("document.querySelectorAll('tr.account').length === 6", "the fleet")
    browser.click("tr.account button")
    look("fleet")
    browser.run("location.hash = '#/account-000/alice-btc'")
    browser.shows("document.querySelector('.facts') !== null", "a strategy")
    look("strategy")
    browser.go(f"{kit.server.url}/login")
    browser.shows("document.querySelector('input[name=code]') !== null", "the login")
    look("login")
    assert {view: lines for view, lines in found.items() if lines} == {}


def unexpected(browser) -> list[str]:
    """What the console said, but for answers that are refusals and were wanted."""
    return [each for each in browser.complaints() if "/api/command" not in each]
