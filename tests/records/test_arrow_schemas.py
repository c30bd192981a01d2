"""The Arrow schemas fit what is exported."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

from gridbot.records.arrow_schemas import schema_of
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.schema import ensure_schema
from supervisor.store.parquet_export import export
from tests.store.session import make_session


def test_every_table_reads_with_its_schema(tmp_path: Path) -> None:
    with duckdb.connect() as con:
        ensure_schema(con)
        for table in RECORD_TYPES:
            con.execute(f"COPY {table} TO '{tmp_path}/{table}.parquet'")
    for table in RECORD_TYPES:
        found, wanted = pa.parquet.read_schema(tmp_path / f"{table}.parquet"), schema_of(table)
        assert found.names == wanted.names
        for name in wanted.names:
            kind = found.field(name).type
            storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
            assert storage == wanted.field(name).type, f"{table}.{name}"


def test_columns_that_came_later_are_null_in_older_files(tmp_path: Path) -> None:
    make_session(tmp_path)
    export(tmp_path, tmp_path / "export", tables=("tickers",))
    schema = schema_of("tickers").append(pa.field("mood", pa.string()))
    tickers = pa.dataset.dataset(tmp_path / "export" / "tickers", schema=schema, partitioning="hive").to_table()
    assert tickers["mood"].null_count == len(tickers) == 1


def test_fields_say_what_they_are() -> None:
    field = schema_of("executions").field("fee")
    assert field.type == pa.decimal128(38, 12)
    assert field.metadata[b"doc"] == b"What it cost in USDT, taxes included; positive paid, negative earned."
    with pytest.raises(ValueError, match=r"expected one of run_events, .*, got 'dividends'"):
        schema_of("dividends")
