"""Script, style and template of the page, and the policy that lets nothing else run.

The page's Content-Security-Policy names script and style by their SHA-256: what is not one of ours is not executed,
and nothing is loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

__all__ = ["UPLOT_VERSION", "licence", "policy", "safe_json", "script", "style", "template"]

UPLOT_VERSION: Final = "1.6.32"
_HERE: Final = "gridbot.report"


@cache
def _read(name: str) -> str:
    return files(_HERE).joinpath(name).read_text(encoding="utf-8")


def script() -> str:
    """uPlot, then what draws our charts with it."""
    return f"{_read('vendor/uplot/uPlot.iife.min.js')}\n{_read('assets/charts.js')}"


def style() -> str:
    """uPlot's style, then ours."""
    return f"{_read('vendor/uplot/uPlot.min.css')}\n{_read('assets/page.css')}"


def licence() -> str:
    """uPlot's licence, which goes with every copy of it."""
    return _read("vendor/uplot/LICENSE")


def template() -> str:
    """The page as a Jinja template."""
    return _read("assets/page.html.j2")


def policy() -> str:
    """The Content-Security-Policy of the page."""
    return (
        f"default-src 'none'; script-src {_hash(script())}; style-src {_hash(style())}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def safe_json(value: Any) -> str:
    """JSON that can stand in a script element: no sign of it begins or ends an element."""
    text = orjson.dumps(value).decode()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
