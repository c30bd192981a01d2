"""Logs and maps of others: what is read, and what ends the reading with file, line, what was expected and what came."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.compare.log_file import LONGEST_LINE, LogMistake
from gridbot.compare.log_map import LogMap, load_map
from gridbot.compare.log_reader import Reading, read_log
from gridbot.compare.log_values import LogRow
from gridbot.config.errors import ConfigError
from tests.examples import examples

MAPS = sorted((Path(__file__).resolve().parents[2] / "conf" / "maps").glob("*.yaml"))
CSV = """
lines: csv
values: {time: t, symbol: s, side: side, direction: leg, price: p, size: q, order: id, action: what, fee: fee}
time_format: ms
"""
HEAD = "t,what,s,side,leg,p,q,id,fee\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path


def mapped(files: Path, text: str) -> LogMap:
    path = files / "map.yaml"
    path.write_text(text)
    return load_map(path)


def read(files: Path, meaning: LogMap, content: str | bytes, reading: Reading | None = None) -> Sequence[LogRow]:
    path = files / "a.log"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_log(path, meaning, reading or Reading()))


def mistake(files: Path, meaning: LogMap, content: str | bytes) -> str:
    with pytest.raises(LogMistake) as caught:
        read(files, meaning, content)
    return str(caught.value).removeprefix(f"{files / 'a.log'}")


@pytest.mark.parametrize("path", MAPS, ids=lambda path: path.stem)
def test_the_shipped_maps_are_right(path: Path) -> None:
    assert load_map(path).actions == {"place", "cancel", "fill"}


def test_a_row_of_a_csv(files: Path) -> None:
    rows = read(files, mapped(files, CSV), f"{HEAD}1700000000123,place,BTCUSDT,buy,LONG,60000.10,0.5,x,-0.01\n")
    price, size = Decimal("60000.10"), Decimal("0.5")
    fee = Decimal("-0.01")
    assert rows == [LogRow(2, "place", 1_700_000_000_123, "BTCUSDT", "long", "Buy", price, size, "x", fee, None)]


def test_nested_json_units_words_and_names(files: Path) -> None:
    meaning = mapped(
        files,
        """
