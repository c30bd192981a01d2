"""The files of the page: small, ours or as their authors have published them, and nothing from anywhere else."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

from supervisor.web import page_files as module
from supervisor.web.page_files import page_files

from .page_kit import PageKit

STATIC = Path(module.__file__).parent / "static"
VENDOR = STATIC / "vendor" / "htm"


def test_htm_and_preact_are_as_their_authors_have_published_them():
    """SHA-256 of the file of the npm package htm 3.1.1, whose integrity is in `ORIGIN`."""
    lines = (VENDOR / "ORIGIN").read_text(encoding="utf-8").splitlines()
    told = dict(line.split() for line in lines if re.fullmatch(r"\S+ [0-9a-f]{64}", line))
    assert set(told) == {path.name for path in VENDOR.glob("*.js")}
    for name, digest in told.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
    assert "Apache License" in (VENDOR / "LICENSE").read_text(encoding="utf-8")
    assert "Permission is hereby granted" in (VENDOR / "LICENSE-preact").read_text(encoding="utf-8")


def test_the_page_is_small():
    ours = sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file())
    assert ours < 150_000, "all that is below static/, and uPlot is shared with the reports"
    assert sum(len(file.packed) for file in page_files().values()) < 150_000, "all that a browser loads"


async def test_what_a_browser_loads_is_packed_where_it_takes_that_and_the_same_either_way(tmp_path):
    async with PageKit(tmp_path) as kit:
        for taken, encoding in (("gzip, br", "gzip"), ("identity", None)):
            headers = {"Accept-Encoding": taken}
            async with kit.request("GET", "/static/app.js", headers, auto_decompress=False) as answer:
                assert answer.headers.get("Content-Encoding") == encoding
                body, tag = await answer.read(), answer.headers["ETag"]
            assert (gzip.decompress(body) if encoding else body) == page_files()["app.js"].body
            assert await kit.status("GET", "/static/app.js", {**headers, "If-None-Match": tag}) == 304
            other = {**headers, "Accept-Encoding": "identity" if encoding else "gzip"}
            assert await kit.status("GET", "/static/app.js", {**other, "If-None-Match": tag}) == 200


def test_all_files_of_the_page_are_served_but_for_what_is_about_them():
    there = {str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()}
    assert there - page_files().keys() == {f"vendor/htm/{name}" for name in ("ORIGIN", "LICENSE", "LICENSE-preact")}


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs_in_the_markup():
    for name, file in page_files().items():
        text = file.body.decode()
        if not name.startswith("vendor/"):
            assert set(re.findall(r"https?://[^\s\"'<)]+", text)) <= {"http://www.w3.org/2000/svg"}, name
        if name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", text), name
        if name.endswith(".js"):
            assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) or (
                name.startswith("vendor/")
            ), name
            for imported in re.findall(r'from "([^"]+)"', text):
                assert imported.removeprefix("./") in page_files(), f"{name} imports {imported}"
