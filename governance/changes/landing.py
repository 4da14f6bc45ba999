"""Where a change may land: a pure decision on facts gathered from git."""

from __future__ import annotations

from collections.abc import Collection

from governance.changes.folders import NOT_A_FILE, read_state_at
from governance.changes.types import Landing, Mode
from ledger.errors import ApplyConflict, RepositoryBusy
from ledger.events.change import LandingCause
from ledger.vocabulary import Candidate, EditKind, Frozen
from tools.git import Git
from tools.repository import read_head

REVIEW = "refs/heads/ouro/review/"
UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "sequencer": "cherry-pick or revert",
    "BISECT_LOG": "bisect",
}


class LandingFacts(Frozen):
    """Input of the decision."""

    mode: Mode  # the owner's setting
    op_id: str
    base: str  # commit the op was planned on
    tree: str  # commit whose files it works on: differs from ``base`` for an uncommitted snapshot
    head: str | None
    head_ref: str | None  # None: detached
    forward: bool = True  # HEAD is ``base`` or a descendant of it
    touched: tuple[str, ...] = ()  # the candidate's paths that changed between ``base`` and HEAD
    in_the_way: tuple[str, ...] = ()  # the candidate's paths with work of the owner in them
    converted: tuple[str, ...] = ()  # unchanged for git, but with other bytes than a checkout of the commit has


def decide(facts: LandingFacts) -> Landing:
    """A dry run if set; the branch if there is no reason against it; else a review branch."""
    review_ref = f"{REVIEW}{facts.op_id}"
    if facts.mode == "dry-run":
        return Landing(mode="dry-run", ref="", reason="Only the diff was asked for.", base=facts.tree)
    against = _against_branch(facts)
    if against is not None:
        cause, reason = against
        return Landing(
            mode="review", ref=review_ref, cause=cause, reason=reason, base=facts.tree, review_ref=review_ref
        )
    moved = "" if facts.head == facts.base else ", which moved on without touching these files"
    return Landing(
        mode="branch",
        ref=facts.head_ref,
        reason=f"The files are clean on the branch that is checked out{moved}.",
        base=facts.base,
        review_ref=review_ref,
    )


def _against_branch(facts: LandingFacts) -> tuple[LandingCause, str] | None:
    if facts.mode == "review":
        return LandingCause.SETTING, "Review branches are the owner's setting."
    if facts.tree != facts.base:
        return LandingCause.SNAPSHOT, "The work stands on a snapshot of uncommitted files."
    if facts.head_ref is None:
        return LandingCause.DETACHED, "HEAD is detached."
    if facts.head is None or not facts.forward:
        return (
            LandingCause.NOT_CONTAINED,
            "The branch that is checked out does not contain the commit that the work was planned on.",
        )
    if facts.touched:
        return LandingCause.MOVED_ON, f"The branch moved on and changed {_names(facts.touched)}."
    if facts.in_the_way:
        return LandingCause.OWN_WORK, f"The owner has work of his own in {_names(facts.in_the_way)}."
    if facts.converted:
        return LandingCause.CONVERTED, (
            f"git takes {_names(facts.converted)} for unchanged, but its bytes are not those that a checkout of the "
            "commit has: look at core.autocrlf, .gitattributes and the marks assume-unchanged and skip-worktree "
            "(`git ls-files -v`)."
        )
    return None


def _names(paths: tuple[str, ...]) -> str:
    shown = ", ".join(paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"


def paths_of(candidate: Candidate) -> tuple[str, ...]:
    """All paths that a candidate touches, including old names of renames."""
    both = (p for e in candidate.edits for p in (e.renamed_from, e.path) if p)
    return tuple(dict.fromkeys(both))


def refuse_foreign_state(git: Git) -> None:
    """Raise ``RepositoryBusy`` during a merge, rebase, bisect, cherry-pick or revert."""
    for name, what in UNDER_WAY.items():
        if (git.places.git_dir / name).exists():
            raise RepositoryBusy(f"A {what} is under way in {git.places.repo}.", remedy="Finish or abort it first.")


def head_ref(git: Git) -> str | None:
    """Full name of the branch that is checked out; None when HEAD is detached."""
    done = git.run("symbolic-ref", "-q", "HEAD", ok=(0, 1))
    return done.text if done.code == 0 else None


def tip(git: Git, ref: str) -> str | None:
    """The commit of ``ref``; None when there is none."""
    done = git.run("rev-parse", "--verify", "-q", f"{ref}^{{commit}}", ok=(0, 1, 128))
    return done.text if done.code == 0 else None


def contains(git: Git, commit: str, descendant: str) -> bool:
    """Whether ``commit`` is ``descendant`` or an ancestor of it."""
    if commit == descendant:
        return True
    return git.run("merge-base", "--is-ancestor", commit, descendant, ok=(0, 1, 128)).code == 0


def touched_between(git: Git, old: str, new: str, paths: Collection[str]) -> tuple[str, ...]:
    """Those of ``paths`` that differ between two commits, or are below or above a path that does."""
    if old == new:
        return ()
    changed = git.run("diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", old, new).fields
    return tuple(p for p in paths if any(c == p or c.startswith(f"{p}/") or p.startswith(f"{c}/") for c in changed))


def gather(git: Git, *, mode: Mode, op_id: str, base: str, tree: str, candidate: Candidate) -> LandingFacts:
    """Gather the facts from git and disk. Raises ``RepositoryBusy`` as :func:`refuse_foreign_state` does."""
    refuse_foreign_state(git)
    paths = paths_of(candidate)
    there = read_head(git)
    head = there.commit
    forward = head is not None and contains(git, base, head)
    in_the_way, converted = _unready(git, candidate, paths)
    return LandingFacts(
        mode=mode,
        op_id=op_id,
        base=base,
        tree=tree,
        head=head,
        head_ref=there.ref,
        forward=forward,
        touched=touched_between(git, base, head, paths) if forward and head else (),
        in_the_way=in_the_way,
        converted=converted,
    )


def _unready(git: Git, candidate: Candidate, paths: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Paths that the owner works on, and paths with other bytes than were read although git calls them unchanged.

    The first are staged, dirty or untracked; new paths that exist already; old ones not on disk.
    """
    status = git.run(
        "--literal-pathspecs",
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignore-submodules=all",
        "--",
        *paths,
    )
    found = {entry[3:] for entry in status.fields}
    converted: list[str] = []
    for edit in candidate.edits:
        new = edit.path if edit.kind in (EditKind.CREATE, EditKind.RENAME) else None
        old = edit.renamed_from if edit.kind is EditKind.RENAME else edit.path
        try:
            if new and read_state_at(git.places.repo, new).sha is not None:
                found.add(new)
            if old and old != new:
                on_disk = read_state_at(git.places.repo, old).sha
                if on_disk in (None, NOT_A_FILE):
                    found.add(old)
                elif on_disk != edit.before and old not in found:
                    converted.append(old)
        except (ApplyConflict, OSError):
            found.add(edit.path)  # a link or something unreadable: never written through
    return tuple(p for p in paths if p in found) + tuple(sorted(found.difference(paths))), tuple(converted)
