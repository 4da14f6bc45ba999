"""What stands in a repository, in its ledger and in the daemon's folders after a crash, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from governance.grounding.trust import read_table, trust_from
from ledger.clock import SystemClock
from ledger.events.event import event_in
from ledger.events.grounding import ClaimMade, grades_in
from ledger.places import Places
from ledger.store import Ledger
from ledger.vocabulary import Entry, EntryKind
from tests.repos import git

CART = "shop/cart.py"
ALSO = {"POSTMORTEM crash_recovered", "NOOP none"}
KEPT = {
    "changes.lock", "control.token", "heads", "instance.json", "instance.lock", "journal", "keys", "ledger.sqlite3",
    "ledger.sqlite3-shm", "ledger.sqlite3-wal", "ledger.sqlite3.lock", "spool",
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
class Told:
    """What the ledger says."""

    verified: str  # empty: the chain holds
    ends: dict[str, list[str]]  # op -> "STATE cause" of each terminal entry
    outcomes: Counter[str]
    items: list[str]  # states of all signals
    leases: int
    waiting: int
    refused: int
    claims: str  # empty: every claim is graded, and trust is what the log makes of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The checkout against HEAD and the index."""

    cart: str
    ours: tuple[str, ...]  # commits by the daemon since the start
    reviews: tuple[str, ...]  # review branches
    status: str
    staged: str
    owners: dict[str, str]
    left: tuple[str, ...]


def left_behind(places: Places, *, running: bool) -> tuple[str, ...]:
    """Files and folders that nobody will ever use again. ``running``: a daemon is at work right now."""
    base = places.home.parent
    found = [p for p in places.state.iterdir() if p.name not in KEPT]
    found += places.journal.iterdir()
    found += places.keys.glob("*.part")
    found += places.git_dir.rglob("*.lock")
    found += (p for p in places.repo.rglob(".ouro-*") if ".git" not in p.parts)
    found += (*places.cache.glob("workspaces/*/*"), *places.cache.glob("hooks/*"), *base.glob("memory/*/*"))
    found += (*places.cache.glob(".ouro-probe-*"), *places.runtime.glob(".ouro-probe-*"))
    if not running:
        found += (*places.cache.glob("sandbox/*/*"), *places.runtime.iterdir(), *base.glob("tmp/*"))
    return tuple(sorted(str(p.relative_to(base)) for p in found))


def tree_of(places: Places, start: Start, *, running: bool) -> Tree:
    """Look at the repository with plain git."""
    repo = places.repo
    return Tree(
        cart=(repo / CART).read_text(),
        ours=tuple(git(repo, "log", "--author=Ouroboros", "--format=%H", f"{start.broken}..HEAD").split()),
        reviews=tuple(git(repo, "for-each-ref", "--format=%(refname)", "refs/heads/ouro").split()),
        status=git(repo, "status", "--porcelain"),
        staged=git(repo, "show", ":other.txt"),
        owners={name: (repo / name).read_text() for name in start.owners},
        left=left_behind(places, running=running),
    )


def faults_of_tree(tree: Tree, start: Start, *, review: bool, undo: bool) -> list[str]:
    """Wholly old or wholly new, and HEAD and index agree with that.

    ``review``: a branch of its own holds the work. ``undo``: a second commit may take the first one back.
    """
    found = []
    done = tree.reviews if review else tree.ours
    if len(done) > 1 + undo:
        found.append(f"applied twice: {done}")
    if tree.ours if review else tree.reviews:
        found.append(f"landed where it should not: {tree.ours} {tree.reviews}")
    if tree.cart != (start.new if len(tree.ours) % 2 else start.old):
        state = "new" if tree.cart == start.new else "old" if tree.cart == start.old else "neither old nor new"
        found.append(f"the tree is {state}, with {len(tree.ours)} commits of ours")
    if without(tree.status, CART if review else "") != start.status:
        found.append(f"tree, index and HEAD disagree: {tree.status!r}")
    if tree.staged != "staged" or tree.owners != start.owners:
        found.append("the owner's own work was changed")
    if tree.left:
        found.append(f"left behind: {', '.join(tree.left)}")
    return found


