"""The page as text: words of others are data, nothing is loaded, nothing but our own script may run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib
from pathlib import Path

import pytest

from gridbot.report import page_assets
from gridbot.report.figures import figures_from
from gridbot.report.report_page import render
from tests.report import hostile_session
from tests.report.grid_session import GridSession, facts_of, store, trade
from tests.report.hostile_session import HOSTILE, SECRET

MADE_MS = 1_700_000_000_000


def plain(session: GridSession) -> None:
    trade(session)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pages")
    store(directory, plain, hostile_session.hostile)
    return directory


@pytest.fixture(scope="module")
def page(records: Path) -> str:
    return render(figures_from(*facts_of(records, account="plain")), MADE_MS)


@pytest.fixture(scope="module")
def hostile(records: Path) -> str:
    return render(figures_from(*facts_of(records, account="hostile")), MADE_MS)


def test_the_headline_and_the_split_are_on_the_page(page: str) -> None:
    for text in (
        "+3.81 USDT",
        "+0.38 % of 1,000.00 USDT",
        "2 pairs closed, before fees",
        "The parts add up to the change of equity, to the cent.",
        "BTCUSDT 100 → 101",
        "18.37 %",
        "x0.011 (multiple of the wallet)",
    ):
        assert text in page, text


def test_the_policy_allows_our_script_and_style_and_nothing_else(page: str) -> None:
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    for text in (style, script):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert page.index("Content-Security-Policy") < page.index("<style>")


@pytest.mark.parametrize("which", ["page", "hostile"])
def test_nothing_is_loaded_and_nothing_is_handled_inline(which: str, request: pytest.FixtureRequest) -> None:
    text: str = request.getfixturevalue(which)
    markup = re.sub(r"<(script|style)[^>]*>.*?</\1>|<!--.*?-->", "", text, flags=re.DOTALL)
    tags = re.findall(r"<[a-zA-Z][^>]*>", markup)
    assert {tag for tag in tags if re.search(r"\s(on\w+|src|style|srcset|action)\s*=", tag)} == set()
    assert {tag for tag in tags if re.match(r"<(link|img|iframe|object|embed|base|form|import)\b", tag)} == set()
    assert all(href.startswith("#") for tag in tags for href in re.findall(r'href="([^"]*)"', tag))
    assert len(re.findall(r"<script\b", text)) == 2, "the charts' data, and our own script"


def test_words_of_others_are_shown_and_not_run(hostile: str) -> None:
    for word in HOSTILE:
        assert word not in hostile, word
    assert "&lt;script&gt;window.owned = 1&lt;/script&gt;" in hostile
    [data] = re.findall(r'<script type="application/json" id="chart-data">(.*?)</script>', hostile, re.DOTALL)
    assert json.loads(data)["charts"]


def test_secrets_of_a_configuration_are_left_out(hostile: str, page: str) -> None:
    assert SECRET not in hostile
    assert "never" not in re.sub(r"<script.*", "", page, flags=re.DOTALL).split('id="settings"')[1].split("<dl>")[0]


def test_an_install_has_the_files_of_the_page() -> None:
    home = Path(page_assets.__file__).parent
    settings = tomllib.loads((home.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["gridbot.report"]
    installed = {path for pattern in patterns for path in home.glob(pattern)}
    there = {path for path in home.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert installed == there


def test_the_licence_of_what_is_copied_goes_with_it(page: str) -> None:
    assert "Permission is hereby granted, free of charge" in page
    assert f"v{page_assets.UPLOT_VERSION}" in page_assets.script().splitlines()[0]


def test_uplot_is_as_its_authors_have_published_it() -> None:
    """SHA-256 of the files of the npm package uplot 1.6.32, whose integrity is in `vendor/uplot/ORIGIN`."""
    home = Path(page_assets.__file__).parent / "vendor" / "uplot"
    told = dict(line.split() for line in (home / "ORIGIN").read_text(encoding="utf-8").splitlines() if ".min." in line)
    assert set(told) == {"uPlot.iife.min.js", "uPlot.min.css"}
    for name, digest in told.items():
        assert hashlib.sha256((home / name).read_bytes()).hexdigest() == digest
