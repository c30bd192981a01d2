"""All hosts of a fleet write their history to one place: it has a mark, and PostgreSQL knows it.

The first host that begins puts the mark there. Who finds none, or another one, does not write: its directory is not
mounted, or it is the place of others. A directory can stop being mounted while it is written to, and what is written
then goes, without any error, into the empty one below it: so the mark is looked at before and after each time.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from gridbot.config.fleet_models import FleetConfig
from gridbot.store.history_place import MARK, HistoryPlace, PlaceAway, mark_problem, place_at
from supervisor.fleet.history_statements import PLACE, RENAME_PLACE, SET_PLACE

__all__ = ["Agreed", "agreed"]


@dataclass(frozen=True, slots=True)
class Agreed:
    """The place of this fleet, and the mark that it has."""

    place: HistoryPlace
    mark: str

    def look(self) -> None:
        """Raises PlaceAway when it is not there, or another one is."""
        if problem := mark_problem(self.place, self.mark):
            raise PlaceAway(problem)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Make these files, each whole, in this place and no other. Raises PlaceAway."""
        self.look()
        for name, data in files.items():
            self.place.put(name, data)
        self.look()


def agreed(connection: psycopg.Connection[Any], fleet: FleetConfig) -> Agreed:
    """The place that this host's file names, if it is that of the fleet. Raises PlaceAway, psycopg.Error."""
    place = place_at(fleet.history)
    host = str(fleet.host)
    row = connection.execute(PLACE).fetchone()
    if row is None:
        if place.read(MARK) is not None:
            raise PlaceAway(
                f"expected a place of this fleet alone, got one with the mark of another, or of a former database"
                f" ({MARK}): name an empty one (docs/fleet-lost.md)"
            )
        connection.execute(SET_PLACE, {"mark": secrets.token_hex(16), "place": fleet.history, "host": host})
        row = connection.execute(PLACE).fetchone()
        assert row is not None, "it was made, by us or by another host"
    mark, known_as, first, is_new = row
    if first == host and is_new and place.read(MARK) is None:  # also when we were killed before it was there
        place.remove(MARK)  # a half-made one, of when we were killed
        place.put(MARK, orjson.dumps({"fleet": fleet.name, "mark": mark}))
    found = Agreed(place, mark)
    found.look()
    if first == host and known_as != fleet.history:
        connection.execute(RENAME_PLACE, {"place": fleet.history})
    return found
