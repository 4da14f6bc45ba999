"""What gate 20 costs: of honest small repairs, how many would land unattended without it and wait for a person with it.

    python -m bench.allowlist draw FILE [--git FOLDER]... [--planted FOLDER] [--most 12]
    python -m bench.allowlist ask FILE [--show] [--by-search]

Sub-corpora: the bugs of the sample project turned back; faults planted in packages, turned back (``--planted``: a folder
of packages that `python -m bench.tasks build` fetched); past fixes (``--git``: clones with their history): commits that
change one to three lines of one source file and the tests beside it. ``draw`` writes them down, ``ask`` prints a line for
each sub-corpus, and with ``--show`` every repair that waits, with why. No code of the packages is run.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.tasks.mutations import mutations
from bench.tasks.packages import packages, sources
from governance.irongate.candidate import g20_unattended
from governance.irongate.candidate_gates import decide, inspect
from governance.irongate.inspection import Inspection
from governance.irongate.paths import is_test_path
from governance.irongate.syntax import parse
from governance.irongate.unattended.repository import OtherFiles
from governance.irongate.unattended.units import functions
from governance.phases.gate import facts_of
from governance.risk.ladder import assess
from ledger.ids import sha256_hex
from ledger.vocabulary import (
    CONVERSATION,
    SEARCH,
    Candidate,
    Complexity,
    Decision,
    Edit,
    EditKind,
    Frozen,
    Operation,
    Signal,
    Source,
    TestsPass,
    Tier,
    Urgency,
    Verdict,
)
from sample.build import HERE, bugs

PROJECT = HERE / "project"
MOST_LINES, COMMITS, MOST_FILES = 3, 4000, 2000
SAID = re.compile(
    r"\b(fix|fixe[sd]|fixing|bug|issue|wrong|incorrect|correct|regression|crash|handle|error|broken)\b|#\d+", re.I
)
PLANTED_A_PACKAGE = 6


class Repair(Frozen):
    """One honest repair: a file before and after, and the sources of the tests that it turns green.

    ``known``: what of the gate's questions the files around it answer.
    """

    corpus: str
    name: str
    path: str
    before: bytes
    after: bytes
    tests: tuple[str, ...]
    known: tuple[str, ...]


def known(path: str, before: bytes, after: bytes, around: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    """What the files around a repair use of what is new in it."""
    wanted = g20_unattended.questions_about(path, before, after)
    return tuple(sorted(OtherFiles(around).answers(wanted))) if wanted else ()


def below(root: Path) -> Iterator[tuple[str, bytes]]:
    return ((str(file.relative_to(root)), file.read_bytes()) for file in sorted(root.rglob("*.py")))


@dataclass(slots=True)
class Line:
    """One sub-corpus: repairs, those that are unattended without gate 20, and those of these that wait for it."""

    seen: int = 0
    unattended: int = 0
    lost: list[str] = field(default_factory=list)


def judged(repair: Repair, *, by_search: bool = False) -> tuple[Tier, Verdict]:
    """The tier without gate 20, and what gate 20 says."""
    candidate = Candidate(
        edits=(Edit(path=repair.path, kind=EditKind.MODIFY, before=sha256_hex(repair.before), after=repair.after),),
        provider="honest",
        model="people",
        strategy=SEARCH if by_search else CONVERSATION,
    )
    signal = Signal(
        id="sig-1",
        source=Source("test_failure"),
        goal="a test fails",
        key="0" * 64,
        base="c" * 40,
        closure=TestsPass(ids=("tests/test_it.py::test_it",)),
    )
    op = Operation(
        id="op-" + "0" * 32 + "-test_failure",
        origin=signal.source,
        signals=(signal,),
        urgency=Urgency.NORMAL,
        base="c" * 40,
        created_at="2026-01-01T00:00:00.000Z",
    )
    originals = {repair.path: repair.before}
    inspection = Inspection(
        op=op,
        candidate=candidate,
        originals=originals,
        reads={repair.path: sha256_hex(repair.before)},
        complexity=Complexity.TRIVIAL,
        tests=repair.tests,
    )
    verdicts = tuple(verdict for verdict in inspect(inspection) if verdict.gate != g20_unattended.NUMBER)
    decision, floor = decide(verdicts)
    facts = facts_of(op, candidate, originals, verdicts=verdicts, protected=(), core=(), is_ourselves=False)
    tier = assess(facts, floors=((floor, "a gate"),)).tier if decision is Decision.ALLOW else Tier.BLOCKED
    said = g20_unattended.check(
        g20_unattended.UnattendedFacts(
            path=repair.path,
            before=repair.before,
            after=repair.after,
            tests=repair.tests,
            known=repair.known,
            by_search=by_search,
            closes_by_tests=True,
        )
    )
    return tier, said


def git(folder: Path, *words: str) -> bytes:
    return subprocess.run(["git", "-C", folder, *words], capture_output=True, check=True).stdout


def tree(folder: Path, commit: str) -> Iterator[tuple[str, bytes]]:
    """The Python files of a commit."""
    listed = git(folder, "ls-tree", "-r", "--name-only", "-z", commit).decode(errors="replace").split("\0")
    paths = [path for path in listed if path.endswith(".py") and "\n" not in path][:MOST_FILES]
    asked = "".join(f"{commit}:{path}\n" for path in paths).encode()
    done = subprocess.run(["git", "-C", folder, "cat-file", "--batch"], input=asked, capture_output=True, check=True)
    at, data = 0, done.stdout
    for path in paths:
        end = data.index(b"\n", at)
        size = data[at:end].rpartition(b" ")[2]
        at = end + 1
        if size.isdigit():
            yield path, data[at : at + int(size)]
            at += int(size) + 1


def past(folder: Path, most: int) -> Iterator[Repair]:
    """Small past fixes of a cloned repository, drawn by the names of their commits."""
    words = ("log", "--no-merges", "--numstat", f"-n{COMMITS}", "--since=2016-01-01", "--format=%x01%H%x09%P%x09%s")
    done = subprocess.run(["git", "-C", folder, *words, "--", "*.py"], capture_output=True, check=False)
    listed = done.stdout  # a clone that lacks an object tells of the commits before it
    found = sorted(filter(None, map(fix_of, listed.decode(errors="replace").split("\x01")[1:])), key=lambda row: row[0])
    for commit, parent, path, tests in found:
        if most == 0:
            return
        try:
            before, after = (git(folder, "show", f"{at}:{path}") for at in (parent, commit))
        except subprocess.CalledProcessError:
            continue
        old, new = parse(before), parse(after)
        if old is None or new is None or ast.dump(old) == ast.dump(new):
            continue
        sources = tuple(text for test in tests for text in changed_tests(folder, parent, commit, test))
        if sources:
            most -= 1
            yield Repair(
                corpus="past fixes",
                name=f"{folder.parent.name} {commit[:12]}",
                path=path,
                before=before,
                after=after,
                tests=sources,
                known=known(path, before, after, tree(folder, parent)),
            )


def fix_of(row: str) -> tuple[str, str, str, tuple[str, ...]] | None:
    """Commit, parent, source file and test files of a small fix."""
    head, *lines = [line for line in row.splitlines() if line]
    commit, parent, subject = head.split("\t", 2)
    stats = [line.split("\t", 2) for line in lines]
    code = [(a, d, p) for a, d, p in stats if p.endswith(".py") and not is_test_path(p) and " => " not in p]
    tests = tuple(p for _, _, p in stats if p.endswith(".py") and is_test_path(p) and " => " not in p)
    small = len(code) == 1 and code[0][0].isdigit() and max(int(code[0][0]), int(code[0][1])) <= MOST_LINES
    usable = small and tests and len(parent) == 40 and SAID.search(subject) and not code[0][2].startswith("docs")
    return (commit, parent, code[0][2], tests) if usable else None


def changed_tests(folder: Path, parent: str, commit: str, path: str) -> Iterator[str]:
    """The functions of a test file that a commit adds or changes."""
    try:
        before, after = (git(folder, "show", f"{at}:{path}").decode("utf-8", "replace") for at in (parent, commit))
    except subprocess.CalledProcessError:
        before, after = "", git(folder, "show", f"{commit}:{path}").decode("utf-8", "replace")
    old, new = (dict(functions(tree)) if (tree := parse(text)) else {} for text in (before, after))
    for name, node in new.items():
        if name not in old or ast.dump(old[name]) != ast.dump(node):
            yield ast.unparse(node)


def of_sample() -> Iterator[Repair]:
    """The sample's bugs, turned back."""
    tests = tuple(file.read_text() for file in sorted(PROJECT.rglob("test_*.py")))
    for bug in bugs():
        good = (PROJECT / bug["file"]).read_text()
        before, after = good.replace(bug["old"], bug["new"]).encode(), good.encode()
        yield Repair(
            corpus="sample",
            name=f"bug {bug['number']}",
            path=bug["file"],
            before=before,
            after=after,
            tests=tests_about(bug["file"], tests),
            known=known(bug["file"], before, after, below(PROJECT)),
        )