lines: json
values: {time: at, symbol: data.m, side: data.side, closes: data.reduce, price: data.px, size: data.contracts}
always: {action: place}
time_format: "%d.%m.%Y %H:%M:%S"
zone: Europe/Berlin
words: {side: {"1": Buy, "2": Sell}}
symbols: {XBT: BTCUSDT}
units: {price: 0.01, size: 0.001}
""",
    )
    [row] = read(
        files,
        meaning,
        '{"at": "02.07.2026 12:00:00", '
        '"data": {"m": "XBT", "side": 2, "reduce": true, "px": 6000010, "contracts": 500}}\n',
    )
    assert (row.symbol, row.direction, row.side) == ("BTCUSDT", "long", "Sell")
    assert (row.price, row.size) == (Decimal("60000.10"), Decimal("0.500"))
    assert row.at_ms == 1_782_986_400_000, "10:00 UTC: summer time"


@pytest.mark.parametrize(
    ("form", "text", "at_ms"),
    [
        ("iso", "2026-11-02 10:00:00,214", 1_793_613_600_214),
        ("iso", "2026-11-02T10:00:00+01:00", 1_793_610_000_000),
        ("s", "1793613600.2149", 1_793_613_600_214),
        ("us", "1793613600214999", 1_793_613_600_214),
        ("ns", "1793613600214999999", 1_793_613_600_214),
    ],
)
def test_times(files: Path, form: str, text: str, at_ms: int) -> None:
    meaning = mapped(files, CSV.replace("time_format: ms", f"time_format: {form}"))
    [row] = read(files, meaning, f'{HEAD}"{text}",place,BTCUSDT,Buy,long,1,1,x,\n')
    assert row.at_ms == at_ms


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("soon,place,B,Buy,long,1,1,x,", " line 2: expected a time in ms, got 'soon'"),
        ("1,place,B,up,long,1,1,x,", " line 2: expected a side (buy, sell), got 'up'; name it in `words` of the map"),
        ("1,place,B,Buy,long,0,1,x,", " line 2: expected a price above zero and below 1,000,000,000, got '0'"),
        ("1,place,B,Buy,long,1,1_0,x,", " line 2: expected a size above zero and below 1,000,000,000, got '1_0'"),
        ("1,place,,Buy,long,1,1,x,", " line 2: expected a symbol of a place in the column `s`, got none"),
        ("1,fill,B,Buy,long,1,1,x,much", " line 2: expected a number of USDT as fee, got 'much'"),
        ("1,cancel,,,,,,,", " line 2: expected the order, or symbol, side and price, of a cancel, got neither"),
        (",place,B,Buy,long,1,1,x,", " line 2: expected a time in the column `t`, got none"),
        ("1,place", " line 2: expected 9 columns (t, what, s, side, leg, p, q, id, fee), got 2"),
        ('1,"pl"x,B,Buy,long,1,1,x,', " line 2: expected a row of a CSV file, got ',' expected after '\"'"),
        ("99999999999999,place,B,Buy,long,1,1,x,",
         " line 2: expected a time of the years 1970 to 2286, got '99999999999999'; see `time_format`"),
    ],
)  # fmt: skip
def test_what_a_line_must_not_say(files: Path, line: str, said: str) -> None:
    assert mistake(files, mapped(files, CSV), f"{HEAD}{line}\n") == said


def test_other_lines_are_counted_or_refused(files: Path) -> None:
    reading = Reading()
    content = f"{HEAD}1,hello,B,Buy,long,1,1,x,\n1,place,B,Buy,long,1,1,x,\n"
    assert len(read(files, mapped(files, CSV), content, reading)) == 1
    assert (reading.lines, reading.rows, reading.others) == (3, 1, 1)
    refuse = mapped(files, f"{CSV}others: refuse\n")
    assert mistake(files, refuse, content) == " line 2: expected an action (place, cancel, fill, skip), got 'hello'"


def test_json_that_is_none_and_text_that_is_none(files: Path) -> None:
    json_map = mapped(files, "lines: json\nvalues: {time: t, symbol: s, side: b, price: p, size: q, action: a}\n")
    assert mistake(files, json_map, "[1]\n") == " line 1: expected an object of JSON, got a list of 1"
    assert mistake(files, json_map, "{\n").startswith(" line 1: expected JSON: ")
    deep = '{"a": ' + "[" * 300 + "]" * 300 + "}\n"
    assert mistake(files, json_map, deep).startswith(" line 1: expected JSON of at most 200 levels, got more")
    assert mistake(files, json_map, b"\xff\n") == " line 1: expected text in UTF-8, got byte 0xff at 0"
    assert (
        mistake(files, json_map, "x" * (LONGEST_LINE + 1))
        == f" line 1: expected at most {LONGEST_LINE:,} bytes, got more"
    )


def test_gzip_that_is_cut(files: Path) -> None:
    whole = gzip.compress(f"{HEAD}1,place,B,Buy,long,1,1,x,\n".encode())
    assert len(read(files, mapped(files, CSV), whole)) == 1
    assert "expected a whole gzip file, got one that is damaged or cut" in mistake(
        files, mapped(files, CSV), whole[:-9]
    )


def test_the_half_line_of_a_log_that_is_being_written_is_left_out(files: Path) -> None:
    for end in ("1,pla", "1,place,B,Buy,long,1,", "1,place,B,Buy,long,,1,x,"):
        reading = Reading()
        assert len(read(files, mapped(files, CSV), f"{HEAD}1,place,B,Buy,long,1,1,x,\n{end}", reading)) == 1
        assert reading.cut


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lines: xml\n", ":1: lines: expected one of json, csv, text, got `xml`; choose one of them"),
        ("lines: text\n",
         ":1: line: expected `line:`, a regular expression, where `lines` is text, and only there, got nothing"),
        ("lines: csv\nzone: Mars\n", ":2: zone: expected a time zone such as UTC or Europe/Berlin, got `Mars`"),
        ("lines: csv\npatterns: [{looks: '(', action: place}]\n",
         ":2: patterns[0].looks: expected a regular expression (missing ), unterminated subpattern at position 0)"),
        ("lines: csv\npatterns: [{looks: '(?P<colour>x)', action: place}]\n",
         ":2: patterns[0].looks: expected groups named after values"),
        ("lines: csv\nwords: {side: {B: up}}\n", ":2: words: expected Buy or Sell for the word 'B', got `up`"),
        ("lines: csv\nvalues: {time: t}\n", ":2: values: expected a column for `symbol` of a place (the map)"),
        ("lines: csv\nunits: {price: 0}\n", ":2: units.price: expected a number more than 0, got `0`"),
        ("lines: csv\nline: [x\n", "expected valid YAML"),
        ("- 1\n", "expected keys with values, got something else"),
    ],
)  # fmt: skip
def test_what_a_map_must_not_say(files: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        mapped(files, text)
    assert said in str(caught.value)
    assert str(files / "map.yaml") in str(caught.value)


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(max_size=120))
def test_whatever_a_log_has_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    files = tmp_path_factory.getbasetemp()
    for text in (CSV, "lines: text\nline: '(?P<time>.*) (?P<order>.*)'\nalways: {action: cancel}\n"
                      "values: {symbol: order, side: order, price: order, size: order}\n"):  # fmt: skip
        meaning = mapped(files, text)
        said = ""
        try:
            read(files, meaning, HEAD.encode() + content)
        except LogMistake as error:
            said = str(error)
        assert not said or (said.startswith(str(files / "a.log")) and "expected" in said)
