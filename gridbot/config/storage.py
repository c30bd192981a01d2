"""The `storage` section of `gridbot.yaml`: what is recorded, how safely, and for how long it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from pydantic import Field

from gridbot.config.fields import KeepFor, Model, Seconds, SecondsOrOff
from gridbot.records.durability import Durability

__all__ = ["StorageConfig"]

DAY: Final = timedelta(days=1)


class StorageConfig(Model):
    """What is written, where and when. Money is kept for ever; `keep_*` bounds what grows fastest beside it."""

    data_dir: Path = Field(
        Path("data"),
        description="Database, journals, state, logs, socket. Relative to the directory that holds conf/.",
    )
    group: str | None = Field(
        None,
        description="Group of this machine that may read database and logs; default: nobody but this user.",
    )
    flush_interval: Seconds = Field(0.85, description="Seconds between commits of the writer.")
    lag_alert: Seconds = Field(
        60.0, description="Seconds the database may be behind (held by a reader, disk full) until an alert says so."
    )
    durability: Durability = Field(
        Durability.PROCESS, description="process: survives kill -9; power: also fdatasync, survives a power cut."
    )
    keep_journal: bool = Field(False, description="Keep journals after they are in the database.")
    ticker_interval: SecondsOrOff = Field(1.0, description="Seconds between stored tickers per symbol; 0 stores none.")
    health_interval: SecondsOrOff = Field(
        10.0, description="Seconds between stored health reports per account; 0 stores none."
    )
    public_trades: bool = Field(False, description="Store each trade of the market in the symbols that are traded.")
    raw_messages: bool = Field(
        True, description="Store executions, and orders the exchange ended by itself, also in its own words."
    )
    keep_tickers: KeepFor = Field(30 * DAY, description="How long tickers stay: days 30d, hours 12h, off: for ever.")
    keep_public_trades: KeepFor = Field(7 * DAY, description="The same for public trades.")
    keep_raw_messages: KeepFor = Field(30 * DAY, description="The same for raw messages.")
    keep_health_samples: KeepFor = Field(30 * DAY, description="The same for health reports.")
    keep_grid_snapshots: KeepFor = Field(30 * DAY, description="The same for snapshots of grids.")
    keep_intents: KeepFor = Field(None, description="The same for intents, what strategies wanted.")
    keep_reconciles: KeepFor = Field(None, description="The same for comparisons with the exchange.")

    @property
    def keep(self) -> Mapping[str, timedelta]:
        """How long the rows of a table stay, for the tables that do not keep them for ever."""
        ages = ((name.removeprefix("keep_"), getattr(self, name)) for name in StorageConfig.model_fields)
        return {table: age for table, age in ages if isinstance(age, timedelta)}