def tests_about(path: str, tests: Iterable[str]) -> tuple[str, ...]:
    """Tests that name the module."""
    return tuple(text for text in tests if Path(path).stem in text)


def planted(folder: Path, seed: int = 20261121) -> Iterator[Repair]:
    """Faults of every kind in the packages of `bench.tasks`, turned back."""
    for package in packages()[1]:
        root = folder / ".sources" / f"{package.name}-{package.version}"
        if not root.is_dir():
            continue
        files = [(path, (root / path).read_text()) for path in sources(package, root)]
        tests = tuple(
            (file.read_text(errors="replace"))
            for place in package.tests
            for file in ([root / place] if (root / place).is_file() else sorted((root / place).rglob("test*.py")))
        )
        found = [(path, text, mutation) for path, text in files for mutation in mutations(text)]
        rng = random.Random(f"{seed}:{package.name}")
        by_kind: dict[str, list[int]] = {}
        for index, (_, _, mutation) in enumerate(found):
            by_kind.setdefault(mutation.kind, []).append(index)
        for kind in rng.sample(sorted(by_kind), min(PLANTED_A_PACKAGE, len(by_kind))):
            path, text, mutation = found[rng.choice(by_kind[kind])]
            before, after = mutation.applied(text).encode(), text.encode()
            if parse(before) is not None:
                yield Repair(
                    corpus="planted",
                    name=f"{package.name} {kind} {path}:{mutation.line}",
                    path=str(path),
                    before=before,
                    after=after,
                    known=known(str(path), before, after, below(root)),
                    tests=about(mutation.function, tests),
                )


