"""The page in a real browser: every curve is drawn, nothing is requested, nothing of others runs, a phone is enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridbot.report.figures import figures_from
from gridbot.report.report_page import render
from tests.real_browser import Browser
from tests.report.grid_session import GridSession, facts_of, store, trade
from tests.report.hostile_session import hostile

MADE_MS = 1_700_000_000_000
PHONE = 375
INK = """
[...document.querySelectorAll("canvas")].map((canvas) => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let inked = 0;
  for (let at = 3; at < data.length; at += 4) inked += data[at] > 0;
  return inked;
})"""
DRAWN = "document.documentElement.dataset.drawn"
BACK = "getComputedStyle(document.body).backgroundColor"
WIDTH = "document.documentElement.scrollWidth"


def session(session: GridSession) -> None:
    trade(session)


def empty(session: GridSession) -> None:
    session.start()
    session.balance("1000")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of three reports: a session, one of attacks, one of a single balance."""
    directory = tmp_path_factory.mktemp("pages")
    store(directory, session, hostile, empty)
    found = {name: directory / f"{name}.html" for name in ("session", "hostile", "empty")}
    for name, path in found.items():
        path.write_text(render(figures_from(*facts_of(directory, account=name)), MADE_MS), encoding="utf-8")
    return found


def test_every_curve_is_drawn_nothing_is_requested_and_colours_are_those_of_its_reader(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.screen(1280, 900)
    browser.open(pages["session"])
    assert browser.run(DRAWN) == "6"
    inked = browser.run(INK)
    assert len(inked) == 6
    assert min(inked) > 1000
    assert browser.run(BACK) == "rgb(247, 247, 245)"
    browser.screen(1280, 900, dark=True)
    browser.until(lambda: browser.run(BACK) == "rgb(20, 23, 26)", "the dark page")
    assert browser.run(DRAWN) == "6"
    assert browser.requested() == [pages["session"].absolute().as_uri()]
    assert browser.complaints() == []


def test_a_phone_is_wide_enough(browser: Browser, pages: dict[str, Path]) -> None:
    browser.to_phone(PHONE, 800)
    for name, page in pages.items():
        browser.open(page)
        assert browser.run(WIDTH) == PHONE, name
        assert browser.run("[...document.querySelectorAll('.u-wrap')].every((e) => e.clientWidth <= 375)"), name


def test_words_of_others_do_not_run_and_what_is_put_into_the_file_later_is_refused_by_its_policy(
    browser: Browser, pages: dict[str, Path]
) -> None:
    """The policy works: a script, an image and a handler that are added to the file do nothing."""
    browser.screen(1280, 900)
    browser.open(pages["hostile"])
    assert browser.run("window.owned") is None
    assert browser.run("document.body.innerText.includes('<script>window.owned = 1</script>')") is True
    assert browser.run("document.body.innerText.includes('{{ 7 * 191 }}')") is True
    assert browser.run("document.querySelectorAll('img, iframe, main script').length") == 0
    assert browser.requested() == [pages["hostile"].absolute().as_uri()]
    assert browser.complaints() == []
    attacked = pages["session"].with_name("attacked.html")
    text = pages["session"].read_text(encoding="utf-8")
    added = "<script>window.owned = 1</script><img src='https://example.com/x.png' onerror='window.owned = 1'>"
    attacked.write_text(text.replace("</main>", f"{added}</main>"), encoding="utf-8")
    browser.open(attacked)
    assert browser.run("window.owned") is None
    assert browser.run(DRAWN) == "6"
    assert any("Content Security Policy" in complaint for complaint in browser.complaints())


def test_an_empty_page_says_so_and_a_chart_of_one_point_shows_the_span_and_not_a_year_around_it(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    browser.screen(1280, 900)
    browser.open(pages["empty"])
    text = browser.run("document.body.innerText")
    assert "No strategy traded or held anything in this span." in text
    assert "No position had a liquidation price." in text
    assert browser.complaints() == []

    def one(session: GridSession) -> None:
        session.start()
        session.balance("1000")
        session.balance("1001")

    store(tmp_path, one)
    asked, facts = facts_of(tmp_path, account="one")
    page = render(figures_from(asked, replace(facts, wallet_curve=facts.wallet_curve[:1])), MADE_MS)
    (tmp_path / "one.html").write_text(page, encoding="utf-8")
    browser.open(tmp_path / "one.html")
    shown = browser.run("[...document.querySelectorAll('[data-shown]')].map((place) => place.dataset.shown)")
    assert {*shown} == {f"{asked.from_ms / 1000:.16g},{asked.to_ms / 1000:.16g}"}
