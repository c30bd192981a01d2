"""The entry function of the process that tells people of alerts, and its settings from a configuration."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any, Final

import pytz

from gridbot.config.models import GridbotConfig
from gridbot.config.notify import NotifyConfig, NotifyRoute
from gridbot.process_guard import close_memory
from supervisor.children.entry_points import set_up_logging
from supervisor.children.launch_plan import ChildLogs
from supervisor.notify.alert_routes import Route
from supervisor.notify.delivery_line import Limits
from supervisor.notify.notify_process import run_notify
from supervisor.notify.notify_spec import NotifySpec
from supervisor.notify.quiet_hours import QuietHours, minutes_of
from supervisor.notify.teller import Plan

__all__ = ["notify", "notify_spec"]

US: Final = 1_000_000


def notify(config: GridbotConfig, logs: ChildLogs, report: Connection[Any, Any], life: Connection[Any, Any]) -> None:
    """The process that tells people of alerts."""
    close_memory()
    set_up_logging("notify", config, logs)
    run_notify(notify_spec(config), report, life)


def notify_spec(config: GridbotConfig) -> NotifySpec:
    """Its settings from a configuration."""
    section = config.notify
    routes = tuple(_route(route) for route in section.routes)
    urls = [url.get_secret_value() for route in section.routes for url in route.urls]
    names = [name for route in routes for name in route.lines]
    return NotifySpec(
        data_dir=config.storage.data_dir,
        plan=Plan(
            fleet=section.name,
            routes=routes,
            zone=pytz.timezone(section.time_zone),
            groups={account.name: account.groups for account in config.accounts},
            quiet=_quiet(section),
            summary_at=-1 if section.summary_at is None else minutes_of(section.summary_at),
            calm_us=round(section.after_restart * US),
            limits=Limits(
                gather_us=round(section.gather * US),
                per_minute=section.per_minute,
                retry_us=round(section.retry_initial * US),
                retry_most_us=round(max(section.retry_initial, section.retry_max) * US),
                give_up_us=round(section.give_up * US),
            ),
        ),
        addresses=dict(zip(names, urls, strict=True)),
        deadline_s=section.deadline,
        ping_url="" if section.ping_url is None else section.ping_url.get_secret_value(),
        ping_period_s=section.ping_period,
    )


def _route(route: NotifyRoute) -> Route:
    many = len(route.urls) > 1
    return Route(
        name=route.name,
        lines=tuple(f"{route.name}.{place}" if many else route.name for place in range(1, len(route.urls) + 1)),
        level=route.level.upper(),
        accounts=route.accounts,
        groups=route.groups,
        fleet=route.fleet,
        summary=route.summary,
        keeps_quiet=route.quiet,
        services=tuple(url.get_secret_value().partition("://")[0].lower() for url in route.urls),
    )


def _quiet(section: NotifyConfig) -> QuietHours | None:
    if section.quiet_from is None or section.quiet_until is None:
        return None
    zone = pytz.timezone(section.time_zone)
    begin, end = minutes_of(section.quiet_from), minutes_of(section.quiet_until)
    return QuietHours(begin, end, zone, section.quiet_unless.upper())
