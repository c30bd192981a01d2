"""A notebook, run from its first cell to its last, as a page of the site.

The notebooks lie without outputs in git. nbclient runs each in a kernel of its own, in an empty directory, so what the
page shows is what the program says now. A cell that raises ends the build.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any

CELL_TIMEOUT_S = 300
PICTURES = {"image/svg+xml": "svg", "image/png": "png"}


def run_notebook(path: Path, directory: Path, root: Path) -> Any:
    """The notebook with its outputs. `directory` is where its cells run; they find the checkout as GRIDBOT_ROOT."""
    import nbformat
    from nbclient import NotebookClient
    from traitlets.config import Config

    os.environ["GRIDBOT_ROOT"] = str(root)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        # No port that others of the machine could listen to.
        config=Config({"KernelManager": {"transport": "ipc", "ip": str(directory / "kernel")}}),
        timeout=CELL_TIMEOUT_S,
        startup_timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(directory)}},
    ).execute()
    return notebook


def page_of(notebook: Any, name: str) -> tuple[str, dict[str, bytes]]:
    """The Markdown of a notebook that has run, and its pictures by file name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(source.replace(".ipynb)", ".md)"))
        elif source:
            parts.append(f"```python\n{source}\n```")
            for output in cell.get("outputs", ()):
                parts += _shown(output, name, pictures)
    return "\n\n".join(parts) + "\n", pictures


def _shown(output: Any, name: str, pictures: dict[str, bytes]) -> list[str]:
    """One output: text as a block, a picture as a file beside the page."""
    kind = output["output_type"]
    if kind == "stream":
        return [_block("".join(output["text"]))]
    if kind == "error":
        raise ValueError(f"{name}: a cell has raised: {output['ename']}: {output['evalue']}")
    data = output["data"]
    for form, ending in PICTURES.items():
        if form in data:
            file = f"{name}-{len(pictures) + 1}.{ending}"
            content = "".join(data[form])
            pictures[file] = content.encode() if ending == "svg" else base64.b64decode(content)
            said = "".join(data.get("text/plain", ""))
            words = said if re.fullmatch(r"[\w ,.:%-]+", said) else "curve"
            return [f"![{words}]({file})"]
    return [_block("".join(data["text/plain"]))] if data.get("text/plain") else []


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"
