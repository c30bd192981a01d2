"""When the page shows something, in a real browser: loaded anew several times, medians."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, Final

from supervisor.cli.open_page import FORM
from supervisor.web.logins import make_code
from tests.real_browser import Chromium, missing

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
    if reason := missing():
        return {"first_paint_ms": f"not measured: {reason}"}
    profile.mkdir()
    chromium = Chromium(whole=True)
    try:
        browser = chromium.browser()
        browser.screen(1600, 1000)
        form = profile / "form.html"
        form.write_text(FORM.format(url=url, code=make_code(data_dir, "bench")))
        browser.go(form.as_uri())
        browser.shows(f"document.querySelectorAll('tr.account').length >= {accounts}", "the fleet")
        browser.before_each_page(WATCH.replace("ROWS", str(accounts)))
        paints, rows = [], []
        for _ in range(times):
            browser.go("about:blank")
            browser.go(f"{url}/")
            browser.shows(f"window.rowsAt && {PAINT}", "the rows")
            paints.append(float(browser.run(PAINT)))
            rows.append(float(browser.run("window.rowsAt")))
        return {
            "first_paint_ms": round(statistics.median(paints), 1),
            "rows_shown_ms": round(statistics.median(rows), 1),
        }
    finally:
        chromium.close()
