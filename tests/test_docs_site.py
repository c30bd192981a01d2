"""The site of the docs without building it: every page has its place, links lead somewhere, nothing foreign is loaded.

`bin/docs` builds it strictly, outside the suite; with GRIDBOT_DOCS=1 (`bin/test --long`) the last test does.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.tools.foreign_assets import foreign_assets, foreign_in
from docs.tools.notebook_pages import page_of
from docs.tools.pictures import LARGEST_BYTES, VIEWS
from docs.tools.site_pages import anchors, first_page, for_the_site, links

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
NOTEBOOKS = {path.relative_to(DOCS).as_posix(): json.loads(path.read_text()) for path in DOCS.rglob("*.ipynb")}


class _Lenient(yaml.SafeLoader):
    """Takes the tags by which mkdocs.yml names a function of Python for nothing."""


_Lenient.add_multi_constructor("!!python/", lambda loader, suffix, node: suffix)
_Lenient.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def in_navigation(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in in_navigation(part)]


def test_every_page_and_notebook_is_in_the_navigation_once() -> None:
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), _Lenient)  # noqa: S506 - it is a SafeLoader
    wanted = ["index.md", *PAGES, *(name.replace(".ipynb", ".md") for name in NOTEBOOKS)]
    assert sorted(in_navigation(settings["nav"])) == sorted(wanted)
    assert settings["theme"]["font"] is False
    assert not {"repo_url", "extra_javascript"} & set(settings), "nothing from elsewhere"


def prose_of(notebook: Any) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")


def test_no_link_leads_nowhere() -> None:
    """Of pages, notebooks and the README: to files of the repository, and to headings that are there."""
    texts = {f"docs/{name}": text for name, text in PAGES.items()}
    texts |= {f"docs/{name}": prose_of(notebook) for name, notebook in NOTEBOOKS.items()}
    texts["README.md"] = (ROOT / "README.md").read_text(encoding="utf-8")
    dead = []
    looked = 0
    for name, text in texts.items():
        for link in links(text):
            if re.match(r"[a-z]+:", link):
                continue
            looked += 1
            place, _, anchor = link.partition("#")
            there = (ROOT / name).parent / place if place else ROOT / name
            if not there.exists() or (anchor and anchor not in anchors(there.read_text(encoding="utf-8"))):
                dead.append(f"{name}: {link}")
    assert dead == []
    assert looked > 50


def test_pages_of_the_site_lead_only_to_what_the_site_has() -> None:
    """What is staged from docs/ and the README: a link out of them would be dead there."""
    staged = {name: for_the_site(text, PAGES) for name, text in PAGES.items()}
    staged["index.md"] = first_page((ROOT / "README.md").read_text(encoding="utf-8"), PAGES)
    has = {*staged, *(name.replace(".ipynb", ".md") for name in NOTEBOOKS)}
    has |= {path.relative_to(DOCS).as_posix() for path in (DOCS / "pictures").iterdir()}
    dead = [
        f"{name}: {link}"
        for name, text in staged.items()
        for link in links(text)
        if not re.match(r"[a-z]+:|#", link)
        and (link.partition("#")[0] not in has or (link.partition("#")[2] or None) not in {None, *anchors(
            staged.get(link.partition("#")[0], ""))})
    ]  # fmt: skip
    assert dead == []


PAGE = """# Title
Text of `docs/risk.md` 6.5, of `docs/none.md` and [an `docs/risk.md` link](risk.md).
- a list
  - nested
