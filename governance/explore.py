"""Exploration by script, for a provider without tools: the same calls, recorded and scored alike.

A call counts only when its result is used: what is read here enters the prompt (files, symbols, callers) or the
ranking (history, search hits).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from governance.crew import Crew
from governance.dossier import Dossier
from ledger.vocabulary import EntryKind, Operation, State
from tools.manifest import ToolContext
from tools.workspace import Workspace

MAX_FILES = 6


def context_of(op: Operation, dossier: Dossier, crew: Crew, workspace: Workspace) -> ToolContext:
    """What the tools of this op work on."""
    return ToolContext(workspace=workspace, op_id=op.id, tier=dossier.tier, git=crew.shop.git, runner=crew.shop.runner)


async def explore(crew: Crew, context: ToolContext, paths: Sequence[str]) -> dict[str, str]:
    """Read, list, search and trace the files of ``paths``; results by ``tool:path``."""
    results: dict[str, str] = {}
    for path in list(dict.fromkeys(paths))[:MAX_FILES]:
        stem = path.rpartition("/")[2].removesuffix(".py")
        calls = [
            ("read_file", {"path": path}),
            ("list_symbols", {"path": path}),
            ("search_code", {"pattern": stem}),
            ("git_log", {"path": path}),
        ]
        for name, arguments in calls:
            outcome = await crew.shop.toolbox.call(name, json.dumps(arguments), context)
            results[f"{name}:{path}"] = outcome.text
    await crew.record.note(
        EntryKind.TOOL,
        "explored",
        phase=State.GENERATE,
        calls=len(context.uses),
        score=sum(u.score for u in context.uses),
        failed=[u.tool for u in context.uses if not u.ok],
    )
    return results
