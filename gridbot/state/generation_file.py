"""The numbers of an account's order ids, over all its processes: one document, `generation.json`."""

from __future__ import annotations

import logging

from gridbot.orders.ids import Generations
from gridbot.ports import Clock
from gridbot.state.documents import StateFile

__all__ = ["generations_from"]

log = logging.getLogger(__name__)


def generations_from(file: StateFile, clock: Clock) -> Generations:
    """Continue after the last block; a new directory starts at the clock, above any earlier installation's numbers."""
    document = file.load()
    upto = (document or {}).get("next")
    if document and not isinstance(upto, int):
        log.warning("%s: expected a whole number in next, got %r; numbers go on from the clock", file, upto)
    start = max(upto, 0) if isinstance(upto, int) else clock.wall_ms()
    generations = Generations(start, lambda upto, safe: file.save({"next": upto}, safe))
    generations.available(1)  # asks for the first block, so that it is there before the first order
    return generations
