"""What stands in a repository, in its ledger and in the daemon's folders after a crash, and what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from governance.changes.sshsig import problem_with as signature_problem  # noqa: F401
from ledger.clock import SystemClock
from ledger.places import Places
from ledger.store import Ledger
from ledger.vocabulary import Entry
from tests.repos import git

KEPT = {
    "changes.lock", "instance.json", "instance.lock", "journal", "keys", "ledger.sqlite3", "ledger.sqlite3-shm",
    "ledger.sqlite3-wal", "ledger.sqlite3.lock", "spool",
}  # fmt: skip
"""What may stand in the state folder; the locks are advisory and die with their holder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The repository as the rounds find it: a broken commit, and work of the owner's beside it."""

    broken: str  # HEAD
    status: str  # of dirty, staged and untracked files
    old: str  # shop/cart.py, broken
    new: str  # shop/cart.py, repaired
    owners: dict[str, str]  # the owner's own files


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The checkout against HEAD and the index."""

    cart: str
    ours: tuple[str, ...]  # commits by the daemon since the start
    status: str
    staged: str
    owners: dict[str, str]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the ledger says."""

    verified: str  # empty: the chain holds
    terminals: dict[str, list[str]] = field(default_factory=dict)  # op -> "STATE cause" each
    items: list[str] = field(default_factory=list)  # states of all signals
    leases: int = 0
    waiting: list[str] = field(default_factory=list)  # ops in the inbox
    intents: dict[str, str] = field(default_factory=dict)


def left_behind(places: Places, *, running: bool) -> tuple[str, ...]:
    """Files and folders that nobody will ever use again. ``running``: a daemon is at work right now."""
    found = [p for p in places.state.iterdir() if p.name not in KEPT]
    found += places.journal.iterdir()
    found += places.keys.glob("*.part")
    found += places.git_dir.rglob("*.lock")
    found += (p for p in places.repo.rglob(".ouro-*") if ".git" not in p.parts)
    found += places.cache.glob("workspaces/*/*")
    found += places.cache.glob("hooks/*")
    found += places.home.parent.glob("memory/*/*")
    if not running:
        found += places.cache.glob("sandbox/*/*")
        found += places.runtime.iterdir()
        found += places.home.parent.glob("tmp/*")
    return tuple(sorted(str(p.relative_to(places.home.parent)) for p in found))


def tree_of(places: Places, start: Start, *, running: bool) -> Tree:
    """Look at the repository with plain git."""
    repo = places.repo
    return Tree(
        cart=(repo / "shop/cart.py").read_text(),
        ours=tuple(git(repo, "log", "--author=Ouroboros", "--format=%H", f"{start.broken}..HEAD").split()),
        status=git(repo, "status", "--porcelain"),
        staged=git(repo, "show", ":other.txt"),
        owners={name: (repo / name).read_text() for name in start.owners},
        left=left_behind(places, running=running),
    )


def faults_of_tree(tree: Tree, start: Start) -> list[str]:
    """Wholly old or wholly new, and HEAD and index agree with that."""
    found = []
    wanted = start.new if tree.ours else start.old
    if tree.cart != wanted:
        state = "new" if tree.cart == start.new else "old" if tree.cart == start.old else "neither old nor new"
        found.append(f"the tree is {state}, with {len(tree.ours)} commits of ours")
    if len(tree.ours) > 1:
        found.append(f"{len(tree.ours)} commits of ours: applied twice")
    if tree.status != start.status:
        found.append(f"tree, index and HEAD disagree: {tree.status!r}")
    if tree.staged != "staged" or tree.owners != start.owners:
        found.append("the owner's own work was changed")
    if tree.left:
        found.append(f"left behind: {', '.join(tree.left)}")
    return found


async def told_by(places: Places) -> Told:
    """Read the ledger as a second process would."""
    ledger = await Ledger.open(places.ledger, repo_id=places.repo_id, clock=SystemClock(), read_only=True)
    try:
        report = await ledger.verify()
        terminals = ends_of(await ledger.entries())
        items = [str(state) for (state,) in await ledger.query("SELECT state FROM intake_items ORDER BY rowid")]
        leases = len(await ledger.query("SELECT op_id FROM intake_leases"))
        waiting = [str(op) for (op,) in await ledger.query("SELECT op_id FROM inbox")]
    finally:
        await ledger.close()
    return Told(
        verified="" if report.ok else str(report), terminals=terminals, items=items, leases=leases, waiting=waiting
    )


def ends_of(entries: list[Entry]) -> dict[str, list[str]]:
    """Every op that has an entry, with its terminal entries."""
    ends: dict[str, list[str]] = {entry.op_id: [] for entry in entries if entry.op_id}
    for entry in entries:
        if entry.op_id and entry.payload.get("event") == "terminal":
            ends[entry.op_id].append(f"{entry.payload['to']} {entry.payload['root_cause']}")
    return ends


def faults_of_record(told: Told, *, ended: str) -> list[str]:
    """Every op ended once; the one signal is done; ``ended`` is how its last op ended, which happens once."""
    found = [f"the chain does not verify: {told.verified}"] if told.verified else []
    found += [f"{op} has {len(ends)} ends: {ends}" for op, ends in told.terminals.items() if len(ends) != 1]
    counted = Counter(end for ends in told.terminals.values() for end in ends)
    if counted[ended] != 1:
        found.append(f"{ended} happened {counted[ended]} times: {dict(counted)}")
    others = set(counted) - {ended, "POSTMORTEM crash_recovered", "NOOP none"}
    if others:
        found.append(f"ops ended otherwise: {sorted(others)}")
    if told.items != ["done"]:
        found.append(f"the signal is not done: {told.items}")
    if told.leases or told.waiting:
        found.append(f"{told.leases} leases are held, {told.waiting} wait")
    return found


def written(value: Any) -> str:
    """A frozen value of this module as JSON."""
    return json.dumps(asdict(value))


def children_of(pid: int) -> dict[int, str]:
    """Processes whose parent is ``pid``, with their command lines."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found[int(child)] = line
    return found
