"""Draws the tasks of one half: a fault that some tests notice, and which of the tests the repairer will not see."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bench.tasks.mutations import Mutation, mutations
from bench.tasks.packages import Package, Ran, run, sources
from daemon.evaluation.mine import by_file, half_of, without

CLASSES = {
    "one line 1": ("operator", "boundary", "condition"),
    "one line 2": ("constant", "name", "arguments"),
    "one line 3": ("operator", "boundary", "condition", "constant", "name", "arguments"),
    "wrong call": ("call", "missing call"),
    "missing": ("missing line", "missing lines"),
    "several": ("operator", "boundary", "condition", "constant", "name", "call", "missing line", "branches"),
}
TRIES, MOST_RED = 60, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """``old`` at ``start`` becomes ``new`` in a file with this sha256."""

    file: str
    sha256: str
    start: int
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task. ``red`` are the failing test functions that are shown, ``hidden`` those (of either kind) that are not."""

    name: str
    package: str
    kind: str
    faults: tuple[str, ...]
    edits: tuple[Edit, ...]
    red: tuple[str, ...]
    hidden: tuple[str, ...]
    known_red: tuple[str, ...]


class Draw:
    """The tasks of one package."""

    def __init__(self, package: Package, root: Path, python: Path, scratch: Path, seed: int) -> None:
        self._package, self._python, self._scratch, self._seed = package, python, scratch, seed
        self._root = root
        self._texts = {str(path): (root / path).read_text() for path in sources(package, root)}
        self._base: Ran | None = None

    def tasks(self) -> Iterator[Task]:
        found = list(self._possible())
        for number, (kind, faults) in enumerate(CLASSES.items()):
            seed = f"{self._seed}:{self._package.name}:{kind}"
            rng = random.Random(seed)
            fit = [row for row in found if row[1].kind in faults]
            task = next(filter(None, (self._try(rng, seed, number, kind, fit) for _ in range(TRIES))), None)
            if task is None:
                print(f"{self._package.name}: nothing fits {kind}", flush=True)
            else:
                yield task

    def _possible(self) -> Iterator[tuple[str, Mutation]]:
        """Faults on lines that the tests run."""
        repo = self._copy({})
        self._base = run(self._python, repo, coverage=True)
        if self._base is None or not self._base.passed:
            print(f"{self._package.name}: its tests do not run here", flush=True)
            return
        covered = lines_run(self._python, repo)
        for path, text in self._texts.items():
            for mutation in mutations(text):
                if mutation.line in covered.get(str((repo / path).resolve()), ()):
                    yield path, mutation

    def _copy(self, texts: dict[str, str]) -> Path:
        repo = self._scratch / self._package.name
        shutil.rmtree(repo, ignore_errors=True)
        shutil.copytree(self._root, repo)
        for path, text in texts.items():
            (repo / path).write_text(text)
        return repo

    def _try(
        self, rng: random.Random, seed: str, number: int, kind: str, fit: Sequence[tuple[str, Mutation]]
    ) -> Task | None:
        chosen = drawn(rng, kind, fit, two_files=kind == "several" and len(self._package.name) % 2 == 0)
        texts: dict[str, str] = {}
        for path, mutation in sorted(chosen, key=lambda row: -row[1].start):
            texts[path] = mutation.applied(texts.get(path, self._texts[path]))
        base = self._base
        if not chosen or base is None or not all(parses(text) for text in texts.values()):
            return None
        ran = run(self._python, self._copy(texts))
        if ran is None or not ran.red - base.red or len(ran.red - base.red) > MOST_RED:
            return None
        red = ran.red - base.red
        hidden = half_of(red, seed) | half_of(ran.passed, seed) | base.red
        shown = self._copy(texts)
        cover(shown, hidden)
        seen = run(self._python, shown)
        if seen is None or seen.red != red - hidden:
            return None
        if len(chosen) > 1 and not self._each_shows(chosen, seen.red):
            return None
        return Task(
            name=f"{self._package.name}-{number + 1}",
            package=self._package.name,
            kind=kind.rstrip(" 123") if len({p for p, _ in chosen}) == 1 else "two files",
            faults=tuple(m.kind for _, m in chosen),
            edits=tuple(
                Edit(
                    file=path,
                    sha256=sha256(self._texts[path].encode()).hexdigest(),
                    start=m.start,
                    old=m.old,
                    new=m.new,
                )
                for path, m in sorted(chosen, key=lambda row: (row[0], -row[1].start))
            ),
            red=tuple(sorted(seen.red)),
            hidden=tuple(sorted(hidden)),
            known_red=tuple(sorted(base.red)),
        )

    def _each_shows(self, chosen: Sequence[tuple[str, Mutation]], red: frozenset[str]) -> bool:
        """Each fault alone turns tests red that are shown: mending one of them is not enough, and can be known."""
        for path, mutation in chosen:
            ran = run(self._python, self._copy({path: mutation.applied(self._texts[path])}))
            if ran is None or not ran.red & red:
                return False
        return True


def drawn(
    rng: random.Random, kind: str, fit: Sequence[tuple[str, Mutation]], *, two_files: bool
) -> list[tuple[str, Mutation]]:
    """One fault, or for ``several`` two: in two files, or on two lines of one function. First the function, then which."""
    by_place: dict[tuple[str, str], list[Mutation]] = defaultdict(list)
    for path, mutation in fit:
        by_place[path, mutation.function].append(mutation)
    if not by_place:
        return []
    place = rng.choice(sorted(by_place))
    first = rng.choice(by_place[place])
    if kind != "several":
        return [(place[0], first)]
    if first.kind == "branches":
        return [(place[0], first)]
    others = [(p, m) for p, m in fit if p != place[0]] if two_files else []
    others = others or [
        (place[0], m)
        for m in by_place[place]
        if not m.start - 2 <= first.start + len(first.old) or not first.start - 2 <= m.start + len(m.old)
    ]
    others = [(p, m) for p, m in others if p != place[0] or m.line != first.line]
    return [(place[0], first), rng.choice(others)] if others else []


def cover(repo: Path, hidden: frozenset[str] | tuple[str, ...]) -> None:
    """Take the hidden test functions out of the files."""
    for file, names in by_file(hidden).items():
        if (repo / file).is_file():
            (repo / file).write_text(without((repo / file).read_text(), names))


def parses(text: str) -> bool:
    try:
        compile(text, "candidate", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def lines_run(python: Path, repo: Path) -> dict[str, set[int]]:
    """Absolute path to the lines that the last run under coverage executed."""
    asked = (
        "import json,sys,coverage; d=coverage.CoverageData(sys.argv[1]); d.read();"
        "print(json.dumps({f: d.lines(f) for f in d.measured_files()}))"
    )

    done = subprocess.run([python, "-c", asked, repo / ".coverage"], capture_output=True, text=True, check=True)
    return {path: set(lines) for path, lines in json.loads(done.stdout).items()}
