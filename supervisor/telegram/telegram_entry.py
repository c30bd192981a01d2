"""The entry function of the process of Telegram, and its settings from a configuration."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.process_guard import close_memory
from supervisor.children.entry_points import set_up_logging
from supervisor.children.launch_plan import ChildLogs
from supervisor.telegram.telegram_process import run_telegram
from supervisor.telegram.telegram_spec import TelegramSpec

__all__ = ["telegram", "telegram_spec"]


def telegram(config: GridbotConfig, logs: ChildLogs, report: Connection[Any, Any], life: Connection[Any, Any]) -> None:
    """The process that is asked and given commands by Telegram."""
    close_memory()
    set_up_logging("telegram", config, logs)
    run_telegram(telegram_spec(config), report, life)


def telegram_spec(config: GridbotConfig) -> TelegramSpec:
    """Its settings from a configuration."""
    section = config.telegram
    return TelegramSpec(
        data_dir=config.storage.data_dir,
        api=section.api,
        token=section.token.get_secret_value(),
        roles={user.id: user.role for user in section.users},
        poll_s=section.poll,
        of_fleet=config.fleet.is_host,
    )
