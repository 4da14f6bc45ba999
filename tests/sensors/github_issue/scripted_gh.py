"""A ``gh`` that a test scripts: a real executable on the search path that answers as GitHub's own does."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ledger.places import HostEnv
from tests.repos import host_env

SCRIPT = """#!/bin/sh
here=$(dirname "$0")
printf '%s|' "$PWD" "$GH_PROMPT_DISABLED" "${GH_TOKEN:-none}" "$@" | tr '\\n' ' ' >> "$here/asked"
echo >> "$here/asked"
[ -e "$here/hang" ] && exec sleep 1000
if [ -e "$here/code" ]; then cat "$here/err" >&2; exit "$(cat "$here/code")"; fi
case "$1 $2" in
  "issue list") cat "$here/list.json" ;;
  "api graphql")
    for word in "$@"; do case "$word" in number=*) cat "$here/past-${word#number=}.json" ;; esac; done ;;
  *) echo "unknown command" >&2; exit 1 ;;
esac
"""


class ScriptedGh:
    """``folder`` belongs on the PATH."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.alone = False  # nothing else is on the path, such as a gh of the machine
        program = folder / "gh"
        program.write_text(SCRIPT)
        program.chmod(0o755)
        self.lists()

    @property
    def path(self) -> str:
        return str(self.folder) if self.alone else f"{self.folder}:{os.environ['PATH']}"

    @property
    def env(self) -> HostEnv:
        return HostEnv(variables={**host_env().variables, "PATH": self.path}, path=self.path)

    @property
    def asked(self) -> list[list[str]]:
        """Folder, whether questions are off, token, then the words of each call."""
        file = self.folder / "asked"
        return [line.split("|")[:-1] for line in file.read_text().splitlines()] if file.exists() else []

    def lists(self, *issues: dict[str, Any]) -> None:
        """What it lists from now on, and that nobody but the author of each had a hand in it."""
        (self.folder / "list.json").write_text(json.dumps(issues))
        for issue in issues:
            self.past(issue["number"], labelled=issue["author"]["login"])

    def past(
        self, number: int, *, labelled: str | None, edited: Sequence[str | None] = (), renamed: Sequence[str] = (),
        more: bool = False,
    ) -> None:  # fmt: skip
        """Who had a hand in an issue."""
        events: list[dict[str, Any]] = [
            {"__typename": "RenamedTitleEvent", "actor": {"login": who}} for who in renamed
        ]  # fmt: skip
        events.append({"__typename": "LabeledEvent", "actor": None, "label": {"name": "bug"}})
        actor = None if labelled is None else {"login": labelled}
        events.append({"__typename": "LabeledEvent", "actor": actor, "label": {"name": "ouroboros"}})
        edits = [{"editor": None if who is None else {"login": who}} for who in edited]
        issue = {
            "userContentEdits": {"pageInfo": {"hasPreviousPage": False}, "nodes": edits},
            "timelineItems": {"pageInfo": {"hasPreviousPage": more}, "nodes": events},
        }
        told = {"data": {"repository": {"issue": issue}}}
        (self.folder / f"past-{number}.json").write_text(json.dumps(told))

    def fails(self, code: int | None, err: str = "") -> None:
        """How it ends from now on; None: as it should."""
        for name, text in (("code", str(code)), ("err", err)):
            (self.folder / name).write_text(text) if code is not None else (self.folder / name).unlink()


def listed(number: int = 12, **changed: Any) -> dict[str, Any]:
    """An issue as ``gh issue list --json`` shows it."""
    return {
        "number": number, "title": "The total is wrong", "body": "", "state": "OPEN",
        "author": {"id": "MDQ6VXNlcjE=", "is_bot": False, "login": "octocat", "name": "Mona"},
        "labels": [{"id": "LA_1", "name": "ouroboros", "description": "", "color": "ededed"}], **changed,
    }  # fmt: skip
