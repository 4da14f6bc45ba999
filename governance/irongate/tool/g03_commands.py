"""Gate 3, commands: a shell command is read to its last word, and every simple command in it must pass.

Denied: what cannot be read; what is only known when it runs, where that decides; rights of others; writing outside of
the workspace or to protected paths; and the classes destructive, network, git history, package install and process
control. Only the classes can be allowed by the owner, for single commands. The sandbox is the wall; this gate gives an
honest model an early answer, and leaves a hostile one less to try.
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
"""The rule that is named where several deny: those that cannot be lifted come first."""


class CommandFacts(Frozen):
    """A command, the workspace's names, what was found on the way to the files that it writes, and the owner's word.

    ``roots`` are absolute folders under which a command sees the workspace. ``allowed`` are patterns of single commands
    that no class rule denies.
    """

    command: str
    roots: tuple[str, ...] = ()
    found: tuple[ContainmentFacts, ...] = ()  # of paths that are written
    there: tuple[str, ...] = ()  # protected paths that are named and exist
    owner: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


def check(facts: CommandFacts) -> Verdict:
    """Deny a command of which a part may not run; the verdict names the rule and the part."""
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
    """Look at the files that the command writes or names. Blocks for a few status calls."""
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
    """The simple commands of ``command``, as the owner's patterns are compared with them."""
    return tuple(read(command).segments)


def spellings(command: str) -> tuple[str, ...]:
    """The same, and of programs that are named by their place also as if they were named alone."""
    reading = read(command)
    bare = [
        shown.replace(words[0].shown, words[0].text.rpartition("/")[2], 1)
        for shown, words in zip(reading.segments, reading.commands, strict=True)
        if words[0].text and "/" in words[0].text
    ]
    return (*reading.segments, *bare)


def named(facts: CommandFacts) -> tuple[str, ...]:
    """Words of the command that may be files, as paths in the workspace."""
    return tuple(dict.fromkeys(path for target in read(facts.command).named for path in _paths(target, facts)))


def written(facts: CommandFacts) -> tuple[str, ...]:
    """Paths that the command is known to write, relative to the workspace where they lie in it."""
    return tuple(dict.fromkeys(path for target in read(facts.command).written for path in _paths(target, facts)))


def _is_allowed(finding: CommandFinding, reading: CommandReading, facts: CommandFacts) -> bool:
    """Only a class, and only for a simple command of which every word is known."""
    if finding.rule not in CLASSES or finding.segment not in reading.segments:
        return False
    certain = reading.certain[reading.segments.index(finding.segment)]
    return certain and any(fnmatchcase(finding.segment, pattern) for pattern in facts.allowed)


def _find_misplaced(reading: CommandReading, facts: CommandFacts) -> Iterator[CommandFinding]:
    """Files outside and protected ones, by the rules of gates 1 and 2."""
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
    """What a name may mean: relative to the workspace where it lies in it, from each folder that was gone to."""
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
    return g02_protected.covering(path, owner=facts.owner, own=()) is not None  # our own code may be read


def _no(command: str) -> tuple[CommandFacts, Decision]:
    return CommandFacts(command=command), Decision.DENY


def _yes(command: str) -> tuple[CommandFacts, Decision]:
    return CommandFacts(command=command), Decision.ALLOW


EXAMPLES: tuple[tuple[CommandFacts, Decision], ...] = (
    *(_yes(command) for command in ALLOWED),
    *(_no(command) for commands in DENIED.values() for command in commands),
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
