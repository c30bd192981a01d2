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
    """All views together: as they are sent (packed), as they are read, and without uPlot."""
    files = page_files()
    assert sum(len(file.packed) for file in files.values()) < 80_000
    assert sum(len(file.body) for file in files.values()) < 200_000
    assert sum(len(file.body) for name, file in files.items() if not name.startswith("vendor/uplot/")) < 147_000
    assert files["app.js"].body.count(b"\n") == (STATIC / "app.js").read_bytes().count(b"\n"), (
        "its lines keep their numbers"
    )
    assert all(gzip.decompress(file.packed) == file.body for file in files.values())


async def test_files_are_sent_packed_to_those_who_can_read_that(tmp_path):
    file = page_files()["app.js"]
    async with PageKit(tmp_path) as kit:
        async with kit.request("GET", "/static/app.js", {"Accept-Encoding": "identity"}) as answer:
            assert (answer.headers.get("Content-Encoding"), await answer.read()) == (None, file.body)
        async with kit.request("GET", "/static/app.js", {"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert int(answer.headers["Content-Length"]) == len(file.packed)
            assert await answer.read() == file.body
        assert await kit.status("GET", "/static/app.js", {"If-None-Match": file.tag}) == 304


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
