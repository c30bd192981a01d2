"""What a fault of our own is called: its cause, which tells one from another, and words for the operator. Pure."""

from __future__ import annotations

from gridbot.hidden_words import redacted

__all__ = ["cause_of", "in_words", "sentence"]


def cause_of(part: str, error: BaseException) -> str:
    """The part that failed, the type of what it raised, and the line that raised it: the same again is one incident."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place, trace = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return f"{part}, {type(error).__name__} at {place}"


def in_words(error: BaseException) -> str:
    """One line: what was raised, with its text, without secrets of this process."""
    text = " ".join(redacted(str(error)).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def sentence(part: str, error: BaseException) -> str:
    """What the operator is told: `part`, in words, has failed, and the traceback is in the log."""
    return f"{part} failed: {in_words(error)}; the log file has the traceback"