def without(status: str, path: str) -> str:
    """A status without the line of ``path``: an owner who moved the branch by plumbing leaves one."""
    return "\n".join(line for line in status.splitlines() if not path or not line.endswith(path)).strip()


async def told_by(places: Places) -> Told:
    """Read the ledger as a second process would."""
    ledger = await Ledger.open(places.ledger, repo_id=places.repo_id, clock=SystemClock(), read_only=True)
    try:
        report = await ledger.verify()
        ends, outcomes = ends_of(await ledger.entries())
        tables = ("count(*) FROM intake_leases", "count(*) FROM inbox", "count(DISTINCT op_id) FROM refused_diffs")
        counts = [await ledger.query(f"SELECT {table}") for table in tables]
        leases, waiting, refused = (int(str(rows[0][0])) for rows in counts)
        claims = await claims_of(ledger)
        items = [str(state) for (state,) in await ledger.query("SELECT state FROM intake_items ORDER BY rowid")]
    finally:
        await ledger.close()
    return Told(
        verified="" if report.ok else str(report), ends=ends, outcomes=outcomes, items=items, leases=leases,
        waiting=waiting, refused=refused, claims=claims,
    )  # fmt: skip


async def claims_of(ledger: Ledger) -> str:
    """What is wrong with the convergence records of ops that have all ended."""
    entries = await ledger.entries(kinds=(EntryKind.GROUNDING,))
    claimed = {entry.seq for entry in entries if event_in(entry, ClaimMade)}
    graded = [grade for entry in entries for grade in grades_in(entry)]
    still_open = claimed - {grade.record for grade in graded}
    first = [grade.record for grade in graded if grade.was is None]
    table, log = (await read_table(ledger))[1], trust_from(entries).tallies
    found = [f"open: {sorted(still_open)}"] if still_open else []
    found += ["graded twice"] if len(first) != len(set(first)) else []
    return "; ".join(found + ([f"the table says {table}, the log {log}"] if table != log else []))


def ends_of(entries: list[Entry]) -> tuple[dict[str, list[str]], Counter[str]]:
    """Every op that has an entry, with its terminal entries; and how many outcomes each has."""
    ends: dict[str, list[str]] = {entry.op_id: [] for entry in entries if entry.op_id}
    outcomes: Counter[str] = Counter()
    for entry in entries:
        if entry.op_id and entry.payload.get("event") == "terminal":
            ends[entry.op_id].append(f"{entry.payload['to']} {entry.payload['root_cause']}")
        if entry.op_id and entry.payload.get("event") == "outcome":
            outcomes[entry.op_id] += 1
    return ends, outcomes


def faults_of_record(told: Told, *, ended: str, item: str, refused: bool) -> list[str]:
    """Every op ended once. One ended as ``ended`` (empty: none did); the others are crashes that were recovered.

    ``item`` is where every signal stands: there is one, or (after another look at the same commit) its repeats.
    ``refused``: the diff must be remembered as one that is never applied again.
    """
    found = [f"the chain does not verify: {told.verified}"] if told.verified else []
    found += [f"claims: {told.claims}"] if told.claims else []
    found += [f"{op} has {len(ends)} ends: {ends}" for op, ends in told.ends.items() if len(ends) != 1]
    found += [f"{op} has {count} outcomes" for op, count in told.outcomes.items() if count != 1]
    counted = Counter(end for ends in told.ends.values() for end in ends)
    if counted[ended] != bool(ended) or set(counted) - {ended, *ALSO}:
        found.append(f"the ops ended otherwise: {dict(counted)}")
    if set(told.items) != {item}:
        found.append(f"the signal is not {item}: {told.items}")
    if told.leases or told.waiting:
        found.append(f"{told.leases} leases are held, {told.waiting} ops wait")
    if told.refused != refused:
        found.append(f"what {told.refused} ops did is refused")
    return found


def children_of(pid: int) -> Mapping[int, str]:
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
