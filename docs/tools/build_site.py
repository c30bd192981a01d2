"""Builds the site of the docs: `bin/docs` runs this in its own environment.

The pages are staged (site_pages.py), the notebooks run (notebook_pages.py), MkDocs builds strictly (a link that leads
nowhere ends it), and what was built is searched for anything that a browser would load from elsewhere.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import tempfile
from pathlib import Path

from docs.tools.foreign_assets import foreign_assets
from docs.tools.notebook_pages import page_of, run_notebook
from docs.tools.site_pages import first_page, for_the_site

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def stage(place: Path, *, notebooks: bool = True) -> None:
    """Put the pages of the site into a directory."""
    pages = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
    for name, text in pages.items():
        (place / name).write_text(for_the_site(text, pages), encoding="utf-8")
    (place / "index.md").write_text(
        first_page((ROOT / "README.md").read_text(encoding="utf-8"), pages), encoding="utf-8"
    )
    shutil.copytree(DOCS / "pictures", place / "pictures")
    shutil.copy(Path(__file__).with_name("site.css"), place)
    (place / "notebooks").mkdir()
    for path in sorted((DOCS / "notebooks").glob("*.ipynb")) if notebooks else ():
        tell(f"running {path.relative_to(ROOT)}")
        with tempfile.TemporaryDirectory(prefix="gridbot-notebook-") as directory:
            page, pictures = page_of(run_notebook(path, Path(directory), ROOT), path.stem)
        (place / "notebooks" / f"{path.stem}.md").write_text(page, encoding="utf-8")
        for name, content in pictures.items():
            (place / "notebooks" / name).write_bytes(content)


def build(site: Path) -> list[str]:
    """Build the site there; what is wrong with it (MkDocs itself raises `Abort` for what it finds)."""
    from mkdocs.commands.build import build as mkdocs_build
    from mkdocs.config import load_config

    with tempfile.TemporaryDirectory(prefix="gridbot-docs-") as place:
        stage(Path(place))
        config = load_config(str(ROOT / "mkdocs.yml"), docs_dir=place, site_dir=str(site), strict=True)
        mkdocs_build(config)
    return foreign_assets(site)


def serve(site: Path, port: int) -> None:
    """The site on loopback until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        tell(f"http://127.0.0.1:{server.server_port} until Ctrl-C")
        server.serve_forever()


def tell(text: str) -> None:
    print(f"docs: {text}", flush=True)


def main(arguments: list[str]) -> int:
    """The exit code: 0, or 1 with what is wrong."""
    parser = argparse.ArgumentParser(prog="bin/docs", description="Build the site of the docs.")
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="where it is built (default: site/)")
    parser.add_argument("--serve", nargs="?", type=int, const=8798, metavar="PORT", help="then show it on loopback")
    given = parser.parse_args(arguments)
    wrong = build(given.out.absolute())
    for line in wrong:
        print(f"docs: expected a site that loads nothing from elsewhere, got {line}", file=sys.stderr)
    if wrong:
        return 1
    tell(f"built {given.out}")
    if given.serve is not None:
        serve(given.out, given.serve)
    return 0


if __name__ == "__main__":
    import logging

    from mkdocs.exceptions import Abort

    logging.basicConfig(level=logging.INFO, format="docs: %(levelname)s %(message)s", stream=sys.stderr)
    try:
        sys.exit(main(sys.argv[1:]))
    except Abort as error:
        sys.exit(f"docs: the build ended: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
