"""What changed between two status models, as few values as possible, for pages that have the first. Pure.

A change is `[path, value]`: the value at a path of names and numbers is this one now. What is gone is `[path]`. A list
of another length is sent whole: its rows have no names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["apply_changes", "changes", "shown"]

Change = list[Any]
Path = tuple[str | int, ...]


def shown(model: dict[str, Any]) -> dict[str, Any]:
    """The model without the counts that are for `/metrics` alone: they change each second, and no page shows them."""
    rows = [{key: value for key, value in row.items() if key != "counts"} for row in model["accounts"]]
    return {**model, "accounts": rows}


def changes(before: Any, after: Any) -> list[Change]:
    """What makes `after` of `before`, both JSON values."""
    return list(_between(before, after, ()))


def _between(before: Any, after: Any, path: Path) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() - after.keys():
            yield [[*path, name]]
        for name, value in after.items():
            if name in before:
                yield from _between(before[name], value, (*path, name))
            else:
                yield [[*path, name], value]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _between(old, new, (*path, number))
    elif type(before) is not type(after) or before != after:
        yield [list(path), after]


def apply_changes(model: Any, made: Sequence[Change]) -> Any:
    """The model after the changes; the given one may be changed, too. As `static/live.js` does it."""
    for path, *value in made:
        if not path:
            model = value[0]
            continue
        place = model
        for part in path[:-1]:
            place = place[part]
        if value:
            place[path[-1]] = value[0]
        else:
            del place[path[-1]]
    return model
