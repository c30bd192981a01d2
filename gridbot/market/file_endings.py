"""What the end of a file's name says: how the file is read, and whether it is packed. Capitals are as good. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["ANSWERS", "ENDINGS", "RECORDS", "kind_of", "packing_of", "unit_of"]

LINES: Final = (".csv", ".jsonl")
PACKABLE: Final = (".csv", ".json", ".jsonl")
WHOLE: Final = (".parquet", ".feather", ".duckdb")
PACKED: Final = (".gz", ".zst")
ANSWERS: Final = (".json", ".jsonl")
RECORDS: Final = (".duckdb",)
ENDINGS: Final = f"{', '.join(PACKABLE)} (each perhaps with .gz or .zst after it), {', '.join(WHOLE)}"


def kind_of(path: Path) -> str | None:
    """The ending that says how a file is read, such as `.csv` of `x.CSV.gz`; None where there is no such ending."""
    endings = [ending.lower() for ending in path.suffixes[-2:]]
    if endings and endings[-1] in PACKED:
        return endings[0] if len(endings) > 1 and endings[0] in PACKABLE else None
    return endings[-1] if endings and endings[-1] in (*PACKABLE, *WHOLE) else None


def packing_of(path: Path) -> str | None:
    """`.gz` or `.zst`; None of a file that is not packed."""
    ending = path.suffix.lower()
    return ending if ending in PACKED else None


def unit_of(path: Path) -> str:
    """What a place in a file is called: a line where it is a text of lines, else a row."""
    return "line" if kind_of(path) in LINES else "row"
