"""The block of text of a control result, by its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from daemon.control import intake_messages, messages
from daemon.views import render
from daemon.views.narrate import EventLine
from daemon.views.text import Block, line
from governance.grounding.calibration import Calibration


def _later(module: str, function: str) -> Callable[[Any], Block]:
    """A block function whose module is imported when it is needed: `ouro status` starts faster without."""

    def block(view: Any) -> Block:
        found: Block = getattr(import_module(module), function)(view)
        return found

    return block


_BLOCKS: Mapping[type[BaseModel], Callable[[Any], Block]] = {
    messages.Ack: lambda done: (line(done.message),),
    messages.StatusView: render.status_block,
    messages.HealthView: render.health_block,
    messages.OpsView: lambda view: render.ops_block(view.ops),
    messages.OpView: render.op_block,
    messages.DiffView: lambda view: render.diff_block(view.diff) or (line("There is no diff yet."),),
    messages.LogView: render.log_block,
    messages.CostView: render.cost_block,
    messages.ConversationView: lambda view: (
        tuple(line(f"{turn.who:<9}  {turn.text}") for turn in view.said) or (line("Nothing was said yet."),)
    ),
    intake_messages.SignalsView: _later("daemon.views.render_intake", "signals_block"),
    intake_messages.SensorsView: _later("daemon.views.render_intake", "sensors_block"),
    intake_messages.PostureView: _later("daemon.views.render_intake", "posture_block"),
    Calibration: _later("daemon.views.render_calibration", "calibration_block"),
}


def block_of(result: BaseModel) -> Block:
    """A result as text; a type without a view of its own as a line a field."""
    known = _BLOCKS.get(type(result))
    return known(result) if known else tuple(render.labelled(EventLine(name, str(value))) for name, value in result)
