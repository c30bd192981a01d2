"""axe-core in a page that a browser shows: what it finds that keeps people out. Without the package, tests skip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.real_browser import Browser

HERE = Path(__file__).parent / "axe"
SCRIPT = HERE / "node_modules" / "axe-core" / "axe.min.js"
INSTALL = "npm ci --prefix tests/supervisor/web/axe --ignore-scripts --no-audit --no-fund"
needs_axe = pytest.mark.skipif(not SCRIPT.is_file(), reason=f"needs axe-core: {INSTALL}")
SERIOUS = ("serious", "critical")


def barriers(browser: Browser, *rules: str) -> list[str]:
    """Serious findings on the page as it is, one line each: rule, place, what is wrong. By all rules unless named."""
    if not browser.run("typeof axe === 'object'"):
        browser.run(f"{SCRIPT.read_text(encoding='utf-8')};0")
    how = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found: list[dict[str, Any]] = browser.run(f"axe.run(document, {json.dumps(how)})")["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]}: {node['failureSummary'][:300]}"
        for rule in found
        for node in rule["nodes"]
        if node["impact"] in SERIOUS
    ]
