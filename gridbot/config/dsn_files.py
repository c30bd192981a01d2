"""`fleet.dsn_file`: where PostgreSQL is, read from the file that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gridbot.config.errors import Loc, Problem
from gridbot.config.fleet_models import FleetConfig
from gridbot.config.paths import path_fault, placed
from gridbot.config.variables import value_of_file
from gridbot.doors.fleet_dsn import dsn_problem

__all__ = ["read_dsn", "with_dsn"]


def read_dsn(fleet: FleetConfig) -> str:
    """The DSN as it is now: of `dsn_file` what the file has at this moment. Raises ValueError, without the DSN."""
    if fleet.dsn_file is None:
        return fleet.dsn.get_secret_value()
    value, why = value_of_file(str(fleet.dsn_file))
    if not value:
        raise ValueError(f"fleet.dsn_file: expected a file with the DSN, got {why}")
    if (wrong := dsn_problem(value)) is not None:
        raise ValueError(f"fleet.dsn_file: expected {wrong[0]}, got {wrong[1]}; {wrong[2]}")
    return value


def with_dsn(data: dict[str, Any], root: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The raw data with what `fleet.dsn_file` has as `fleet.dsn`, checked. Relative paths start from `root`."""
    fleet = data.get("fleet")
    if not isinstance(fleet, dict) or not fleet.get("host"):
        return data, []
    place: Loc = ("fleet", "dsn")
    filled = dict(fleet)
    if (seed := fleet.get("paper_seed_file")) is not None and isinstance(seed, str) and path_fault(seed) is None:
        filled["paper_seed_file"] = str(placed(root, seed))
    history = fleet.get("history")
    if isinstance(history, str) and history and "://" not in history and path_fault(history) is None:
        filled["history"] = str(placed(root, history))
    if (path := fleet.get("dsn_file")) is not None:
        place = ("fleet", "dsn_file")
        if fleet.get("dsn"):
            return data, [Problem(place, "`dsn` or `dsn_file`", "both", "remove one of the two")]
        if not isinstance(path, str) or (fault := path_fault(path)) is not None:
            what, do = fault if isinstance(path, str) and fault else ("the path of a file", "name the file")
            return data, [Problem(place, what, "something else", do)]
        filled["dsn_file"] = str(placed(root, path))
        value, why = value_of_file(filled["dsn_file"])
        if not value:
            do = "write the DSN into it, for your user alone (chmod 600), or name another file"
            return {**data, "fleet": filled}, [Problem(place, "a file with where PostgreSQL is", why, do)]
        filled["dsn"] = value
    dsn = filled.get("dsn")
    wrong = dsn_problem(dsn) if isinstance(dsn, str) and dsn else None
    problems = [] if wrong is None else [Problem(place, *wrong)]
    return {**data, "fleet": filled}, problems
