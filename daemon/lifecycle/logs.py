"""Logging: structured lines on standard error, ours and the libraries' alike.

structlog is loaded with the first line that is written: a daemon at rest writes none.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from daemon.settings.terminal import takes_colour
from ledger.vocabulary import Frozen

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from structlog.typing import Processor


class LogSettings(Frozen):
    """``[log]``."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Least severe line that is shown."
    )
    format: Literal["console", "json"] = Field("console", description="How lines look.")


class RedactingFormatter(logging.Formatter):
    """Lines in one of our formats, from any logger, without secrets."""

    def __init__(self, settings: LogSettings) -> None:
        super().__init__()
        self._settings = settings
        self._real: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        if self._real is None:
            self._real = _formatter(self._settings)
        from governance.irongate.secrets.redaction import redact

        return redact(self._real.format(record))


def configure(settings: LogSettings) -> None:
    """Route structlog and the standard library's logging to one handler on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(settings))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())


def logger(name: str) -> BoundLogger:
    """The structured logger of this name. Ask for it where a line is written, not at import."""
    import structlog

    if not structlog.is_configured():
        structlog.configure(
            processors=[*_processors(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )
    found: BoundLogger = structlog.get_logger(name)
    return found


def _processors() -> list[Processor]:
    import structlog

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(settings: LogSettings) -> logging.Formatter:
    import structlog

    if settings.format == "json":
        last: Processor = structlog.processors.JSONRenderer()
    else:
        # rich would show the values of local variables, and break lines where a secret is no longer known as one.
        last = structlog.dev.ConsoleRenderer(
            colors=takes_colour(sys.stderr), exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        foreign_pre_chain=_processors(),
    )
