"""Gate 3, commands: a shell command is parsed completely, and every simple command in it must pass.

Denied are: what cannot be parsed; deciding words that are computed at run time; other users' privileges; writes outside
the workspace or to protected paths; and the classes destructive, network, git history, package install and process
control. The owner can allow only the classes, for single commands. The sandbox enforces all this; the gate gives an
honest model an early answer, and a hostile one less to try.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from fnmatch import fnmatchcase

from governance.irongate.candidate import g01_containment, g02_protected
from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import ContainmentFacts
from governance.irongate.shell.examples import ALLOWED, DENIED
from governance.irongate.shell.programs import CLASSES
from governance.irongate.shell.reading import CommandFinding, CommandReading, FileTarget, read
from governance.irongate.verdicts import denied, passed, shown
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 3
ORDER = ("unparsable", "daemon", "privilege", "computed", "environment", "outside", "protected", *CLASSES)
"""Precedence of rules when several deny; those that the owner cannot override come first."""


class CommandFacts(Frozen):
    """A command, with the facts about files that it writes or names, and the owner's settings.

    ``roots``: absolute folders at which the command sees the workspace. ``owner``, ``own``: protected path patterns of
    the owner and of the daemon. ``allowed``: the owner's patterns of single commands that no class may deny.
    """

    command: str
    roots: tuple[str, ...] = ()
    found: tuple[ContainmentFacts, ...] = ()  # links on the way to written paths
    there: tuple[str, ...] = ()  # protected paths in the command that exist
    owner: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


def check(facts: CommandFacts) -> Verdict:
    """Deny a command if any part of it may not run; the verdict has the rule and the part."""
    reading = read(facts.command)
    against = [finding for finding in reading.findings if not _is_allowed(finding, reading, facts)]
    against += _find_misplaced(reading, facts)
    if not against:
        return passed(NUMBER, evidence=[f"{what} runs code that was not read" for what in reading.unread])
    worst = min(against, key=lambda finding: ORDER.index(finding.rule))
    about = f" ({shown(worst.segment)})" if worst.segment else ""
    reason = f"{shown(worst.reason)}{about}."
    return denied(NUMBER, worst.rule, reason, evidence=dict.fromkeys(f"{f.rule}: {f.reason}" for f in against))


def gather(
    root: str,
    command: str,
    *,
    seen_at: str = "",
    owner: tuple[str, ...] = (),
    own: tuple[str, ...] = (),
    allowed: tuple[str, ...] = (),
) -> CommandFacts:
    """The facts about a command, with the state of the files that it writes or names. Does blocking file access."""
    roots = tuple(dict.fromkeys(place for place in (seen_at, root) if place))
    facts = CommandFacts(command=command, roots=roots, owner=owner, own=own, allowed=allowed)
    if not root:
        return facts
    reading = read(command)
    found = {path: None for target in reading.written for path in _paths(target, facts) if path and path[0] != "/"}
    named = {path: None for target in reading.named for path in _paths(target, facts)}
    there = [path for path in named if _is_protected(path, facts) and os.path.lexists(posixpath.join(root, path))]
    looked = tuple(g01_containment.gather(root, path) for path in found)
    return facts.model_copy(update={"found": looked, "there": tuple(there)})


def segments(command: str) -> tuple[str, ...]:
    """The simple commands in ``command``, in the form that the owner's patterns match."""
    return tuple(read(command).segments)


def spellings(command: str) -> tuple[str, ...]:
    """The :func:`segments`, and those with a program's path also with its bare name (``rm`` for ``/bin/rm``)."""
    reading = read(command)
    bare = [
        shown.replace(words[0].shown, words[0].text.rpartition("/")[2], 1)
        for shown, words in zip(reading.segments, reading.commands, strict=True)
        if words[0].text and "/" in words[0].text
    ]
    return (*reading.segments, *bare)


def named_paths(facts: CommandFacts) -> tuple[str, ...]:
    """Words of the command that may be file names, as paths relative to the workspace."""
    return tuple(dict.fromkeys(path for target in read(facts.command).named for path in _paths(target, facts)))


