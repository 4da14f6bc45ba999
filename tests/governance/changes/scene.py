"""A real repository, and the room that changes it, as the tests of this room need them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from governance.changes.changes import Changes
from governance.changes.effects import Effects
from governance.changes.hooks import HookRunner, NoHooks
from governance.changes.settings import ChangeSettings
from governance.changes.types import Committed, CommitText, Landing
from ledger.ids import sha256_hex
from ledger.places import Places
from ledger.vocabulary import Candidate, Edit, EditKind, Operation, OwnerConfirms, Signal, Source, Urgency
from tests.repos import git, host_env, make_places, make_repo
from tools.git import Git

OP = "op-0123456789abcdef0123456789abcdef-test_failure"
FILES = {"a.py": "a = 1\n", "pkg/b.py": "b = 1\n", "pkg/c.py": "c = 1\n", "other.txt": "other\n", "notes.txt": "n\n"}
TEXT = CommitText(
    subject="fix: make a right",
    body="The test was red.",
    trailers=(
        ("Ouro-Op", OP),
        ("Ouro-Signal", "test_failure sha256:00"),
        ("Ouro-Risk", "SAFE_AUTO"),
        ("Ouro-Provider", "local small@0 0 USD"),
        ("Ouro-Verified", "1/1 tests, closure closed"),
        ("Ouro-Sandbox", "bwrap"),
        ("Generated-By", "Ouroboros"),
    ),
)
LEDGER = {"ledger_seq": 7, "ledger_hash": "ab" * 32}


def modify(path: str, before: bytes | str, after: bytes | str) -> Edit:
    return Edit(path=path, kind=EditKind.MODIFY, before=sha256_hex(before), after=as_bytes(after))


def create(path: str, after: bytes | str, mode: int = 0o644) -> Edit:
    return Edit(path=path, kind=EditKind.CREATE, before=None, after=as_bytes(after), mode=mode)


def delete(path: str, before: bytes | str) -> Edit:
    return Edit(path=path, kind=EditKind.DELETE, before=sha256_hex(before), after=None)


def rename(old: str, path: str, before: bytes | str, after: bytes | str) -> Edit:
    return Edit(path=path, kind=EditKind.RENAME, before=sha256_hex(before), after=as_bytes(after), renamed_from=old)


def as_bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def candidate(*edits: Edit) -> Candidate:
    return Candidate(edits=edits, provider="scripted", model="m", strategy="cloze")


MIXED = candidate(
    modify("a.py", "a = 1\n", "a = 2\n"),
    modify("pkg/b.py", "b = 1\n", "b = 2\n"),
    create("new/deep/d.py", "d = 1\n"),
    delete("pkg/c.py", "c = 1\n"),
)


def operation(base: str, snapshot: str | None = None) -> Operation:
    signal = Signal(
        id="sig-1", source=Source("test_failure"), goal="mend", key="0" * 64, base=base, snapshot=snapshot,
        closure=OwnerConfirms(question="gone?"),
    )  # fmt: skip
    return Operation(
        id=OP, origin=Source("test_failure"), signals=(signal,), urgency=Urgency.NORMAL, base=base, created_at="now"
    )


def on_disk(repo: Path) -> dict[str, bytes]:
    """Every file of a checkout (not of its git folder), with its bytes."""
    found = {}
    for folder, names, files in os.walk(repo):
        if ".git" in names:
            names.remove(".git")
        for name in (*files, *(n for n in names if (Path(folder) / n).is_symlink())):
            path = Path(folder) / name
            found[str(path.relative_to(repo))] = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
    return found


@dataclass
class Scene:
    repo: Path
    places: Places
    git: Git
    changes: Changes
    base: str

    def land(self, what: Candidate, base: str | None = None, snapshot: str | None = None) -> Landing:
        return self.changes.landing(operation(base or self.base, snapshot), what)

    async def run(self, what: Candidate, text: CommitText = TEXT, base: str | None = None) -> Committed:
        receipt = self.changes.apply(OP, what, self.land(what, base))
        prepared = await self.changes.prepare(receipt, what, text)
        return self.changes.commit(receipt, prepared, text, **LEDGER)  # type: ignore[arg-type]  # ints and strings

    def head(self) -> str:
        return git(self.repo, "rev-parse", "HEAD")

    def show(self, commit: str, path: str) -> str:
        return git(self.repo, "show", f"{commit}:{path}")

    def status(self) -> str:
        return git(self.repo, "status", "--porcelain", "-uall")

    def no_leftovers(self) -> None:
        assert [p for p in on_disk(self.repo) if ".ouro-" in p] == []
        assert list(self.places.journal.iterdir()) == []
        assert not (self.places.git_dir / "index.lock").exists()
        hooks = self.places.cache / "hooks"
        assert not hooks.exists() or list(hooks.iterdir()) == []


def make_changes(
    places: Places,
    settings: ChangeSettings | None = None,
    effects: type[Effects] = Effects,
    hooks: HookRunner | None = None,
) -> tuple[Git, Changes]:
    tool = Git(places, host_env())
    chosen = settings or ChangeSettings(email="ouroboros@box")
    return tool, Changes(git=tool, places=places, settings=chosen, effects=effects(tool), hooks=hooks or NoHooks(tool))


def make_scene(
    base: Path,
    files: dict[str, str] | None = None,
    settings: ChangeSettings | None = None,
    effects: type[Effects] = Effects,
) -> Scene:
    repo = make_repo(base / "repo", files or FILES)
    places = make_places(base, repo)
    tool, changes = make_changes(places, settings, effects)
    return Scene(repo=repo, places=places, git=tool, changes=changes, base=git(repo, "rev-parse", "HEAD"))
