"""Builds trees without the owner's index: in a private index and a scratch folder with only the changed files.

git adds them as ``git add`` would: attributes come from the changed files, then from the private index.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from governance.changes.kit import Kit
from governance.changes.plan import FileChange
from ledger.errors import ApplyConflict, GitFailed
from tools.git import Git

INDEX = "index"
SCRATCH = "scratch"
REGULAR = {"100644": 0o644, "100755": 0o755}
Entries = Mapping[str, tuple[str, str]]  # path -> (mode, object)


def tree_entries(git: Git, tree: str, paths: Collection[str]) -> Entries:
    """The entries of ``paths`` in a tree; missing paths are absent."""
    fields = git.run("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", tree, "--", *paths).fields
    found = {}
    for field in fields:
        meta, path = field.split("\t", 1)
        mode, _, blob = meta.split(" ")
        if path in paths:
            found[path] = (mode, blob)
    return found


def index_entries(git: Git, paths: Collection[str], index: Path | None = None) -> Entries:
    """The entries of ``paths`` in an index (default: the owner's). Unmerged paths get an object that matches none."""
    fields = git.run("--literal-pathspecs", "ls-files", "-s", "-z", "--", *paths, index=index).fields
    found = {}
    for field in fields:
        meta, path = field.split("\t", 1)
        mode, blob, stage = meta.split(" ")
        found[path] = (mode, blob if stage == "0" else f"unmerged {blob}")
    return {path: entry for path, entry in found.items() if path in paths}


def index_lines(entries: Entries, paths: Collection[str], width: int) -> bytes:
    """``update-index -z --index-info`` lines that give ``paths`` these entries; removals first."""
    gone = [f"0 {'0' * width}\t{path}\0" for path in paths if path not in entries]
    there = [f"{entries[path][0]} {entries[path][1]}\t{path}\0" for path in paths if path in entries]
    return "".join(gone + there).encode("utf-8", errors="surrogateescape")


def build_tree(kit: Kit, folder: Path, parent: str, changes: Collection[FileChange]) -> str:
    """The tree of ``parent`` with ``changes`` applied. Works in ``folder``; checkout and owner's index are not touched.

    Raises ``ApplyConflict`` when a file to change is not a regular file in the tree, or a file to create exists.
    """
    index, scratch = folder / INDEX, folder / SCRATCH
    kit.effects.remove_private(scratch)
    kit.effects.make_private(scratch)
    kit.effects.read_tree(index, parent)
    paths = tuple(c.path for c in changes)
    modes = _modes(changes, index_entries(kit.git, paths, index))
    kit.effects.lay_out(scratch, {c.path: (c.data, modes[c.path]) for c in changes if c.data is not None})
    try:
        kit.effects.stage(index, scratch, paths)
    except GitFailed as error:
        raise ApplyConflict(
            f"git does not take these files into a tree: {error.stderr.strip() or error.message}", paths=paths
        ) from error
    tree = kit.effects.write_tree(index)
    kit.effects.remove_private(scratch)
    return tree


def _modes(changes: Collection[FileChange], entries: Entries) -> dict[str, int]:
    """File modes in the tree: existing files keep theirs, renamed ones that of the old name."""
    modes = {}
    for change in changes:
        entry = entries.get(change.path)
        expected = change.before is not None
        if expected != (entry is not None) or (entry and entry[0] not in REGULAR):
            what = "is no regular file" if expected else "exists"
            raise ApplyConflict(f"{change.path} {what} in the tree that the work stands on.", paths=(change.path,))
        source = entries.get(change.moved_from) if change.moved_from else entry
        executable = source[0] == "100755" if source else bool(change.mode & 0o111)
        modes[change.path] = 0o755 if executable else 0o644
    return modes


def graft_tree(kit: Kit, folder: Path, *, onto: str, tree: str, paths: Collection[str]) -> str:
    """The tree of ``onto`` with the entries that ``paths`` have in ``tree``."""
    index = folder / INDEX
    kit.effects.read_tree(index, onto)
    kit.effects.graft(index, index_lines(tree_entries(kit.git, tree, paths), paths, len(tree)))
    return kit.effects.write_tree(index)
