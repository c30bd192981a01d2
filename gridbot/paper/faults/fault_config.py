"""Faults as configuration: what goes wrong, where, and when. Importing this pulls in no server code."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict, Field, model_validator

from gridbot.doors.strict_model import StrictModel

__all__ = ["CONNECTION_FAULTS", "FRAME_FAULTS", "REQUEST_FAULTS", "DropMode", "FaultConfig", "FaultKind"]


class FaultKind(StrEnum):
    """The ways in which the exchange misbehaves; docs/paper.md has an example of each."""

    ERROR = "error"
    ERROR_AFTER = "error_after"
    LOST_REQUEST = "lost_request"
    LOST_REPLY = "lost_reply"
    DELAY = "delay"
    IP_BAN = "ip_ban"
    LOSE_FRAME = "lose_frame"
    DUPLICATE_FRAME = "duplicate_frame"
    STALE_FRAME = "stale_frame"
    REORDER_FRAMES = "reorder_frames"
    DOUBLE_FILLED = "double_filled"
    DROP_CONNECTIONS = "drop_connections"
    REFUSE_CONNECTIONS = "refuse_connections"
    CLOCK_SKEW = "clock_skew"
    RESTART = "restart"


REQUEST_FAULTS = frozenset(
    {
        FaultKind.ERROR,
        FaultKind.ERROR_AFTER,
        FaultKind.LOST_REQUEST,
        FaultKind.LOST_REPLY,
        FaultKind.DELAY,
        FaultKind.IP_BAN,
    }
)
FRAME_FAULTS = frozenset(
    {
        FaultKind.LOSE_FRAME,
        FaultKind.DUPLICATE_FRAME,
        FaultKind.STALE_FRAME,
        FaultKind.REORDER_FRAMES,
        FaultKind.DOUBLE_FILLED,
    }
)
CONNECTION_FAULTS = frozenset(FaultKind) - REQUEST_FAULTS - FRAME_FAULTS


class DropMode(StrEnum):
    """How a connection ends: a close frame (1000, 1001), a TCP reset, or silence with the connection open."""

    NORMAL = "1000"
    GOING_AWAY = "1001"
    RESET = "reset"
    SILENT = "silent"


class FaultConfig(StrictModel):
    """One rule. Requests match by `endpoint` and `account`, frames by `topic` and `account`.

    A match counts when it is in the time window, comes after the first `after` ones, is drawn by `probability`, and
    `times` is not used up. Faults of connections happen once, at `at_s`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind = Field(description="What goes wrong.")
    endpoint: str = Field("", description="Path such as /v5/order/create, by either way; or a trade socket's op.")
    topic: str = Field("", description="Stream topic such as order or tickers.BTCUSDT, its first word is enough.")
    account: str = Field("", description="Name of the account; empty: every one.")
    times: int = Field(1, ge=0, description="How often; 0 is without end.")
    after: int = Field(0, ge=0, description="Matches that pass unharmed first.")
    probability: float = Field(1.0, gt=0, le=1, description="Chance of each match, drawn from the seed.")
    at_s: float = Field(0.0, ge=0, description="Seconds after the start of the exchange (or after injection).")
    for_s: float = Field(0.0, ge=0, description="Length of the time window in seconds; 0 is without end.")
    code: int = Field(10016, description="retCode of error and error_after.")
    message: str = Field("", description="retMsg; empty: a text that Bybit uses for the code.")
    http_status: int = Field(200, ge=200, le=599, description="HTTP status of error and error_after.")
    delay_ms: float = Field(30.0, ge=0, description="Of delay and reorder_frames.")
    skew_ms: int = Field(0, description="Of clock_skew: added to the exchange's clock for the window.")
    mode: DropMode = Field(DropMode.GOING_AWAY, description="Of drop_connections.")
    channel: str = Field("", pattern="^(public|private|trade)?$", description="Of the faults of connections.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> FaultConfig:
        if self.kind in REQUEST_FAULTS and self.topic:
            raise ValueError(f"fault {self.kind.value!r} concerns requests: expected 'endpoint', got 'topic'")
        if self.kind in FRAME_FAULTS and self.endpoint:
            raise ValueError(f"fault {self.kind.value!r} concerns frames: expected 'topic', got 'endpoint'")
        return self
