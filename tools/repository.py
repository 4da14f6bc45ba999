"""Read-only queries of the owner's git repository.

Nothing here moves a ref, writes the owner's index or touches a file of the checkout; ``snapshot`` adds objects only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ledger.errors import GitFailed, RepositoryBusy, RepositoryError
from tools.git import DAMAGED, Git, size_in_tree
from tools.private_index import scratch_index

_BUSY = (
    ("MERGE_HEAD", "A merge is under way", "`git merge --continue` or `git merge --abort`"),
    ("rebase-merge", "A rebase is under way", "`git rebase --continue` or `git rebase --abort`"),
    ("rebase-apply/applying", "Patches are being applied with `git am`", "`git am --continue` or `git am --abort`"),
    ("rebase-apply", "A rebase is under way", "`git rebase --continue` or `git rebase --abort`"),
    ("CHERRY_PICK_HEAD", "A cherry-pick is under way", "`git cherry-pick --continue` or `git cherry-pick --abort`"),
    ("REVERT_HEAD", "A revert is under way", "`git revert --continue` or `git revert --abort`"),
    ("BISECT_LOG", "A bisect is under way", "`git bisect reset`"),
)
_IDENTITY = ("ouroboros", "ouroboros@localhost")
UNTRACKED_LIMIT_BYTES = 16 * 1024 * 1024
LARGEST_BYTES = 32 * 1024 * 1024
MOST_BYTES = 512 * 1024 * 1024
GITLINK = "160000"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadState:
    """HEAD: ``commit`` is None before the first commit, ``branch`` and ``ref`` are None when detached."""

    commit: str | None
    branch: str | None
    ref: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtyPath:
    """One path that differs from HEAD: in the index, in the work tree, or as an untracked file."""

    path: str
    staged: bool
    unstaged: bool
    untracked: bool


def read_head(git: Git) -> HeadState:
    """Commit, branch name and full ref of HEAD, by one call of git where there is a commit; blocks."""
    asked = git.run("rev-parse", "-q", "HEAD^{commit}", "--symbolic-full-name", "HEAD", ok=(0, 128))
    commit, _, name = asked.text.partition("\n") if asked.code == 0 else ("", "", "")
    ref = name if name != "HEAD" else None
    if not name:  # before the first commit, or another ref is called HEAD as well
        ref = git.run("symbolic-ref", "-q", "HEAD", ok=(0, 1)).text or None
    branch = ref.removeprefix("refs/heads/") if ref and ref.startswith("refs/heads/") else None
    return HeadState(commit=commit or None, branch=branch, ref=ref)


class Repository:
    """Queries by git commands. Raises ``GitFailed`` where git fails, e.g. for an unknown commit."""

    def __init__(self, git: Git, *, untracked_limit_bytes: int = UNTRACKED_LIMIT_BYTES) -> None:
        self._git = git
        self._untracked_limit_bytes = untracked_limit_bytes

    async def head(self) -> HeadState:
        """Commit, branch name and full ref of HEAD."""
        return await asyncio.to_thread(read_head, self._git)

    async def check(self) -> str:
        """The commit of HEAD, when the repository can be worked on.

        Raises ``RepositoryError`` (no repository, bare, empty, damaged HEAD) or ``RepositoryBusy`` (a merge, rebase,
        conflict ... in progress).
        """
        places = self._git.places
        if not places.repo.is_dir() or not (places.git_dir / "HEAD").is_file():
            raise RepositoryError(
                f"{places.repo} is not a git repository.", remedy="Run it in a repository, or `git init` one."
            )
        bare, head, unmerged = await asyncio.gather(
            self._git.call("config", "--type=bool", "--get", "core.bare", ok=(0, 1)),
            self.head(),
            self._git.call("ls-files", "-u", "-z"),
        )
        if bare.text == "true":
            raise RepositoryError(
                f"{places.repo} is a bare repository: it has no files to test.", remedy="Use a clone with a checkout."
            )
        if head.commit is None:
            named = (await self._git.call("rev-parse", "-q", "--verify", "HEAD", ok=(0, 1))).text
            if named:
                raise RepositoryError(
                    f"The commit {named[:12]} that HEAD of {places.repo} names is damaged or gone.", remedy=DAMAGED
                )
            raise RepositoryError(f"{places.repo} has no commit yet.", remedy="Make a first commit.")
        for name, what, remedy in _BUSY:
            if (places.git_dir / name).exists():
                raise RepositoryBusy(f"{what} in {places.repo}.", remedy=f"Finish it first: {remedy}.")
        for row in unmerged.fields[:1]:
            path = row.partition("\t")[2]
            raise RepositoryBusy(f"{path} has an unresolved conflict.", remedy="Resolve it and `git add` the file.")
        return head.commit

    async def parent(self, commit: str) -> str | None:
        """First parent, None for a root commit."""
        listed = (await self._git.call("rev-list", "--parents", "-n", "1", commit, "--")).text.split()
        return listed[1] if len(listed) > 1 else None

    async def read(self, commit: str, path: str) -> bytes | None:
        """Bytes of a regular file at a commit; None when there is none (a link or a folder is not one).

        Raises ``RepositoryError`` for one that is larger than ``LARGEST_BYTES``.
        """
        sha, size = await self._blob(commit, path) or ("", 0)
        if size > LARGEST_BYTES:
            raise RepositoryError(
                f"{path} has {size} bytes at {commit[:12]}, more than the {LARGEST_BYTES} that are read.",
                remedy="Keep files of that size out of what Ouroboros works on.",
            )
        return (await self._git.call("cat-file", "blob", sha)).out if sha else None

    async def size(self, commit: str, path: str) -> int | None:
        """Size in bytes of a regular file at a commit; None when there is none."""
        found = await self._blob(commit, path)
        return found[1] if found else None

    async def _blob(self, commit: str, path: str) -> tuple[str, int] | None:
        """Object name and size of a regular file at a commit; None when there is none."""
        for row in (await self._git.call("ls-tree", "-l", "-z", "--full-tree", commit, "--", path)).fields:
            meta, _, name = row.partition("\t")
            mode, _, sha, size = meta.split()
            if name == path and mode.startswith("100"):
                return sha, size_in_tree(size, path)
        return None

    async def read_many(self, commit: str, paths: Collection[str]) -> dict[str, bytes]:
        """Bytes of those ``paths`` that are files at a commit. Left out are names with newlines, files larger than
        ``LARGEST_BYTES``, and those beyond ``MOST_BYTES`` in sum: a few packed kilobytes can expand to gigabytes."""
        asked = [path for path in paths if "\n" not in path]
        lines = "".join(f"{commit}:{path}\n" for path in asked).encode("utf-8", errors="surrogateescape")
        heads = (await self._git.call("cat-file", "--batch-check", stdin=lines)).out.split(b"\n")
        blobs: dict[str, tuple[bytes, int]] = {}
        left = MOST_BYTES
        for path, head in zip(asked, heads, strict=False):
            name, *rest = head.split(b" ")
            if len(rest) == 2 and rest[0] == b"blob" and int(rest[1]) <= min(left, LARGEST_BYTES):
                blobs[path] = (name, int(rest[1]))
                left -= int(rest[1])
        return await self._contents(blobs) if blobs else {}

    async def _contents(self, blobs: Mapping[str, tuple[bytes, int]]) -> dict[str, bytes]:
        """Bytes of ``blobs`` (path to object name and size), by path. Raises ``RepositoryError`` for a damaged one."""
        names = b"".join(name + b"\n" for name, _ in blobs.values())
        room = MOST_BYTES + 256 * len(blobs)  # with a header line for each
        out = (await self._git.call("cat-file", "--batch", stdin=names, most_bytes=room)).out
        found: dict[str, bytes] = {}
        at = 0
        for path, (name, size) in blobs.items():
            head = b"%s blob %d\n" % (name, size)
            if not out.startswith(head, at) or len(out) < at + len(head) + size:
                raise RepositoryError(
                    f"git cannot read {path}: its object {name.decode()[:12]} is damaged or gone.", remedy=DAMAGED
                )
            at += len(head)
            found[path] = out[at : at + size]
            at += size + 1
        return found

    async def has_branch(self, branch: str) -> bool:
        """True when the branch (short name) exists."""
        return (await self._git.call("rev-parse", "-q", "--verify", f"refs/heads/{branch}", ok=(0, 1, 128))).code == 0

    async def files(self, commit: str) -> tuple[str, ...]:
        """Every path of the commit's tree; submodules are left out."""
        rows = (await self._git.call("ls-tree", "-r", "-z", "--full-tree", commit)).fields
        return tuple(row.partition("\t")[2] for row in rows if not row.startswith(GITLINK))

    async def sizes(self, commit: str) -> dict[str, int]:
        """The bytes of each regular file of the commit's tree."""
        rows = (await self._git.call("ls-tree", "-r", "-l", "-z", "--full-tree", commit)).fields
        cut = (row.partition("\t") for row in rows if row.startswith("100"))
        return {path: size_in_tree(meta.split()[3], path) for meta, _, path in cut}

    async def changed_between(self, old: str, new: str) -> tuple[str, ...]:
        """Paths that differ between two commits; a rename is two paths."""
        return (await self._git.call("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new, "--")).fields

    async def dirty(self, paths: Collection[str] = ()) -> tuple[DirtyPath, ...]:
        """Uncommitted changes of ``paths``, or of everything when it is empty."""
        status = ("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all")
        rows = (await self._git.call(*status, "--", *sorted(paths))).fields
        return tuple(
            DirtyPath(
                path=row[3:],
                staged=row[0] not in " ?",
                unstaged=row[1] not in " ?",
                untracked=row[:2] == "??",
            )
            for row in rows
        )

    async def trailers(self, commit: str, path: str = "") -> dict[str, str]:
        """Trailers of the commit's message; with ``path``, of the last commit in its history that changed that path.
        The values of a repeated trailer are joined by newlines."""
        args = ("log", "-1", "--format=%(trailers:only,unfold)", commit, "--", *([path] if path else []))
        text = (await self._git.call(*args)).text
        found: dict[str, str] = {}
        for line in text.splitlines():
            key, separator, value = line.partition(":")
            if separator:
                found[key] = f"{found[key]}\n{value.strip()}" if key in found else value.strip()
        return found

    async def has(self, commit: str) -> bool:
        """True when the commit exists."""
        return (await self._git.call("cat-file", "-e", f"{commit}^{{commit}}", ok=(0, 1, 128))).code == 0

    async def committed_at(self, commit: str) -> datetime:
        """When a commit was made (its committer's time, UTC)."""
        return datetime.fromtimestamp(int((await self._git.call("log", "-1", "--format=%ct", commit, "--")).text), UTC)

    async def last_touched(self, commit: str, path: str) -> str | None:
        """The last commit in the history of ``commit`` that changed ``path``; None when there is none."""
        args = ("log", "-1", "--format=%H", commit, "--", path)
        return (await self._git.call(*args)).text or None

    async def line_ages(self, commit: str, path: str) -> tuple[datetime, ...]:
        """Author time of each line of a file at a commit; empty when there is no such file."""
        blame = ("-c", "blame.ignoreRevsFile=", "blame", "--line-porcelain", "--no-textconv")
        done = await self._git.call(*blame, commit, "--", path, ok=(0, 128))
        times = (line.split(b" ")[1] for line in done.out.split(b"\n") if line.startswith(b"author-time "))
        return tuple(datetime.fromtimestamp(int(seconds), UTC) for seconds in times)

    async def snapshot(self) -> str:
        """Commit of the uncommitted tree (tracked changes, and untracked files that are not ignored) on top of HEAD.

        No ref moves and the owner's index is only copied. The same tree on the same HEAD gives the same commit; a clean
        checkout gives HEAD itself. Untracked files above the size limit are left out.
        """
        return await asyncio.to_thread(self._snapshot)

    def _snapshot(self) -> str:
        git, places = self._git, self._git.places
        head = git.run("rev-parse", "--verify", "HEAD^{commit}").text
        with scratch_index(git, places.repo, start=places.git_dir / "index", folder=places.runtime) as index:
            if not index.index.exists():
                index.load(head)
            index.take_all(limit_bytes=self._untracked_limit_bytes)
            tree = index.write_tree()
        if tree == git.run("rev-parse", f"{head}^{{tree}}").text:
            return head
        name, mail = _IDENTITY
        # The date of HEAD makes the id a function of tree and parent.
        date = git.run("show", "-s", "--format=%ct +0000", head).text
        who = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", name), ("EMAIL", mail), ("DATE", date))
        }
        made = git.run("commit-tree", tree, "-p", head, "-m", "Uncommitted work", extra_env=who).text
        if not made:
            raise GitFailed("`git commit-tree` named no commit.", argv=("git", "commit-tree"), code=0, stderr="")
        return made
