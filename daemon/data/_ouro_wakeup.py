"""Tells a daemon that a pytest run has ended, so that it looks by itself. PYTEST_DONT_REWRITE

Standard library only, Python 3.8 syntax. A ``.pth`` file imports this at every interpreter start and calls ``arm``:
unless the command is pytest's, nothing happens. In a pytest run a small file is dropped in the daemon's spool folder at
the end. It never changes a result, prints nothing, and a spool that is gone is no trouble.
"""
# As little as possible is imported: every Python of that environment pays for it.
# ruff: noqa: PTH104, PTH118, PTH119, UP

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULE = "_ouro_wakeup"
RED_LIMIT = 50
_targets: dict[str, str] = {}  # real path of a repository -> its spool folder


def arm(repository: str, spool: str) -> None:
    """Called by the ``.pth`` file. Asks pytest (through its documented variable) to load this module as a plugin."""
    if not _is_pytest(getattr(sys, "orig_argv", getattr(sys, "argv", []))):
        return
    _targets[repository] = spool
    plugins = [name for name in os.environ.get("PYTEST_PLUGINS", "").split(",") if name]
    if MODULE not in plugins:
        os.environ["PYTEST_PLUGINS"] = ",".join([*plugins, MODULE])


def _is_pytest(argv: list[str]) -> bool:
    return any(os.path.basename(word) in ("pytest", "py.test") for word in argv[:6])


def pytest_configure(config: Any) -> None:
    """Take our name out of the variable again: the children of the tests are not our business."""
    plugins = [name for name in os.environ.get("PYTEST_PLUGINS", "").split(",") if name not in ("", MODULE)]
    if plugins:
        os.environ["PYTEST_PLUGINS"] = ",".join(plugins)
    else:
        os.environ.pop("PYTEST_PLUGINS", None)


def pytest_sessionfinish(session: Any, exitstatus: int) -> None:
    """Drop the file, unless this is a worker of a distributed run or a run of another project."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    root = os.path.realpath(str(config.rootpath))
    for repository, spool in _targets.items():
        if root == repository or root.startswith(repository + os.sep):
            try:
                _drop(spool, _summary(session, repository, int(exitstatus)))
            except (OSError, ValueError, AttributeError):
                continue


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

    name = "{}-{}".format(summary["at_ns"], os.getpid())
    fresh = os.path.join(spool, "." + name)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(summary, file)
    os.rename(fresh, os.path.join(spool, name + ".json"))
