"""What a built site would load from elsewhere: fonts, scripts, pictures of others. A site of ours loads nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

# Attributes by which a browser loads something by itself; a link in the text (a href) is only followed by a reader.
LOADING = {
    "script": ("src",), "img": ("src", "srcset"), "link": ("href",), "iframe": ("src",), "source": ("src", "srcset"),
    "video": ("src", "poster"), "audio": ("src",), "embed": ("src",), "object": ("data",), "input": ("src",),
    "form": ("action",), "use": ("href", "xlink:href"), "image": ("href", "xlink:href"), "base": ("href",),
}  # fmt: skip
FOREIGN = re.compile(r"(?:^|[\s,])(?:https?:)?//(?!www\.w3\.org/)[^\s,]+")
IN_STYLES = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")]+)")
IN_SCRIPTS = re.compile(r"""["'`](?:https?:)?//([a-z0-9-]+(?:\.[a-z0-9-]+)+)""")
SCRIPTS_MAY_NAME = {
    "unpkg.com": "the theme's script has it for pages with a mermaid diagram; `mermaid` below refuses such a page",
    "api.github.com": "asked for the stars of a `repo_url`; mkdocs.yml names none",
    "gitlab.com": "the same",
    "www.w3.org": "the name of a format, never an address",
}
MERMAID = re.compile(r"class=\"[^\"]*\bmermaid\b")


class _Loads(HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.styles: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name in LOADING.get(tag, ()):
            self.found += FOREIGN.findall(given.get(name, ""))
        self.styles.append(given.get("style", ""))
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def foreign_in(name: str, text: str) -> list[str]:
    """What this file would load from elsewhere, by the end of its name: .html, .svg, .css or .js."""
    if name.endswith((".html", ".svg")):
        page = _Loads()
        page.feed(text)
        page.close()
        found = [*page.found, *(style for part in page.styles for style in IN_STYLES.findall(part))]
        return [*found, *(["a mermaid diagram, whose script is elsewhere"] if MERMAID.search(text) else [])]
    if name.endswith(".css"):
        return IN_STYLES.findall(text)
    if name.endswith(".js"):
        return [host for host in IN_SCRIPTS.findall(text) if host not in SCRIPTS_MAY_NAME]
    return []


def foreign_assets(site: Path) -> list[str]:
    """Of all files of a site: `page.html: https://fonts.example/...`."""
    return [
        f"{path.relative_to(site)}: {what.strip()}"
        for path in sorted(site.rglob("*"))
        if path.suffix in {".html", ".svg", ".css", ".js"}
        for what in foreign_in(path.name, path.read_text(encoding="utf-8"))
    ]
