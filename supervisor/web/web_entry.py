"""The entry function of the page's process, and its settings from a configuration."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.process_guard import close_memory
from supervisor.children.entry_points import set_up_logging
from supervisor.children.launch_plan import ChildLogs
from supervisor.web.web_process import run_web
from supervisor.web.web_spec import WebSpec

__all__ = ["web", "web_spec"]


def web(
    config: GridbotConfig, logs: ChildLogs, port: int, report: Connection[Any, Any], life: Connection[Any, Any]
) -> None:
    """The process that serves the page; `port` is the one it had before, 0 at its first start."""
    if config.fleet.is_host:  # it knows the way to the fleet's database
        close_memory()
    set_up_logging("web", config, logs)
    run_web(web_spec(config, port), report, life)


def web_spec(config: GridbotConfig, before: int = 0) -> WebSpec:
    """The page's settings from a configuration."""
    section = config.web
    return WebSpec(
        data_dir=config.storage.data_dir,
        host=section.host,
        port=section.port,
        before=before,
        names=section.names,
        tls_cert=section.tls_cert,
        tls_key=section.tls_key,
        metrics_token_file=section.metrics_token_file,
        is_secure=section.is_secure,
        fleet=config.fleet if config.fleet.is_host else None,
    )
