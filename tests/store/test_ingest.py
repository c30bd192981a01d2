"""How records are collected for a transaction: bounded, each in its place, whatever they look like."""

from __future__ import annotations

from pathlib import Path

from supervisor.store.writer import Writer, WriterSpec
from tests.store.kit import execution, make_recorder, rows, sequences, ticker


def test_a_transaction_has_a_limit_in_bytes(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path, segment_bytes=20_000)
    for number in range(1, 401):
        recorder.record(execution(number))
        recorder.flush()
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",), max_bytes=50_000), {})
    assert writer.flush()
    assert 50_000 / 600 < writer.state.committed["alice"] < 200
    while writer.flush():
        pass
    writer.close()
    assert sequences(tmp_path) == {"alice": list(range(1, 401))}


def test_kinds_and_runs_may_alternate(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    for number in range(1, 301):
        recorder.run_id = f'run "{number % 100},"seq":7'
        recorder.record(execution(number) if number % 3 else ticker(number))
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    while writer.flush():
        pass
    writer.close()
    assert sequences(tmp_path)["alice"] == [number for number in range(1, 301) if number % 3]
    assert sequences(tmp_path, "tickers")["alice"] == list(range(3, 301, 3))
    assert rows(tmp_path, "SELECT run_id FROM executions WHERE seq = 250") == [('run "50,"seq":7',)]
