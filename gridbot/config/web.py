"""The section `web` of `gridbot.yaml`: the page that shows the fleet, and who may see it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from gridbot.config.errors import expected
from gridbot.config.fields import Model

__all__ = ["WebConfig"]

HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")]


class WebConfig(Model):
    """The page in a browser (docs/web.md). A port that is taken is a warning; trading never waits for the page."""

    enabled: bool = Field(True, description="Whether there is a page at all, and a process that serves it.")
    host: HostName = Field(
        "127.0.0.1",
        description="Address it listens on. Others than loopback need `tls_cert` and `tls_key`, or `behind_proxy`.",
    )
    port: int = Field(8797, ge=0, le=65535, description="Its TCP port; 0 takes any free one, which the status shows.")
    names: tuple[HostName, ...] = Field(
        (), description="Host names by which browsers ask for it, beside its address and localhost."
    )
    allow_commands: bool = Field(
        False, description="Whether who is logged in may give commands on the page, not only look."
    )
    metrics_token_file: Path | None = Field(
        None,
        description="File with the token of `/metrics`, made at the first start where there is none "
        "[default: web/metrics_token in the data directory].",
    )
    tls_cert: Path | None = Field(None, description="File with its certificate and those between (PEM).")
    tls_key: Path | None = Field(None, description="File with the certificate's key (PEM).")
    behind_proxy: bool = Field(
        False, description="Whether a proxy of yours speaks TLS with the browsers; its name belongs to `names`."
    )

    @model_validator(mode="after")
    def _is_private(self) -> WebConfig:
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise expected("`tls_cert` and `tls_key`, both or none", "name the other file, too", key="tls_cert")
        if not (self.is_loopback or self.tls_cert is not None or self.behind_proxy):
            raise expected(
                "a loopback `host` such as 127.0.0.1, or `tls_cert` and `tls_key`, or `behind_proxy: true`",
                "without TLS whoever listens on the way could read the page and its login",
                key="host",
            )
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone reaches it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def is_secure(self) -> bool:
        """Whether browsers speak TLS with it, or with a proxy before it."""
        return self.tls_cert is not None or self.behind_proxy