def written_paths(facts: CommandFacts) -> tuple[str, ...]:
    """Paths that the command is known to write, relative to the workspace where they lie in it."""
    return tuple(dict.fromkeys(path for target in read(facts.command).written for path in _paths(target, facts)))


def _is_allowed(finding: CommandFinding, reading: CommandReading, facts: CommandFacts) -> bool:
    """Whether the owner allows it: only for a class rule, and a simple command without computed words."""
    if finding.rule not in CLASSES or finding.segment not in reading.segments:
        return False
    certain = reading.certain[reading.segments.index(finding.segment)]
    return certain and any(fnmatchcase(finding.segment, pattern) for pattern in facts.allowed)


def _find_misplaced(reading: CommandReading, facts: CommandFacts) -> Iterator[CommandFinding]:
    """Written files outside the workspace, and protected files, by gates 1 and 2."""
    looked = {found.path: found for found in facts.found}
    for target in reading.written:
        for path in _paths(target, facts):
            if not path:
                continue  # the workspace itself
            verdict = g01_containment.check(looked.get(path) or ContainmentFacts(path=path))
            if verdict.decision is Decision.ALLOW:
                verdict = g02_protected.check(
                    g02_protected.ProtectedPathFacts(path=path, owner=facts.owner, own=facts.own)
                )
            if verdict.decision is not Decision.ALLOW:
                rule = "protected" if verdict.gate == g02_protected.NUMBER else "outside"
                yield CommandFinding(rule, f"{verdict.reason.rstrip('.')} [{verdict.rule}]", target.segment)
    there = set(facts.there)
    for target in reading.named if there else ():
        for path in _paths(target, facts):
            if path in there and _is_protected(path, facts):
                yield CommandFinding("protected", f"{path} is protected and stays unread", target.segment)


def _paths(target: FileTarget, facts: CommandFacts) -> Iterator[str]:
    """The paths that a name may refer to, one for each folder that ``cd`` may have entered; relative if inside the
    workspace.
    """
    path = target.path
    for root in facts.roots:
        if path == root or path.startswith(root.rstrip("/") + "/"):
            yield _normalise(path[len(root) :].lstrip("/"))
            return
    if path.startswith(("/", "~")):
        yield path
        return
    for folder in target.folders:
        yield _normalise(f"{folder}/{path}" if folder else path)


def _normalise(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _is_protected(path: str, facts: CommandFacts) -> bool:
    if "\0" in path or len(path) > g01_containment.LONGEST_PATH:
        return False
    return g02_protected.covering(path, owner=facts.owner, own=()) is not None  # the daemon's own code may be read


def _denied_example(command: str) -> tuple[CommandFacts, Decision]:
    return CommandFacts(command=command), Decision.DENY


def _allowed_example(command: str) -> tuple[CommandFacts, Decision]:
    return CommandFacts(command=command), Decision.ALLOW


EXAMPLES: tuple[tuple[CommandFacts, Decision], ...] = (
    *(_allowed_example(command) for command in ALLOWED),
    *(_denied_example(command) for commands in DENIED.values() for command in commands),
    (CommandFacts(command="cat .env", there=(".env",)), Decision.DENY),
    (CommandFacts(command="touch /w/a.py", roots=("/w",)), Decision.ALLOW),
    (CommandFacts(command="touch /w/../a.py", roots=("/w",)), Decision.DENY),
    (
        CommandFacts(command="touch lib/x", found=(ContainmentFacts(path="lib/x", links=("lib",)),)),
        Decision.DENY,
    ),
    (CommandFacts(command="touch vendor/x", owner=("vendor",)), Decision.DENY),
    (CommandFacts(command="git commit -m x", allowed=("git commit *",)), Decision.ALLOW),
    (CommandFacts(command="git commit -m x; git push", allowed=("git commit *",)), Decision.DENY),
    (CommandFacts(command="git commit -m $x", allowed=("git commit *",)), Decision.DENY),
    (CommandFacts(command="sudo ls", allowed=("*",)), Decision.DENY),
)
GATE = Gate(
    number=NUMBER,
    name="commands",
    summary="shell commands that destroy, reach out or cannot be read to the end",
    subjects=(Subject.TOOL_CALL,),
    facts=CommandFacts,
    check=check,
    examples=EXAMPLES,
)