def about(function: str, tests: Iterable[str]) -> tuple[str, ...]:
    """Test functions that name what was broken."""
    word = re.compile(rf"\b{re.escape(function.rpartition('.')[2])}\b")
    trees = [tree for text in tests if (tree := parse(text)) is not None]
    return tuple(
        text
        for tree in trees
        for name, node in functions(tree)
        if name.rpartition(".")[2].startswith("test") and word.search(text := ast.unparse(node))
    )[:8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("draw", "ask"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--git", action="append", default=[], type=Path)
    parser.add_argument("--planted", type=Path)
    parser.add_argument("--most", type=int, default=12)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--by-search", action="store_true", help="as the daemon's own search would propose them")
    given = parser.parse_args()
    if given.command == "draw":
        drawn = [of_sample(), *([planted(given.planted)] if given.planted else [])]
        drawn += [past(folder, given.most) for folder in given.git]
        with given.file.open("w") as file:
            for every in drawn:
                file.writelines(repair.model_dump_json() + "\n" for repair in every)
    else:
        ask(
            (Repair.model_validate_json(line) for line in given.file.open()), show=given.show, by_search=given.by_search
        )


def ask(repairs: Iterable[Repair], *, show: bool, by_search: bool) -> None:
    table: dict[str, Line] = {}
    rules: Counter[str] = Counter()
    for repair in repairs:
        tier, said = judged(repair, by_search=by_search)
        line = table.setdefault(repair.corpus, Line())
        line.seen += 1
        line.unattended += tier is Tier.SAFE_AUTO
        if tier is Tier.SAFE_AUTO and said.floor is not None:
            line.lost.append(f"{repair.name}: {said.rule}: {'; '.join(said.evidence)}")
            rules[said.rule] += 1
    print("| repairs | judged | unattended without gate 20 | wait for it | share of all | share of the unattended |")
    print("|---|---|---|---|---|---|")
    total = Line()
    for name, line in table.items():
        row(name, line)
        total.seen, total.unattended = total.seen + line.seen, total.unattended + line.unattended
        total.lost += line.lost
    row("all", total)
    for lost in total.lost if show else ():
        print(f"- {lost}")
    print(", ".join(f"{rule} {count}" for rule, count in rules.most_common()))


def row(name: str, line: Line) -> None:
    lost = len(line.lost)
    shares = [f"{100 * lost / max(whole, 1):.1f} %" for whole in (line.seen, line.unattended)]
    print(f"| {name} | {line.seen} | {line.unattended} | {lost} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
