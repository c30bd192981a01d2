"""Files and directories are made by `gridbot.private_files`, so that nobody else can read or write them."""

from __future__ import annotations

import ast
from functools import cache

from tests.house.source import MODULES, tree, walk

# Modules that make some in another way, each with its reason.
OTHERS = {
    "gridbot.private_files": "the one way",
    "gridbot.state.lock_directory": "opens below the descriptor of its own directory, with the same flags and mode",
    "gridbot.store.bulk": "a memory file, and NamedTemporaryFile, which is private",
    "supervisor.cli.sql": "a file that the user has named, for whoever they like",
}
MAKES = frozenset({"mkdir", "makedirs", "write_text", "write_bytes", "copyfile", "copy", "copy2", "copytree", "mkfifo"})
SHUTIL = frozenset({"copyfile", "copy", "copy2", "copytree"})


def _makes(node: ast.Call) -> bool:
    function, words = node.func, [*node.args, *(keyword.value for keyword in node.keywords)]
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    owner = getattr(getattr(function, "value", None), "id", "")
    if name in MAKES:
        return name not in SHUTIL or owner == "shutil"
    if name == "open" and owner == "os":
        return any("O_CREAT" in ast.unparse(word) for word in words)
    texts = [word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    return name == "open" and any(set(text) & set("wax") and set(text) <= set("rwaxbt+") for text in texts)


@cache
def _makers() -> tuple[str, ...]:
    """Module and line of each call that makes one."""
    return tuple(
        f"{module}:{node.lineno}"
        for module in MODULES
        for node in walk(tree(module))
        if isinstance(node, ast.Call) and _makes(node)
    )


def test_files_and_directories_are_made_in_one_way() -> None:
    assert [place for place in _makers() if place.partition(":")[0] not in OTHERS] == []


def test_no_exception_is_stale() -> None:
    found = {place.partition(":")[0] for place in _makers()}
    assert sorted(OTHERS.keys() - found) == []


def test_the_check_sees_each_way() -> None:
    for text in (
        *('open(p, "w")', 'p.open("ab")', "p.mkdir(parents=True)", 'p.write_text("")', "os.makedirs(p)"),
        *("os.open(p, os.O_RDWR | os.O_CREAT)", "shutil.copyfile(a, b)", 'open(p, mode="x")'),
    ):
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        assert _makes(call), text
    for text in ('open(p, "rb")', "os.open(p, os.O_RDONLY)", "rows.copy()", 'tables.open("days")'):
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        assert not _makes(call), text
