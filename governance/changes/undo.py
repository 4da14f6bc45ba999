"""``ouro undo``: reverts an op's commit by a new commit, made like every other change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from governance.changes import commit_object
from governance.changes.kit import Kit
from governance.changes.landing import contains
from governance.changes.signing import Identity
from governance.changes.trailers import UNDOES
from governance.changes.trees import REGULAR
from governance.changes.types import CommitText
from ledger.errors import ApplyConflict, ChangeError
from ledger.ids import sha256_hex
from ledger.vocabulary import Candidate, Edit, EditKind
from tools.git import Git

NOTHING = "000000"


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of ``git diff-tree``: modes before and after, and the path."""

    old_mode: str
    new_mode: str
    path: str


def plan_undo(kit: Kit, identity: Identity, op_id: str, commit: str) -> tuple[Candidate, str, CommitText]:
    """The inverse edits against HEAD, HEAD itself, and the message.

    Raises ``ChangeError`` when the commit is not ours or not in HEAD, ``ApplyConflict`` when later changes overlap.
    """
    git = kit.git
    check = commit_object.check(git.run("cat-file", "commit", commit).out, identity)
    if not check.signed or check.trailers.get("Ouro-Op") != op_id:
        raise ChangeError(f"{commit} is not a commit of {op_id} signed by this daemon; it is not undone.")
    head = git.run("rev-parse", "--verify", "HEAD^{commit}").text
    if not contains(git, commit, head):
        raise ChangeError(
            f"{commit[:12]} is not in the branch that is checked out.",
            remedy="A review branch is dropped with `git branch -D`; otherwise check out the branch that has it.",
        )
    edits = tuple(e for row in _rows(git, commit) if (e := _inverse(git, row, commit, head)) is not None)
    if not edits:
        raise ChangeError(f"Nothing of {op_id} is left to undo.")
    subject = git.run("show", "-s", "--format=%s", commit).text
    text = CommitText(
        subject=f"revert: {subject}",
        body=f"This takes back {commit}, made by {op_id}, because its owner asked for it.",
        trailers=((UNDOES, op_id), ("Generated-By", "Ouroboros")),
    )
    candidate = Candidate(edits=edits, rationale=f"undo of {op_id}", provider="none", model="none", strategy="undo")
    return candidate, head, text


def _rows(git: Git, commit: str) -> tuple[_Row, ...]:
    raw = git.run("diff-tree", "-r", "-z", "--no-renames", "--no-ext-diff", "--raw", f"{commit}^", commit).fields
    rows = []
    for meta, path in zip(raw[::2], raw[1::2], strict=True):
        old_mode, new_mode, *_ = meta.lstrip(":").split(" ")
        if {old_mode, new_mode} - {NOTHING, *REGULAR}:
            raise ApplyConflict(f"{path} is no regular file; it is not undone.", paths=(path,))
        rows.append(_Row(old_mode, new_mode, path))
    return tuple(rows)


def _bytes(git: Git, commit: str, path: str) -> bytes | None:
    """A file of ``commit`` as checked out (filters applied); None when there is none."""
    done = git.run("cat-file", "--filters", f"{commit}:{path}", ok=(0, 128))
    return done.out if done.code == 0 else None


def _inverse(git: Git, row: _Row, commit: str, head: str) -> Edit | None:
    """The edit that reverts one file; None when it is reverted already."""
    before, after = _bytes(git, f"{commit}^", row.path), _bytes(git, commit, row.path)
    now = _bytes(git, head, row.path)
    if now == before:
        return None
    wanted = before if now == after else _merge(git, row.path, now=now, base=after, wanted=before)
    if wanted is None:
        return Edit(path=row.path, kind=EditKind.DELETE, before=_sha(now), after=None)
    mode = REGULAR.get(row.old_mode, 0o644)
    if now is None:
        return Edit(path=row.path, kind=EditKind.CREATE, before=None, after=wanted, mode=mode)
    return Edit(path=row.path, kind=EditKind.MODIFY, before=_sha(now), after=wanted, mode=mode)


def _sha(data: bytes | None) -> str | None:
    return None if data is None else sha256_hex(data)


def _merge(git: Git, path: str, *, now: bytes | None, base: bytes | None, wanted: bytes | None) -> bytes:
    """HEAD's version of the file with the op's change removed (three-way merge)."""
    if now is None or base is None or wanted is None:
        raise ApplyConflict(f"{path} was made or removed since; it cannot be undone by itself.", paths=(path,))
    with TemporaryDirectory(prefix="ouro-undo-") as folder:
        names = []
        for name, data in (("now", now), ("base", base), ("wanted", wanted)):
            (Path(folder) / name).write_bytes(data)
            names.append(str(Path(folder) / name))
        done = git.run("merge-file", "-p", "-q", *names, ok=tuple(range(256)))
    if done.code:
        raise ApplyConflict(
            f"Later changes to {path} overlap with what would be undone.",
            paths=(path,),
            remedy="Undo the later change first, or edit the file by hand.",
        )
    return done.out
