"""The context of a failure: failing tests, suspicious lines, and the files that contain them."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from governance.irongate.paths import is_test_path
from governance.irongate.test_code.doctests import as_python, object_of
from governance.repair.moves import module_names
from governance.repair.prompt import Example
from governance.repair.spans import Function, ParsedFile, first_line
from governance.verification.evidence import choose_shown, function_of
from ledger.errors import PolicyRefused
from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind, TestResult, TestRun
from tools.edits.diffs import HUNK
from tools.testing.localisation.missing import classes_of, files_of, member_names, modules_of
from tools.testing.localisation.ranking import Suspicion, rank
from tools.testing.report.verdict import IMPORT_TIME
from tools.workspace import Workspace

MAX_PLACES, MAX_FILES = 400, 2_000
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureContext:
    """Input of the search. ``originals`` are the bytes at the op's tree."""

    title: str
    failing: tuple[TestResult, ...]
    base: TestRun
    places: tuple[Suspicion, ...]
    sources: Mapping[str, ParsedFile]
    originals: Mapping[str, bytes]
    modes: Mapping[str, int]
    examples: tuple[Example, ...]
    scope: tuple[str, ...] | None = None  # the tests that were run; None: the whole suite
    unreadable: tuple[str, ...] = ()  # suspicious files that cannot be changed, for their encoding or newlines
    offered: tuple[str, ...] = ()  # names in modules and classes that lack one, by a failing test
    done: Mapping[str, str] = field(default_factory=dict)  # texts of files that a partial repair has changed

    @property
    def reads(self) -> dict[str, str]:
        """sha256 of every file that the search reads, for gate 11 (staleness)."""
        return {path: sha256_hex(data) for path, data in self.originals.items()}

    @property
    def test_files(self) -> frozenset[str]:
        """Files of the failing tests."""
        return frozenset(r.id.partition("::")[0] for r in self.failing)

    def shown(self, most: int) -> tuple[Example, ...]:
        """Examples for a prompt, one for each test function that may be shown; the others are held out."""
        wanted = choose_shown([e.test_id for e in self.examples], most)
        first = {function_of(e.test_id): e for e in reversed(self.examples)}
        return tuple(first[function] for function in wanted)

    @property
    def said(self) -> str:
        """Sources and messages of the failing tests."""
        return "\n".join(f"{e.source}\n{e.result.message}" for e in self.examples)

    def edits(self, path: str, text: str, rationale: str) -> tuple[Edit, ...]:
        """Edits against the op's tree: ``text`` for ``path``, and the changes of a partial repair."""
        return self._edits({**self.done, path: text}, rationale)

    def base_edits(self) -> tuple[Edit, ...]:
        """The changes of a partial repair, against the op's tree."""
        return self._edits(self.done, "")

    def _edits(self, texts: Mapping[str, str], rationale: str) -> tuple[Edit, ...]:
        return tuple(edit_of(self.originals[p], p, t, rationale, mode=self.modes[p]) for p, t in texts.items())


def changed_lines(diff: str) -> dict[str, frozenset[int]]:
    """Line numbers on the new side of a ``-U0`` diff with the prefixes ``a/`` and ``b/``, by file.

    A file whose name git has to quote is left out.
    """
    found: dict[str, set[int]] = {}
    path, content = "", 0
    for line in diff.split("\n"):
        if content > 0 and line[:1] in ("+", "-"):  # of a hunk: may look like anything
            content -= 1
        elif line.startswith("+++ "):
            path = line[6:] if line.startswith("+++ b/") else ""
        elif (match := HUNK.match(line)) is not None:
            old, start, new = int(match[2] or "1"), int(match[3]), int(match[4] or "1")
            content = old + new
            if path:
                found.setdefault(path, set()).update(range(start, start + max(new, 1)))
    return {path: frozenset(lines) for path, lines in found.items()}


