"""Table files as batches of text, with the numbers of lines as an editor counts."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from gridbot.market import table_files
from gridbot.market.market_error import MarketError
from gridbot.market.table_files import csv_rows, read_table
from gridbot.market.text_columns import Rows


def rows(text: str) -> list[Rows]:
    return list(csv_rows(io.BytesIO(text.encode())))


def cells(found: list[Rows], name: str) -> list[str]:
    return [word for part in found for word in part.columns[name].to_pylist()]


def numbers(found: list[Rows]) -> list[int]:
    return [int(number) for part in found for number in part.numbers]


def test_lines_are_counted_as_an_editor_does() -> None:
    found = rows("\ufeffa,b\r\n1,2\r\n\r\na,b\r\n3,4")
    assert cells(found, "a") == ["1", "3"]
    assert cells(found, "b") == ["2", "4"]
    assert numbers(found) == [2, 5]


def test_blocks_are_cut_at_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "BLOCK", 16)
    lines = [f"{at},{at * at}" for at in range(300)]
    lines[100] = "bad"
    found = rows("a,b\n" + "\n".join(lines))
    assert cells(found, "b") == [str(at * at) for at in range(300) if at != 100]
    assert numbers(found) == [at + 2 for at in range(300) if at != 100]
    assert [one for part in found for one in part.broken] == [(102, "expected 2 columns, got 1: 'bad'")]


def test_metatrader_files_have_no_names() -> None:
    found = rows("2026.09.01 03:00,1,2,0.5,1.5,7\n")
    assert (cells(found, "time"), cells(found, "volume"), numbers(found)) == (["2026.09.01 03:00"], ["7"], [1])
    assert list(rows("2026.09.01,03:00,1,2,0.5,1.5,7\n")[0].columns)[:2] == ["day", "clock"]


def test_a_file_with_names_alone_has_no_rows() -> None:
    (found,) = rows("a,b\n")
    assert len(found) == 0
    assert list(found.columns) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "expected a line with the names of the columns, got nothing"),
        (b"\n", "expected a line with the names of the columns, got an empty one"),
        (b"a,a\n1,2\n", "line 1: expected names of columns that differ, got 'a' twice"),
        (b"a,b\n1,2\n\xff,3\n", "line 3: expected text in UTF-8, got byte 0xff"),
        ("a,b\n1,2\n".encode("utf-16"), "line 1: expected text in UTF-8, got UTF-16; convert it: iconv -f UTF-16"),
        (
            b"a,b\r1,2\r",
            r"line 1: expected lines that end with \n or \r\n, got \r alone, as of old Macs; convert it: tr",
        ),
        (b"a,b\n1,2\r3,4\n", r"line 2: expected one row, got a \r in the middle of the line"),
        (b'a,b\n1,2\n"3,4\n5,6",7\n8,9\n', "line 3: expected the row to end with its line, got a quotation mark"),
        (b'a,b\n1,2\n3,"4\n5,6\n', "line 3: expected the row to end with its line, got a quotation mark"),
        (b"a\0b,c,d,e,f\n", "line 1: expected text in UTF-8, got a byte of zero, which no text has"),
        (b"a" * 200_000, "line 1: expected the names of the columns, got 200000 bytes or more"),
        (b"a;b\n1;2\n", "line 1: expected commas between the columns, got ';'"),
        (b"5,6.1\n7,8\n", "line 1: expected the names of the columns, got numbers: '5, 6.1'; put a line"),
        (b"a" + b",a" * 2000, "line 1: expected at most 1000 columns"),
        (b"a,b\n" + b"x" * (1 << 21), "line 2: expected lines of at most"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text)
    with pytest.raises(MarketError) as caught:
        list(read_table(path))
    assert str(caught.value).startswith(f"{path}: cannot be read: ")
    assert words in str(caught.value)


def test_packed_files(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    (tmp_path / "x.csv.zst").write_bytes(pa.Codec("zstd").compress(b"a,b\n1,2\n", asbytes=True))
    for name in ("x.csv.gz", "x.csv.zst"):
        assert cells(list(read_table(tmp_path / name)), "b") == ["2"]


def test_a_packed_file_that_was_cut_or_changed_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    changed = bytearray(whole)
    changed[-6] ^= 1  # of the checksum
    for number, data in enumerate((whole[:-20], bytes(changed), b"no gzip")):
        path = tmp_path / f"{number}.csv.gz"
        path.write_bytes(data)
        with pytest.raises(MarketError, match=r"csv\.gz: cannot be read"):
            list(read_table(path))


def test_parquet_and_feather(tmp_path: Path) -> None:
    table = pa.table({"a": [1.5, 2.25], "b": ["x", "y"], "c": [[1], [2]]})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    pyarrow.feather.write_feather(table, str(tmp_path / "x.feather"))
    for name in ("x.parquet", "x.feather"):
        found = list(read_table(tmp_path / name))
        assert (cells(found, "a"), cells(found, "b"), numbers(found)) == (["1.5", "2.25"], ["x", "y"], [1, 2])
        assert "c" not in found[0].columns
    pyarrow.parquet.write_table(table.rename_columns(["a", "a", "c"]), tmp_path / "x.parquet")
    with pytest.raises(MarketError, match="expected names of columns that differ, got 'a' twice"):
        list(read_table(tmp_path / "x.parquet"))
    for name in ("x.parquet", "x.feather"):
        (tmp_path / name).write_bytes(b"PAR1 no more")
        with pytest.raises(MarketError, match="cannot be read"):
            list(read_table(tmp_path / name))


def test_a_feather_file_that_shrinks_meanwhile_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.feather"
    table = pa.table({"time": pa.array(range(300_000), pa.int64())})
    pyarrow.feather.write_feather(table, str(path), compression="uncompressed")
    found = read_table(path)
    parts = [next(found)]
    os.truncate(path, 1000)
    assert numbers([*parts, *found]) == list(range(1, 300_001))
