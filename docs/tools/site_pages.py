"""The pages of docs/ and the README as the site has them: text in, text out.

The pages are written for GitHub. The site's Markdown (Python-Markdown) wants an empty line before a list or a table,
and four spaces before a nested list; and where a page names another one (`docs/risk.md` 6.5), the site has a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

FENCE = re.compile(r"^ *(```|~~~)")
ITEM = re.compile(r"^(?:[-*]|\d+\.) ")
NESTED = re.compile(r"^ {2,3}((?:[-*]|\d+\.) )")
HEADING = re.compile(r"^(#{1,6}) (.+)$")
MENTION = re.compile(r"(?<![\w`])`docs/([\w-]+\.md)`(?: (\d+(?:\.\d+)?)\b)?")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
WHOLE_LINK = re.compile(rf"({LINK.pattern.replace('([', '(?:[')})")
HTML_LINK = re.compile(r"(?:src|srcset|href)=\"([^\"]+)\"")


def lines_of(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is prose: not in a block of code."""
    fenced = False
    for line in text.split("\n"):
        edge = FENCE.match(line) is not None
        yield line, not (fenced or edge)
        fenced ^= edge


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it: `## 6.5 A 403` is #65-a-403."""
    words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return words.replace(" ", "-")


def anchors(text: str) -> list[str]:
    """The anchors of a page's headings."""
    return [slug(found[2]) for line, prose in lines_of(text) if prose and (found := HEADING.match(line))]


def links(text: str) -> list[str]:
    """Where the links of a page lead, outside blocks and pieces of code."""
    prose = "\n".join(re.sub(r"`[^`]*`", "``", line) for line, is_prose in lines_of(text) if is_prose)
    return [*LINK.findall(prose), *HTML_LINK.findall(prose)]


def section(text: str, number: str) -> str:
    """The anchor of the section with this number; empty where the page has none."""
    pattern = re.compile(rf"{re.escape(number)}\.? \S")
    for line, prose in lines_of(text):
        if prose and (found := HEADING.match(line)) and pattern.match(found[2]):
            return slug(found[2])
    return ""


def for_the_site(text: str, pages: Mapping[str, str]) -> str:
    """A page of docs/ with the site's dialect and links. `pages`: the text of every page, by its file's name."""

    def linked(mention: re.Match[str]) -> str:
        page, number = mention[1], mention[2]
        if page not in pages:
            return mention[0]
        anchor = section(pages[page], number) if number else ""
        return f"[{mention[0]}]({page}{'#' if anchor else ''}{anchor})"

    made: list[str] = []
    for line, prose in lines_of(text):
        if prose:
            line = NESTED.sub(r"    \1", line)
            before = made[-1] if made else ""
            starts_list = ITEM.match(line) and before.strip() and not re.match(r"\s|[-*] |\d+\. ", before)
            starts_table = line.startswith("|") and before.strip() and not before.startswith("|")
            if starts_list or starts_table:
                made.append("")
            if not HEADING.match(line):
                parts = WHOLE_LINK.split(line)  # every second part is a link already
                line = "".join(part if n % 2 else MENTION.sub(linked, part) for n, part in enumerate(parts))
            line = re.sub(r"(\]\([\w./-]+)\.ipynb(\)|#)", r"\1.md\2", line).replace("](../README.md", "](index.md")
        made.append(line)
    return "\n".join(made)


def first_page(readme: str, pages: Mapping[str, str]) -> str:
    """The README as the first page: what it finds in docs/ lies beside it there."""
    return for_the_site(re.sub(r"(\]\(|src=\"|srcset=\"|href=\")docs/", r"\1", readme), pages)
