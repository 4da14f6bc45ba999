"""Gate 1, path containment: a path is plain, relative, inside its root, and no link leads away on the way to it.

Denied: absolute paths, ``..`` and ``.``, empty components, a home sign, control or invisible characters, backslashes,
names that git or a program would read as an option or a pattern, git's own folder in any spelling, components that
are links, a linked root, a second spelling (upper and lower case) of a name that is there, devices and pipes, and
modes that are not those of a plain file.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import ContainmentFacts, EditFault, Inspection
from governance.irongate.verdicts import denied, passed, shown
from ledger.ids import sha256_hex
from ledger.vocabulary import Decision, Edit, EditKind, Verdict

NUMBER = 1
LONGEST_PATH = 4096
LONGEST_NAME = 255
DECEPTIVE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
EDIT_FAULTS: Mapping[EditFault, str] = {
    "twice": "The candidate touches {path!r} twice.",
    "before": "{path!r} is not the file that the edit was made for.",
    "kind": "The edit of {path!r} is not what it says it is.",
}
"""Contradictions within a candidate, by the rule that refuses them."""


def check(facts: ContainmentFacts) -> Verdict:
    """Deny a path that is not plainly inside, and an edit that contradicts itself."""
    if facts.edit_fault:
        reason = EDIT_FAULTS[facts.edit_fault].format(path=facts.path)
        return denied(NUMBER, facts.edit_fault, reason, evidence=(facts.path,))
    fault = _find_text_fault(facts.path)
    if fault is None and facts.root_is_link:
        fault = ("root_link", "the root itself is a symbolic link")
    if fault is None and facts.links:
        fault = ("link", f"it goes through the symbolic link {shown(facts.links[0])}")
    if fault is None and facts.special:
        fault = ("special", "something other than a file or folder stands there")
    if fault is None and facts.twins:
        fault = ("case", f"it differs from {shown(facts.twins[0])} by upper and lower case only")
    if fault is None and facts.mode & ~stat.S_IFREG not in range(0o1000):
        fault = ("mode", f"mode {facts.mode:o} is not that of a plain file")
    if fault is None:
        return passed(NUMBER)
    return denied(NUMBER, fault[0], f"The path {shown(facts.path)} is refused: {fault[1]}.", evidence=(facts.path,))


def _find_text_fault(path: str) -> tuple[str, str] | None:
    if not path:
        return "empty", "it is empty"
    if len(path) > LONGEST_PATH:
        return "long", "it is too long"
    if path.startswith(("/", "~")):
        return "absolute", "it does not begin at the top of the repository"
    if path.startswith(("-", ":")):
        return "option", "a program could read it as an option or a pattern"
    if "\\" in path:
        return "backslash", "it holds a backslash"
    for char in path:
        if unicodedata.category(char) in DECEPTIVE:
            return "characters", f"it holds the character U+{ord(char):04X}"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "dots", "a component is empty, `.` or `..`"
        if len(part.encode("utf-8")) > LONGEST_NAME:
            return "long", "a component is too long"
        if is_git(part):
            return "git", "it lies in git's own folder"
    return None


def is_git(component: str) -> bool:
    """Whether a component names ``.git`` on some file system (case, compatibility forms, trailing dots, short name)."""
    plain = unicodedata.normalize("NFKC", component).casefold().rstrip(". ")
    return plain in (".git", "git~1") or plain.startswith(".git::")


def gather(root: str | Path, path: str, *, mode: int = 0o644) -> ContainmentFacts:
    """Look at each component below ``root`` without following links. Blocks for one status call a component."""
    if _find_text_fault(path) is not None:
        return ContainmentFacts(path=path, mode=mode)
    base = os.fspath(root)
    root_is_link = _file_kind(base) == stat.S_IFLNK
    links: list[str] = []
    twins: tuple[str, ...] = ()
    special = False
    here = base
    parts = path.split("/")
    for index, part in enumerate(parts):
        parent, here = here, f"{here}/{part}"
        kind = _file_kind(here)
        if kind == stat.S_IFLNK:
            links.append("/".join(parts[: index + 1]))
            break
        if kind is None:
            twins = _find_twins(parent, part)
            break
        if kind not in (stat.S_IFDIR, stat.S_IFREG) or (kind == stat.S_IFREG and index + 1 < len(parts)):
            special = True
            break
    return ContainmentFacts(
        path=path, mode=mode, root_is_link=root_is_link, links=tuple(links), twins=twins, special=special
    )


def _file_kind(path: str) -> int | None:
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        return None


def _find_twins(folder: str, name: str) -> tuple[str, ...]:
    try:
        names = [entry.name for entry in Path(folder).iterdir()]
    except OSError:
        return ()
    folded = unicodedata.normalize("NFKC", name).casefold()
    return tuple(sorted(n for n in names if n != name and unicodedata.normalize("NFKC", n).casefold() == folded))


def select_facts(inspection: Inspection) -> Iterator[ContainmentFacts]:
    """One item for each path that the candidate touches, and one more for each fault of its edit."""
    located = {facts.path: facts for facts in inspection.located}
    seen: set[str] = set()
    for path, edit in inspection.touched():
        facts = located.get(path, ContainmentFacts(path=path))
        yield facts.model_copy(update={"mode": edit.mode})
        if path in seen:
            yield ContainmentFacts(path=path, edit_fault="twice")
        seen.add(path)
        fault = _find_edit_fault(inspection, path, edit)
        if fault:
            yield ContainmentFacts(path=path, edit_fault=fault)


def _find_edit_fault(inspection: Inspection, path: str, edit: Edit) -> EditFault | None:
    """What the edit claims of the file before it must be true: otherwise the other gates would judge another change."""
    there = inspection.originals.get(path)
    is_source = path == (edit.renamed_from or edit.path)
    expected = edit.before if is_source and edit.kind is not EditKind.CREATE else None
    if (None if there is None else sha256_hex(there)) != expected:
        return "before"
    deletes, renames = edit.kind is EditKind.DELETE, edit.kind is EditKind.RENAME
    return "kind" if (edit.after is None) != deletes or renames != bool(edit.renamed_from) else None


EXAMPLES: tuple[tuple[ContainmentFacts, Decision], ...] = (
    (ContainmentFacts(path="src/app.py"), Decision.ALLOW),
    (ContainmentFacts(path="docs/über uns.md"), Decision.ALLOW),
    (ContainmentFacts(path="a..b/..c.py"), Decision.ALLOW),
    (ContainmentFacts(path=""), Decision.DENY),
    (ContainmentFacts(path="/etc/passwd"), Decision.DENY),
    (ContainmentFacts(path="src/../../x"), Decision.DENY),
    (ContainmentFacts(path="./src/app.py"), Decision.DENY),
    (ContainmentFacts(path="a//b"), Decision.DENY),
    (ContainmentFacts(path="~/x"), Decision.DENY),
    (ContainmentFacts(path="a\\..\\b"), Decision.DENY),
    (ContainmentFacts(path="a\0b"), Decision.DENY),
    (ContainmentFacts(path="a\u202eb"), Decision.DENY),
    (ContainmentFacts(path="-rf"), Decision.DENY),
    (ContainmentFacts(path=":(top)x"), Decision.DENY),
    (ContainmentFacts(path=".git/config"), Decision.DENY),
    (ContainmentFacts(path="sub/.GIT/hooks/pre-commit"), Decision.DENY),
    (ContainmentFacts(path=".git. /config"), Decision.DENY),
    (ContainmentFacts(path="link/x.py", links=("link",)), Decision.DENY),
    (ContainmentFacts(path="x.py", root_is_link=True), Decision.DENY),
    (ContainmentFacts(path="SRC/x.py", twins=("src",)), Decision.DENY),
    (ContainmentFacts(path="pipe", special=True), Decision.DENY),
    (ContainmentFacts(path="x.py", mode=0o120000), Decision.DENY),
    (ContainmentFacts(path="x.py", mode=0o4755), Decision.DENY),
    (ContainmentFacts(path="x.sh", mode=0o100755), Decision.ALLOW),
    *((ContainmentFacts(path="x.py", edit_fault=fault), Decision.DENY) for fault in EDIT_FAULTS),
)
GATE = Gate(
    number=NUMBER,
    name="path containment",
    summary="paths that lead outside, through links, to devices or into `.git`; edits that contradict themselves",
    subjects=(Subject.CANDIDATE, Subject.TOOL_CALL),
    facts=ContainmentFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
