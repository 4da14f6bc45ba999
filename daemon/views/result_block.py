"""The block of text of a control result, by its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from daemon.control.intake_messages import PostureView, SensorsView, SignalsView
from daemon.control.messages import (
    Ack,
    ConversationView,
    CostView,
    DiffView,
    HealthView,
    LogView,
    OpsView,
    OpView,
    StatusView,
)
from daemon.views.narrate import Told
from daemon.views.render import (
    cost_block,
    diff_block,
    health_block,
    labelled,
    log_block,
    op_block,
    ops_block,
    status_block,
)
from daemon.views.render_calibration import calibration_block
from daemon.views.render_intake import posture_block, sensors_block, signals_block
from daemon.views.text import Block, line
from governance.grounding.calibration import Calibration

_BLOCKS: Mapping[type[BaseModel], Callable[[Any], Block]] = {
    StatusView: status_block,
    OpsView: lambda view: ops_block(view.ops),
    OpView: op_block,
    DiffView: lambda view: diff_block(view.diff) or (line("There is no diff yet."),),
    LogView: log_block,
    SignalsView: signals_block,
    SensorsView: sensors_block,
    PostureView: posture_block,
    CostView: cost_block,
    Calibration: calibration_block,
    HealthView: health_block,
    ConversationView: lambda view: (
        tuple(line(f"{turn.who:<9}  {turn.text}") for turn in view.said) or (line("Nothing was said yet."),)
    ),
    Ack: lambda done: (line(done.message),),
}


def block_of(result: BaseModel) -> Block:
    """A result as text; a type without a view of its own as a line a field."""
    known = _BLOCKS.get(type(result))
    return known(result) if known else tuple(labelled(Told(name, str(value))) for name, value in result)