text [book](notebooks/money.ipynb), [start](../README.md#try)
| a |
|---|
```
- not `docs/risk.md`
```
"""


def test_the_dialect_of_the_site() -> None:
    pages = {"risk.md": "# Risk\n```\n## 6.5 no\n```\n## 6.5 A `403`, and more\n"}
    assert for_the_site(PAGE, pages) == (
        "# Title\nText of [`docs/risk.md` 6.5](risk.md#65-a-403-and-more), of `docs/none.md` and "
        "[an `docs/risk.md` link](risk.md).\n\n- a list\n    - nested\ntext [book](notebooks/money.md), "
        "[start](index.md#try)\n\n| a |\n|---|\n```\n- not `docs/risk.md`\n```\n"
    )
    assert first_page("[a](docs/risk.md) `docs/risk.md` 7", pages) == "[a](risk.md) [`docs/risk.md` 7](risk.md)"


FOREIGN = {
    "a.html": (
        '<link rel="stylesheet" href="https://fonts.example/css"><a href="https://fine.example">read</a>'
        '<img srcset="a.png, //cdn.example/b.png 2x"><style>@import "https://c.example/x.css"</style>'
        '<p style="background: url(//d.example/y)">'
    ),
    "b.css": "@font-face { src: url('https://fonts.example/x.woff2') } a { background: url(data:image/svg+xml,x) }",
    "c.js": 'load("https://cdn.example/x.js"); var svg = "http://www.w3.org/2000/svg"; // https://remark.example',
    "d.html": '<pre class="mermaid">graph</pre><script src="own.js"></script>',
    "e.svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="https://e.example/z.png"/></svg>',
}


def test_what_a_site_would_load_from_elsewhere_is_found(tmp_path: Path) -> None:
    for name, text in FOREIGN.items():
        (tmp_path / name).write_text(text)
    assert foreign_assets(tmp_path) == [
        "a.html: https://fonts.example/css", "a.html: //cdn.example/b.png", "a.html: https://c.example/x.css",
        "a.html: //d.example/y", "b.css: https://fonts.example/x.woff2", "c.js: cdn.example",
        "d.html: a mermaid diagram, whose script is elsewhere", "e.svg: https://e.example/z.png",
    ]  # fmt: skip
    assert foreign_in("own.html", '<script src="assets/own.js"></script><form action="search.html">') == []


def test_a_notebook_that_has_run_is_a_page_with_its_pictures() -> None:
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "text": ["1\n", "2\n"]},
        {"output_type": "display_data", "data": {"image/svg+xml": "<svg/>", "text/plain": "<Figure size 9x4>"}},
        {"output_type": "execute_result", "data": {"text/plain": "7"}},
    ]
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "source": ["# Money\n", "[next](other.ipynb)"]},
        {"cell_type": "code", "source": "print(1)", "outputs": outputs},
        {"cell_type": "code", "source": "", "outputs": []},
    ]
    page, pictures = page_of({"cells": cells}, "money")
    assert page == (
        "# Money\n[next](other.md)\n\n```python\nprint(1)\n```\n\n```text\n1\n2\n```\n\n![curve](money-1.svg)\n\n"
        "```text\n7\n```\n"
    )
    assert pictures == {"money-1.svg": b"<svg/>"}
    failed = {"cell_type": "code", "source": "x", "outputs": [{"output_type": "error", "ename": "E", "evalue": "no"}]}
    with pytest.raises(ValueError, match="money: a cell has raised: E: no"):
        page_of({"cells": [failed]}, "money")


@pytest.mark.parametrize("name", sorted(NOTEBOOKS))
def test_notebooks_lie_in_git_without_outputs(name: str) -> None:
    code = [cell for cell in NOTEBOOKS[name]["cells"] if cell["cell_type"] == "code"]
    assert len(code) > 4
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


def test_the_pictures_are_those_of_the_script_small_and_shown() -> None:
    pictures = {path.name: path.stat().st_size for path in (DOCS / "pictures").iterdir()}
    assert set(pictures) == {f"{view.name}-{colours}.webp" for view in VIEWS for colours in ("light", "dark")}
    assert {name: size for name, size in pictures.items() if size > LARGEST_BYTES} == {}
    shown = {Path(link).name for text in PAGES.values() for link in links(text)}
    assert set(pictures) <= shown


@pytest.mark.skipif(not os.environ.get("GRIDBOT_DOCS"), reason="bin/test --long, or GRIDBOT_DOCS=1: builds the site")
def test_the_site_is_built(tmp_path: Path) -> None:
    """Strictly, with the notebooks run, by the script that people use; it refuses anything foreign itself."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [ROOT / "bin" / "docs", "--out", tmp_path / "site"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    for page in (*PAGES, *NOTEBOOKS):
        assert (tmp_path / "site" / Path(page).with_suffix(".html")).exists()
    assert foreign_assets(tmp_path / "site") == []
