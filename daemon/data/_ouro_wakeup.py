"""Tells a daemon that a pytest run has ended, so that it looks by itself. PYTEST_DONT_REWRITE

Standard library only, Python 3.8 syntax. pytest loads this through its entry point, whoever started it and however; no
other Python is touched. In a run inside a repository that asked for it, a small file is dropped in the daemon's spool
folder at the end. It never changes a result, prints nothing and waits for nobody; a spool that is gone, full or not
ours is no trouble.
"""
# As little as possible is imported: every pytest run of that environment pays for it.
# ruff: noqa: B905, PTH100, PTH104, PTH108, PTH118, PTH120, PTH123, PTH208, UP

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = "ouroboros_wakeup-1.dist-info"
RED_LIMIT = 50
TROUBLE = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""What a spool, a file or another plugin that is not as expected raises. The run is its owner's: it is not spoiled."""
MOST_WAITING = 200  # with no daemon to take them away there are never more files than this


def pytest_sessionfinish(session: Any, exitstatus: int) -> None:
    """Drop a file for each repository that wants to know, unless this is a worker of a distributed run."""
    try:
        if hasattr(session.config, "workerinput"):
            return
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), FOLDER)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".json"):
                _tell(session, int(exitstatus), os.path.join(folder, name))
    except TROUBLE:
        pass


def _tell(session: Any, exitstatus: int, target: str) -> None:
    """Drop the file of one repository, where the run was in it. Another one's trouble is not this one's."""
    import json

    try:
        with open(target, encoding="utf-8") as file:
            told = json.load(file)
        repository, spool = told["repository"], told["spool"]
        config = session.config
        root = os.path.realpath(str(getattr(config, "rootpath", None) or config.rootdir))
        if root == repository or root.startswith(repository + os.sep):
            _drop(spool, _summary(session, repository, exitstatus))
    except TROUBLE:
        pass


def _summary(session: Any, repository: str, exitstatus: int) -> dict[str, Any]:
    import time

    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    stats = getattr(reporter, "stats", {})
    red = [report.nodeid for kind in ("failed", "error") for report in stats.get(kind, [])]
    return {
        "kind": "pytest",
        "repository": repository,
        "at_ns": time.time_ns(),
        "exit": exitstatus,
        "collected": session.testscollected,
        "passed": len(stats.get("passed", [])),
        "red": list(dict.fromkeys(red))[:RED_LIMIT],
    }


def _drop(spool: str, summary: dict[str, Any]) -> None:
    import json

    with os.scandir(spool) as waiting:
        if sum(1 for _ in zip(waiting, range(MOST_WAITING))) == MOST_WAITING:
            return
    name = "{}-{}".format(summary["at_ns"], os.getpid())
    fresh = os.path.join(spool, "." + name)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(summary, file)
        os.rename(fresh, os.path.join(spool, name + ".json"))
    except OSError:
        os.unlink(fresh)
        raise
