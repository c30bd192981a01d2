"""Log files, console lines, redaction, and that a logging call never waits."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridbot import hidden_words, logging_setup
from gridbot.config.models import LoggingConfig
from gridbot.log_lines import LONGEST_WHOLE


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    logging_setup.stop_logging()
    root.setLevel(level)
    hidden_words._secrets.clear()


def _lines(data_dir: Path, process: str = "worker-alice") -> list[dict[str, Any]]:
    logging_setup.stop_logging()
    return [json.loads(line) for line in logging_setup.log_path(process, data_dir).read_text().splitlines()]


def _start(data_dir: Path, **changes: Any) -> io.StringIO:
    screen = io.StringIO()
    logging_setup.setup_logging(
        "worker-alice", LoggingConfig(**changes), data_dir, True, account="alice", stream=screen
    )
    return screen


def test_a_line_has_time_level_process_account_strategy_logger_and_message(tmp_path):
    screen = _start(tmp_path)
    log = logging_setup.for_strategy("alice", "btc", name="gridbot.worker.strategy_runner")
    log.info("filled %s", "0.01", extra={"tag": "fill", "orderLinkId": "x-1"})
    (line,) = _lines(tmp_path)
    assert line["time"].endswith("Z")
    assert "T" in line["time"]
    assert {key: line[key] for key in ("level", "process", "account", "strategy", "logger", "message")} == {
        "level": "INFO",
        "process": "worker-alice",
        "account": "alice",
        "strategy": "btc",
        "logger": "gridbot.worker.strategy_runner",
        "message": "filled 0.01",
    }
    assert line["orderLinkId"] == "x-1"
    assert isinstance(line["pid"], int)
    text = screen.getvalue()
    assert "INFO" in text
    assert "worker-alice" in text
    assert text.endswith("[fill] alice/btc: filled 0.01\n")


def test_a_message_may_begin_with_its_tag(tmp_path):
    screen = _start(tmp_path)
    logging_setup.for_strategy("alice", "btc", name="gridbot.worker.strategy_runner").info("[risk] rule none -> long_4")
    logging_setup.stop_logging()
    assert screen.getvalue().endswith("[risk] alice/btc: rule none -> long_4\n")


@pytest.mark.parametrize(
    ("logger", "tag"),
    [
        ("gridbot.core.execution_ledger", "acct"),
        ("gridbot.bybit.streams.public", "ws"),
        ("supervisor.store.writer", "store"),
        ("ccxt.base", "ccxt"),
    ],
)
def test_a_logger_has_a_short_tag(tmp_path, logger, tag):
    screen = _start(tmp_path)
    logging.getLogger(logger).warning("x")
    logging_setup.stop_logging()
    assert f" [{tag}] " in screen.getvalue()


def test_every_line_carries_the_account_of_its_process(tmp_path):
    _start(tmp_path)
    logging.getLogger("somebody.else").warning("plain")
    (line,) = _lines(tmp_path)
    assert (line["account"], line["strategy"]) == ("alice", "")


def test_context_marks_lines_of_any_logger_inside_it(tmp_path):
    _start(tmp_path)
    with logging_setup.context("alice", "eth"):
        logging.getLogger("gridbot.execution.executor").info("inside")
    logging.getLogger("gridbot.execution.executor").info("outside")
    assert [line["strategy"] for line in _lines(tmp_path)] == ["eth", ""]


def test_arguments_are_formatted_when_logged_not_when_written(tmp_path):
    _start(tmp_path)
    levels = [1, 2]
    logging.getLogger("gridbot").info("levels %s", levels)
    levels.clear()
    assert _lines(tmp_path)[0]["message"] == "levels [1, 2]"


@pytest.mark.parametrize("secret", ["s3cr3t-value", 'with"quote\\and/slash', "töken-ü-123"])
def test_registered_secrets_appear_nowhere(tmp_path, secret):
    screen = _start(tmp_path)
    logging_setup.register_secret(secret)
    log = logging.getLogger("gridbot")
    log.info("key %s", secret)
    log.info("extra", extra={"url": f"https://host/?api_key={secret}"})
    try:
        raise ValueError(f"refused {secret}")
    except ValueError:
        log.exception("failed")
    logging_setup.stop_logging()
    for text in (logging_setup.log_path("worker-alice", tmp_path).read_text(), screen.getvalue()):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        assert "********" in text


def test_a_traceback_goes_to_the_file_and_one_line_to_the_console(tmp_path):
    screen = _start(tmp_path)
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logging.getLogger("gridbot").exception("step failed")
    (line,) = _lines(tmp_path)
    assert "Traceback" in line["exc_info"]
    assert len(screen.getvalue().splitlines()) == 1
    assert "RuntimeError: boom" in screen.getvalue()


def test_levels_of_file_and_console_are_independent(tmp_path):
    screen = _start(tmp_path, level="DEBUG", console_level="WARNING")
    logging.getLogger("gridbot").debug("detail")
    logging.getLogger("gridbot").warning("careful")
    assert [line["message"] for line in _lines(tmp_path)] == ["detail", "careful"]
    assert "detail" not in screen.getvalue()
    assert "careful" in screen.getvalue()


def test_files_are_bounded_and_rotated(tmp_path):
    _start(tmp_path, max_bytes=10_000, backups=2)
    log = logging.getLogger("gridbot")
    for number in range(400):
        log.info("line %d %s", number, "x" * 60)
    logging_setup.stop_logging()
    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == 3
    assert all(file.stat().st_size <= 10_000 for file in files)


def test_libraries_that_narrate_are_tamed(tmp_path):
    screen = _start(tmp_path, level="DEBUG", console_level="DEBUG")
    for name in ("pybit._http_manager", "aiohttp.access", "asyncio"):
        logging.getLogger(name).info("chatter")
    logging.getLogger("websocket").setLevel(logging.DEBUG)  # as its enableTrace(False) does
    logging.getLogger("websocket").error("chatter: goodbye")
    logging.getLogger("pybit._http_manager").warning("a real problem")
    assert [line["message"] for line in _lines(tmp_path)] == ["a real problem"]
    assert "chatter" not in screen.getvalue()


class _Stuck(io.StringIO):
    """A console that hangs until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.release = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.release.wait(30)
        return super().write(text)


