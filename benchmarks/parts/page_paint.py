"""When the page shows something, in a real browser: loaded anew several times, medians."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, Final

from supervisor.cli.open_page import FORM
from supervisor.web.logins import make_code
from tests.report.browser import INSTALL, Browser, find_browser

__all__ = ["first_paints"]

WATCH: Final = """
window.rowsAt = null;
new MutationObserver(() => {
  const rows = document.querySelectorAll('tr.account').length;
  if (window.rowsAt === null && rows >= ROWS) window.rowsAt = performance.now();
}).observe(document, { subtree: true, childList: true });
"""
PAINT: Final = "(performance.getEntriesByName('first-contentful-paint')[0] || {startTime: null}).startTime"


def first_paints(url: str, data_dir: Path, accounts: int, times: int, profile: Path) -> dict[str, Any]:
    """Milliseconds until something is seen, and until all accounts are; without a Chromium, why there are none."""
    program = find_browser()
    if program is None:
        return {"first_paint_ms": f"not measured: there is no Chromium ({INSTALL})"}
    profile.mkdir()
    browser = Browser(program, profile)
    try:
        browser.screen(1600, 1000)
        form = profile / "form.html"
        form.write_text(FORM.format(url=url, code=make_code(data_dir, "bench")))
        browser.send("Page.navigate", url=form.as_uri())
        _until_rows(browser, accounts)
        browser.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH.replace("ROWS", str(accounts)))
        paints, rows = [], []
        for _ in range(times):
            browser.send("Page.navigate", url="about:blank")
            browser.send("Page.navigate", url=f"{url}/")
            browser.until(lambda: _value(browser, "window.rowsAt") and _value(browser, PAINT), "the rows")
            paints.append(float(_value(browser, PAINT)))
            rows.append(float(_value(browser, "window.rowsAt")))
        return {
            "first_paint_ms": round(statistics.median(paints), 1),
            "rows_shown_ms": round(statistics.median(rows), 1),
        }
    finally:
        browser.close()


def _until_rows(browser: Browser, accounts: int) -> None:
    count = f"document.querySelectorAll('tr.account').length >= {accounts}"
    browser.until(lambda: _value(browser, count), "the fleet")


def _value(browser: Browser, script: str) -> Any:
    """None while the browser is between two pages."""
    try:
        return browser.run(script)
    except AssertionError:
        return None
