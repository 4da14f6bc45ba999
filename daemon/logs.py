"""Logging: structured lines on standard error, ours and the libraries' alike."""

from __future__ import annotations

import logging
import sys
from typing import Literal

from pydantic import Field

from ledger.vocabulary import Frozen


class LogSettings(Frozen):
    """``[log]``."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Least severe line that is shown."
    )
    format: Literal["console", "json"] = Field("console", description="How lines look.")


def configure(settings: LogSettings) -> None:
    """Route structlog and the standard library's logging to one handler on standard error."""
    import structlog  # not above: every command reads these settings, and structlog brings rich along

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    if settings.format == "json":
        last: structlog.typing.Processor = structlog.processors.JSONRenderer()
    else:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
