"""Whole rooms of the paper exchange are pure: a new module of them is, unless it is named here as a shell.

Pure means: nothing that does I/O, reads a clock or draws randomness of its own, and nothing of ours that does. The
arrows between the rooms go one way, as drawn in `gridbot/paper/__init__.py`.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from gridbot.paper.api.dispatch import ROUTES
from tests.case_table import case_table

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "gridbot" / "paper"
PURE_ROOMS = ("accounts", "api", "calls", "engine", "ledger", "market", "params", "rows", "stops", "worth")
SHELLS: frozenset[str] = frozenset()
PURE_MODULES = {"api_error", "faults.fault_config", "faults.fault_plan", "settings"} | {
    "storage.kept_state",
    "storage.state_records",
}
FORBIDDEN = set(
    """
    aiohttp asyncio concurrent duckdb gzip logging multiprocessing os psutil pybit secrets select shutil signal socket
    sqlite3 subprocess sys tempfile threading time urllib.request urllib3 uuid
    """.split()  # noqa: SIM905 - a list of strings is no easier to read
)
FORBIDDEN_CALLS = ("datetime.now", ".utcnow", "open(", ".read_text(", ".read_bytes(", ".write_text(", ".write_bytes(")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PAPER).with_suffix("").parts)


MODULES = {module_name(path): path for path in sorted(PAPER.rglob("*.py")) if path.name != "__init__.py"}
PURE = sorted(
    name for name in MODULES if (name.partition(".")[0] in PURE_ROOMS and name not in SHELLS) or name in PURE_MODULES
)


def imported(module: str) -> set[str]:
    """Modules that a module imports: ours without `gridbot.paper.`, others by their dotted names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {name.removeprefix("gridbot.paper.") for name in names if name.startswith("gridbot.paper.")}
    return {name for name in ours if name in MODULES} | {name for name in names if not name.startswith("gridbot.paper")}


@case_table("module", PURE)
def test_pure_modules(module: str) -> None:
    names = imported(module)
    assert not {name for name in names if name in FORBIDDEN or name.partition(".")[0] in FORBIDDEN}
    assert {name for name in names if name in MODULES} <= set(PURE)
    text = MODULES[module].read_text()
    assert [call for call in FORBIDDEN_CALLS if re.search(rf"(?<![a-z_]){re.escape(call)}", text)] == []


def test_the_named_modules_exist() -> None:
    assert set(MODULES) >= SHELLS | PURE_MODULES
    assert {path.name for path in PAPER.iterdir() if path.is_dir()} >= set(PURE_ROOMS)


def arrows() -> dict[str, set[str]]:
    """Which rooms (and single modules of the ground floor) each room imports."""
    rooms: dict[str, set[str]] = {}
    for module in MODULES:
        room = module.partition(".")[0]
        found = {name.partition(".")[0] for name in imported(module) if name in MODULES}
        rooms.setdefault(room, set()).update(found - {room})
    rooms.pop("__main__")
    return rooms


def drawn_arrows(package: Path = PAPER) -> dict[str, set[str]]:
    """The table in a package's docstring: `room  ->  rooms it imports`, read from the top."""
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    lines = re.findall(r"^ {4}(\w+) +-> +([\w, ]+)$", docstring, re.MULTILINE)
    return {
        room: set() if below.strip() == "nothing" else set(below.replace(" ", "").split(",")) for room, below in lines
    }


def test_rooms_import_what_is_drawn_and_only_what_stands_below() -> None:
    drawn = drawn_arrows()
    assert arrows() == drawn
    order = list(drawn)
    assert [(room, low) for room, below in drawn.items() for low in below if order.index(low) < order.index(room)] == []


def test_rooms_have_fewer_than_a_dozen_modules() -> None:
    counts: dict[str, int] = {}
    for module in MODULES:
        counts[module.partition(".")[0]] = counts.get(module.partition(".")[0], 0) + 1
    assert {room: count for room, count in counts.items() if count > 11} == {}


def test_the_first_word_of_a_path_says_in_which_module_its_call_is() -> None:
    places: dict[str, set[str]] = {}
    for path, route in ROUTES.items():
        call = route.public or route.signed or route.batch
        assert call is not None
        places.setdefault(path.split("/")[2], set()).add(call.__module__.rpartition(".")[2])
    assert places == drawn_arrows(PAPER / "calls")
    assert set().union(*places.values()) == {name.partition(".")[2] for name in MODULES if name.startswith("calls.")}


def test_the_configuration_imports_no_server() -> None:
    code = "import gridbot.paper.settings, gridbot.paper.server.paper_spec, sys; print('aiohttp' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PAPER.parents[1]
    )
    assert done.stdout.strip() == "False"


def test_files_stay_short() -> None:
    assert [path.name for path in PAPER.rglob("*.py") if len(path.read_text().splitlines()) > 400] == []
