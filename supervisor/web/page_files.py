"""The files of the page, read once, ours without comments, and the policy that lets nothing else run or load.

What is asked for is looked up by its whole name among them: no path of a request ever reaches the disk. None has a
figure, so they need no login; what shows anything is asked for by their scripts, with one.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

__all__ = ["POLICY", "PageFile", "page_files"]

POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; "
    "img-src 'self' data:"
)
TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is sent, also packed (gzip); `tag` changes with its content."""

    body: bytes
    content_type: str
    tag: str
    packed: bytes


@cache
def page_files() -> dict[str, PageFile]:
    """By name below `static/`, such as `vendor/htm/standalone.module.js`; uPlot is that of the reports."""
    shared = files("gridbot.report").joinpath("vendor")
    return dict(_below(files("supervisor.web").joinpath("static"), "") + _below(shared, "vendor/"))


def _bare(text: str) -> str:
    """Without indentation and lines that are a comment: browsers need neither. Each line keeps its number."""
    return "\n".join("" if line.lstrip().startswith("// ") else line.lstrip() for line in text.split("\n"))


def _below(place: Traversable, name: str) -> list[tuple[str, PageFile]]:
    found: list[tuple[str, PageFile]] = []
    for each in place.iterdir():
        if each.is_dir():
            found += _below(each, f"{name}{each.name}/")
        elif (kind := TYPES.get(each.name.rpartition(".")[2])) is not None:
            body = each.read_bytes() if name.startswith("vendor/") else _bare(each.read_text(encoding="utf-8")).encode()
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found.append((f"{name}{each.name}", PageFile(body, kind, tag, gzip.compress(body, mtime=0))))
    return found