def test_a_hanging_output_neither_blocks_the_caller_nor_grows_without_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(logging_setup, "QUEUE_LINES", 50)
    screen = _Stuck()
    logging_setup.setup_logging("worker-alice", LoggingConfig(), tmp_path, True, stream=screen)
    log = logging.getLogger("gridbot")
    log.info("first")
    assert screen.entered.wait(10)
    for number in range(500):  # would wait for ever if any of these waited for the output
        log.info("line %d", number)
    screen.release.set()
    logging_setup.stop_logging()
    assert screen.getvalue().count("line ") == 50


def test_dropped_lines_are_counted_in_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setattr(logging_setup, "QUEUE_LINES", 0)
    _start(tmp_path)
    log = logging.getLogger("gridbot")
    log.info("lost")
    log.info("lost too")
    monkeypatch.setattr(logging_setup, "QUEUE_LINES", 10)
    log.info("kept")
    (line,) = _lines(tmp_path)
    assert (line["message"], line["lines_dropped_before"]) == ("kept", 2)


def test_a_process_that_just_ends_has_written_its_lines(tmp_path):
    program = (
        "import logging, sys, pathlib\n"
        "from gridbot import logging_setup\n"
        "from gridbot.config.models import LoggingConfig\n"
        "logging_setup.setup_logging('p', LoggingConfig(), pathlib.Path(sys.argv[1]), False)\n"
        "logging.getLogger('gridbot').info('last words')\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    assert _lines(tmp_path, "p")[0]["message"] == "last words"


def test_a_full_disk_does_not_change_how_a_process_ends(tmp_path):
    program = (
        "import logging, pathlib, resource, sys\n"
        "from gridbot import logging_setup\n"
        "from gridbot.config.models import LoggingConfig\n"
        "logging_setup.setup_logging('p', LoggingConfig(), pathlib.Path(sys.argv[1]), False)\n"
        "log, listener = logging.getLogger('gridbot'), logging_setup._running[0].listener\n"
        "log.info('first')\n"
        "for size, texts in ((200, ('is cut', 'finds no room')), (9999, ('kept', 'the end')), (0, ('nowhere',))):\n"
        "    listener.stop()\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (size, 9999))\n"
        "    listener.start()\n"
        "    for text in texts: log.info(text)\n"
        "logging_setup.stop_logging()\n"
        "sys.exit(7)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 7
    assert ended.stderr.count("\n") == ended.stderr.count("log lines are lost") == 2, "once each time"
    first, cut, *kept = logging_setup.log_path("p", tmp_path).read_text().splitlines()
    assert json.loads(first)["message"] == "first"
    assert not cut.endswith("}")
    assert [(line["message"], line.get("lines_lost_before")) for line in map(json.loads, kept)] == [
        ("kept", 2),
        ("the end", None),
    ], "what was cut is no beginning of the next line"


def test_a_line_that_another_process_could_not_end_is_a_line_of_its_own(tmp_path: Path) -> None:
    path = logging_setup.log_path("worker-alice", tmp_path)
    path.parent.mkdir()
    path.write_text('{"time":"2026')
    _start(tmp_path)
    logging.getLogger("gridbot").info("after")
    logging_setup.stop_logging()
    cut, line = path.read_text().splitlines()
    assert (cut, json.loads(line)["message"]) == ('{"time":"2026', "after")


def test_a_log_file_that_somebody_removes_is_made_again(tmp_path: Path) -> None:
    _start(tmp_path)
    log = logging.getLogger("gridbot")
    log.info("before")
    listener = logging_setup._running[0].listener
    listener.stop()
    shutil.rmtree(tmp_path / "logs")
    listener.start()
    log.info("after")
    assert [line["message"] for line in _lines(tmp_path)] == ["after"]


def test_a_removed_log_file_that_cannot_be_made_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _start(tmp_path, console_level="ERROR")
    listener = logging_setup._running[0].listener
    listener.stop()
    shutil.rmtree(tmp_path / "logs")
    (tmp_path / "logs").write_text("in the way")
    listener.start()
    for _ in range(3):
        logging.getLogger("gridbot").info("lost")
    listener.stop()
    assert capsys.readouterr().err.count("log lines are lost") == 1
    (tmp_path / "logs").unlink()
    listener.start()


def test_words_of_others_forge_no_line_and_lose_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest's own handlers would carry the surrogates into its report, which cannot be sent.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    screen = _start(tmp_path)
    log = logging.getLogger("gridbot.bybit.streams")
    forged = "refused\n12:00:00.000 ERROR all is lost\x1b[2J\x9b31m"
    log.warning("%s", forged)
    log.warning("a lone \ud800 surrogate", extra={"number": 2**80, "said": "\udfff", "nested": {"a": [2**90]}})
    log.warning("x" * 1_000_000)
    try:
        raise ValueError("\ud800 in a traceback")
    except ValueError:
        log.exception("failed: \ud800")
    lines = _lines(tmp_path)
    raw = logging_setup.log_path("worker-alice", tmp_path).read_text()
    assert all(line.isprintable() for line in raw.splitlines())
    assert [line["message"][:6] for line in lines] == ["refuse", "a lone", "xxxxxx", "failed"]
    assert lines[0]["message"] == forged, "the file has it whole"
    assert lines[1]["message"] == r"a lone \ud800 surrogate"
    assert str(2**80) in str(lines[1]["number"])
    assert len(lines[2]["message"]) < LONGEST_WHOLE + 50
    assert "ValueError" in lines[3]["exc_info"]
    shown = screen.getvalue().splitlines()
    assert len(shown) == 4
    assert all(line.isprintable() and len(line) < 3000 for line in shown)


def test_where_no_thread_can_start_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    root = logging.getLogger()
    handlers, level, files = root.handlers[:], root.level, len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(RuntimeError, match="new thread"):
        logging_setup.setup_logging("worker", LoggingConfig(), tmp_path, console=False)
    assert (root.handlers, root.level, len(os.listdir("/proc/self/fd"))) == (handlers, level, files)
