"""The columns of each line of a log, by the kind of its lines: JSON, CSV, or text that an expression takes apart."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gridbot.compare.log_file import LogMistake, log_lines_of
from gridbot.compare.log_map import LogMap
from gridbot.compare.log_values import WrongLine
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import one_line, shown

__all__ = ["Columns"]


class Columns:
    """The columns of each line, by the kind of the lines."""

    def __init__(self, path: Path, meaning: LogMap) -> None:
        self._path = path
        self._meaning = meaning
        self.text = ""
        self.cut = False
        """The last line is being written, and was left out."""

    def lines(self) -> Iterator[tuple[int, Mapping[str, Any] | None, bool]]:
        """(number, columns or None for an empty or foreign line, whether the line is whole)."""
        if self._meaning.lines == "csv":
            yield from self._csv()
            return
        apart = self._json if self._meaning.lines == "json" else self._matched()
        for number, text, ended in log_lines_of(self._path):
            self.text = text
            try:
                columns = apart(text) if text.strip() else None
            except WrongLine as error:
                if not ended:
                    self.cut = True
                    return
                raise LogMistake(f"{self._path} line {number}: {one_line(str(error))}") from error
            yield number, columns, ended

    def _json(self, text: str) -> Mapping[str, Any]:
        try:
            found = read_json(text)
        except JsonMistake as error:
            raise WrongLine(f"{error}, got {shown(text, 60)}") from error
        if not isinstance(found, dict):
            raise WrongLine(f"expected an object of JSON, got {shown(found)}")
        return found

    def _matched(self) -> Callable[[str], Mapping[str, Any] | None]:
        match = re.compile(str(self._meaning.line)).search
        refuse = self._meaning.others == "refuse"

        def apart(text: str) -> Mapping[str, Any] | None:
            found = match(text)
            if found is None and refuse:
                raise WrongLine(f"expected a line that `line` of the map matches, got {shown(text, 60)}")
            return found.groupdict() if found is not None else None

        return apart

    def _csv(self) -> Iterator[tuple[int, Mapping[str, Any] | None, bool]]:
        ended = True

        def texts() -> Iterator[str]:
            nonlocal ended
            for _, text, is_whole in log_lines_of(self._path):
                self.text, ended = text, is_whole
                yield f"{text}\n"

        rows = csv.reader(texts(), delimiter=self._meaning.delimiter, strict=True)
        names = list(self._meaning.columns)
        try:
            for row in rows:
                if not row:
                    continue
                if not names:
                    names = row
                    continue
                if row == names:
                    continue
                if len(row) != len(names):
                    if not ended:
                        self.cut = True
                        return
                    wanted = f"{len(names)} columns ({one_line(', '.join(names))})"
                    raise LogMistake(f"{self._path} line {rows.line_num}: expected {wanted}, got {len(row)}")
                yield rows.line_num, dict(zip(names, row, strict=True)), ended
        except csv.Error as error:
            raise LogMistake(f"{self._path} line {rows.line_num}: expected a row of a CSV file, got {error}") from error
