"""Bounds of the service itself and of its control socket."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class ControlSettings(Frozen):
    """``[control]``: bounds of the control socket."""

    line_bytes: int = Field(1024 * 1024, ge=4096, description="A request line longer than this ends the connection.")
    connections: int = Field(32, ge=1, description="Clients at the same time; further ones are turned away.")
    silent_s: float = Field(
        1.0, ge=0, description="Where all places are taken, who showed no token and was silent so long loses its own."
    )
    requests: int = Field(16, ge=1, description="Unanswered requests of one client; further ones are refused.")
    backlog: int = Field(256, ge=16, description="Messages that wait for one client before its events are held back.")
    backlog_bytes: int = Field(
        4 * 1024 * 1024, ge=65536, description="Bytes that wait for one client before its answers are held back."
    )
    write_timeout_s: float = Field(10.0, gt=0, description="A client that reads nothing for this long is dropped.")
    close_timeout_s: float = Field(2.0, gt=0, description="Time for last answers when the daemon stops.")
    answer_timeout_s: float = Field(60.0, gt=0, description="A command gives up when the daemon is silent so long.")


class ServiceSettings(Frozen):
    """``[service]``: how long each stage of a stop may take, and how often a service looks at itself."""

    recheck_s: float = Field(
        60.0,
        ge=0.1,
        description="Between two looks at what a repair needs: sandbox, tests' environment, model. They come with the "
        "looks at the machine (`health.every_s`).",
    )
    stop_sensors_s: float = Field(2.0, gt=0, description="Time for sensors, and again for the socket, to end.")
    stop_grace_s: float = Field(10.0, ge=0, description="Time that running ops get to end by themselves.")
    stop_cancel_s: float = Field(10.0, gt=0, description="Time that cancelled ops and the model get to end.")
