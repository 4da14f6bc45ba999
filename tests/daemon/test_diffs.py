"""What an owner is shown of a change before he says yes: all of it, against what it replaces."""

from __future__ import annotations

from pathlib import Path

from daemon.record.diffs import diff_of
from daemon.views.render import diff_lines
from daemon.views.text import show
from governance.pipeline.diff_text import unified
from governance.record import Recorder
from ledger.events.op import CandidateProposed
from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind
from tests.daemon.records import config_of, opened
from tests.daemon.scripted_api import OP, op_view
from tests.governance.ops import candidate, modify
from tests.repos import commit, make_repo
from tools.git import Git


def shown(*edits: Edit, before: dict[str, bytes] | None = None) -> str:
    return show(diff_lines(unified(edits, before or {})), colour=False)


def test_files_that_come_go_and_move_are_shown_without_a_changed_line() -> None:
    old = b"import os\n"
    edits = (
        Edit(path="x/__init__.py", kind=EditKind.CREATE, before=None, after=b""),
        Edit(path="run.sh", kind=EditKind.CREATE, before=None, after=b"#!/bin/sh\n", mode=0o755),
        Edit(path="gone.txt", kind=EditKind.DELETE, before=sha256_hex(b""), after=None),
        Edit(path="site.py", kind=EditKind.RENAME, before=sha256_hex(old), after=old, renamed_from="tool.py"),
        modify("a.py", b"a = 1\n", b"a = 2\n"),
    )
    text = shown(*edits, before={"gone.txt": b"", "tool.py": old, "a.py": b"a = 1\n"})
    assert text.split("\n") == [
        "  x/__init__.py",
        "  new file mode 100644",
        "  run.sh",
        "  new file mode 100755",
        "       1 + #!/bin/sh",
        "  gone.txt",
        "  deleted file mode 100644",
        "  site.py",
        "  rename from tool.py",
        "  rename to site.py",
        "  a.py",
        "       1 - a = 1",
        "       1 + a = 2",
    ]


def test_no_character_in_a_line_hides_those_behind_it() -> None:
    before, after = b"a = 1\n", b"# part\f\n" * 8 + "b = '\x85\u2028'\nlast = 1\n".encode()
    lines = shown(modify("a.py", before, after), before={"a.py": before}).split("\n")
    assert len(lines) == 1 + 10 and lines[-1].endswith("last = 1")


async def test_the_diff_is_against_the_tree_that_the_change_was_made_for(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "def f():\n    return 1\n"})
    first = commit(repo, "first")
    now = "def f():\n    check()\n    return 1\n"
    tree = commit(repo, "a check", {"a.py": now})
    config = config_of(tmp_path, repo)
    ledger = await opened(config)
    try:
        change = candidate(modify("a.py", now.encode(), b"def f():\n    return 2\n"))
        blob = await ledger.put_blob(change.model_dump_json().encode())
        await Recorder(ledger, op_id=OP).note(CandidateProposed(candidate=blob, tree=tree))
        diff = await diff_of(ledger, Git(config.places, config.env), op_view(id=OP, base=first, commit=None))
    finally:
        await ledger.close()
    assert "-    check()" in diff.split("\n")