def test_source(source: ParsedFile, test_id: str) -> str:
    """The text of the test function that ``test_id`` names, or the examples of a doctest; empty when there is none."""
    documented = object_of(test_id)
    if documented is not None and (examples := as_python(source.text, documented)):
        return examples
    *classes, name = test_id.partition("::")[2].partition("[")[0].split("::")
    body: list[ast.stmt] = source.tree.body if source.tree else []
    for wanted in classes:
        body = next((n.body for n in body if isinstance(n, ast.ClassDef) and n.name == wanted), [])
    for node in (one for top in body for one in (ast.walk(top) if not isinstance(top, ast.ClassDef) else [top])):
        if isinstance(node, Function) and node.name == name:
            return "".join(source.lines[first_line(node) - 1 : node.end_lineno])
    return ""


def data_of(source: ParsedFile, text: str) -> list[str]:
    """Tables and fixtures of a test's module and classes that its ``text`` names, but none that those name in turn."""
    words = set(_WORD.findall(text))
    found: list[ast.stmt] = []
    bodies: list[list[ast.stmt]] = [source.tree.body] if source.tree else []
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.ClassDef):
                bodies.append(node.body)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found += [node] if any(isinstance(t, ast.Name) and t.id in words for t in targets) else []
            elif isinstance(node, Function) and node.name in words and node.decorator_list:
                found.append(node)
    return ["".join(source.lines[first_line(node) - 1 : node.end_lineno]) for node in found]


def read_original(workspace: Workspace, path: str) -> bytes | None:
    """Bytes of a regular file; None for a link, which tests may load but which is neither followed nor changed."""
    try:
        return workspace.read(path)
    except PolicyRefused:
        return None


def sources_of(tests: Collection[str], workspace: Workspace) -> tuple[str, ...]:
    """The texts of test functions and of the data that they name, each once; those that cannot be found are left out.

    Reads files: for a thread.
    """
    files: dict[str, ParsedFile] = {}
    found = []
    for test in tests:
        path = test.partition("::")[0]
        if path not in files:
            data = read_original(workspace, path)
            files[path] = ParsedFile(data.decode("utf-8", errors="replace") if data is not None else "")
        text = test_source(files[path], test) if "::" in test else files[path].text
        found += [text, *(data_of(files[path], text) if "::" in test else ())]
    return tuple(text for text in dict.fromkeys(found) if text)


def examples_of(failing: tuple[TestResult, ...], workspace: Workspace) -> tuple[Example, ...]:
    """Failing tests with their sources, shortest first, because prompts are small."""
    found = []
    for result in failing:
        data = read_original(workspace, result.id.partition("::")[0])
        source = ParsedFile(data.decode("utf-8", errors="replace") if data is not None else "")
        text = test_source(source, result.id)
        rests_on = tuple(data_of(source, text)) if text else ()
        found.append(Example(test_id=result.id, source=text, result=result, data=rests_on))
    return tuple(sorted(found, key=lambda e: (not e.source, len(e.source))))


def within(source: ParsedFile, line: int) -> int:
    """For a line of a function without code (a docstring or ``pass``) the end of that, where code is missing; else
    the line itself."""
    for node in source.statements:
        if isinstance(node, Function) and first_line(node) <= line <= (node.end_lineno or 0) and len(node.body) == 1:
            only = node.body[0]
            said = isinstance(only, ast.Pass) or (isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant))
            return only.end_lineno or line if said else line
    return line


def _read(workspace: Workspace, base: TestRun, failing: Collection[TestResult]) -> dict[str, bytes]:
    """The files from which suspicion is computed: those that ran or were imported, failing tests included; without
    coverage all of the program's."""
    frames = {frame.path for result in failing for frame in result.frames}
    ran = {path for test in (IMPORT_TIME, *(r.id for r in failing)) for path in base.coverage.get(test, {})}
    known = sorted(frames | ran) if base.coverage else [p for p in workspace.sizes() if not is_test_path(p)]
    paths = [path for path in known if path.endswith(".py")][:MAX_FILES]
    return {path: data for path in paths if (data := read_original(workspace, path)) is not None}


def offered_by(
    workspace: Workspace, failing: Collection[TestResult], sources: Mapping[str, ParsedFile]
) -> tuple[str, ...]:
    """Names that exist in the modules, and in the classes in ``sources``, that lack one by a failing test's message.

    Reads files: for a thread.
    """
    messages = [result.message for result in failing]
    modules, classes = modules_of(messages), classes_of(messages)
    paths = {path for module in modules for path in files_of(module, workspace.sizes())}
    texts = [decode(data) for path in sorted(paths) if (data := read_original(workspace, path)) is not None]
    found = [name for text in texts if text is not None for name in module_names(ParsedFile(text))]
    trees = [source.tree for source in sources.values() if source.tree is not None] if classes else []
    return tuple(dict.fromkeys([*found, *(name for tree in trees for name in member_names(tree, classes))]))


def read_context(
    workspace: Workspace,
    base: TestRun,
    failing: tuple[TestResult, ...],
    recent: Mapping[str, frozenset[int]],
    *,
    ranked: bool = True,
    scope: tuple[str, ...] | None = None,
    behind: FailureContext | None = None,
    done: Mapping[str, str] | None = None,
) -> FailureContext:
    """Rank the lines, read and parse their files. Takes a second with thousands of files: for a thread.

    ``done``: files in which ``workspace`` differs from the op's tree; ``behind``: the failure that has their originals.
    Not ``ranked``: every line that a failing test ran, in the files' order. Without coverage the lines of the
    tracebacks are ranked, or else the functions that the failures name.
    """
    done = done or {}
    originals = {path: behind.originals[path] for path in done} if behind else {}
    modes = {path: behind.modes[path] for path in done} if behind else {}
    ran = {path for files in base.coverage.values() for path in files}
    sources = {path: ParsedFile(text, ran=path in ran) for path, text in done.items()}
    places: list[Suspicion] = []
    unreadable: dict[str, None] = {}
    seen: set[tuple[str, int]] = set()
    suspicions = rank(base, [r.id for r in failing], recent=recent, files=_read(workspace, base, failing))
    for place in suspicions if ranked else sorted(suspicions, key=lambda s: (s.path, s.line)):
        if is_test_path(place.path) or not place.path.endswith(".py"):
            continue
        if place.path not in originals:
            data = read_original(workspace, place.path)
            text = decode(data) if data is not None else None
            if data is None or text is None:
                unreadable |= {place.path: None} if data is not None else {}
                continue
            originals[place.path], sources[place.path] = data, ParsedFile(text, ran=place.path in ran)
        if len(places) == MAX_PLACES:
            continue
        line = within(sources[place.path], place.line)
        if line <= len(sources[place.path].lines) and (place.path, line) not in seen:
            seen.add((place.path, line))
            places.append(place.model_copy(update={"line": line}))
    modes |= {p: (workspace.root / p).stat().st_mode & 0o777 for p in originals.keys() - modes.keys()}
    return FailureContext(
        title=failing[0].id if len(failing) == 1 else f"{len(failing)} tests",
        failing=failing,
        base=base,
        places=tuple(places),
        sources=sources,
        originals=originals,
        modes=modes,
        examples=examples_of(failing, workspace),
        scope=behind.scope if behind else scope,
        unreadable=tuple(unreadable),
        offered=offered_by(workspace, failing, sources),
        done=done,
    )


BOM = b"\xef\xbb\xbf"


def decode(data: bytes) -> str | None:
    """Text with ``\\n`` newlines; None when it is not UTF-8 or mixes newlines, which encoding would change."""
    try:
        text = data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        return None
    unix = text.replace("\r\n", "\n")
    if "\r" in unix or (unix.count("\n") != text.count("\r\n") and "\r\n" in text):
        return None
    return unix


def encode(text: str, like: bytes) -> bytes:
    """``text`` as bytes with the newlines and byte order mark of ``like``."""
    if b"\r\n" in like:
        text = text.replace("\n", "\r\n")
    return (BOM if like.startswith(BOM) else b"") + text.encode("utf-8")


def edit_of(original: bytes, path: str, text: str, rationale: str, *, mode: int) -> Edit:
    """The edit that replaces the content ``original`` of ``path`` by ``text``."""
    return Edit(
        path=path,
        kind=EditKind.MODIFY,
        before=sha256_hex(original),
        after=encode(text, original),
        mode=mode,
        rationale=rationale,
    )
