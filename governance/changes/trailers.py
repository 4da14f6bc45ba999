"""The commit message: conventional subject, body, and trailers in a fixed order, each exactly once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from governance.changes.types import CommitText
from ledger.vocabulary import Head

SUBJECT_LIMIT = 72
LEDGER = "Ouro-Ledger"
UNDOES = "Ouro-Undoes"
SIGNED_OFF = "Signed-off-by"
CO_AUTHOR = "Co-authored-by"
ORDER = (
    "Ouro-Op",
    UNDOES,
    "Ouro-Signal",
    "Ouro-Risk",
    "Ouro-Provider",
    "Ouro-Verified",
    "Ouro-Evidence",
    "Ouro-Sandbox",
    LEDGER,
    "Generated-By",
    SIGNED_OFF,
    CO_AUTHOR,
)
REQUIRED = (
    "Ouro-Op",
    "Ouro-Signal",
    "Ouro-Risk",
    "Ouro-Provider",
    "Ouro-Verified",
    "Ouro-Sandbox",
    LEDGER,
    "Generated-By",
    SIGNED_OFF,
)
REQUIRED_OF_UNDO = (UNDOES, LEDGER, "Generated-By", SIGNED_OFF)

_OURS = re.compile(rf"^\s*(ouro-[a-z-]+|{'|'.join(ORDER)})\s*:", re.IGNORECASE)
_NAME = re.compile(r"^[A-Za-z0-9-]+$")
_TRAILER = re.compile(r"^([A-Za-z0-9-]+): (.*)$")
_SAID = re.compile(r"^\s*([A-Za-z0-9-]+)\s*:(.*)$")
_HEAD = re.compile(r"([1-9][0-9]{0,17}) sha256:([0-9a-f]{64})")
_CONVENTIONAL = re.compile(r"^[a-z]+(\([^()]*\))?!?: \S")


def one_line(text: str) -> str:
    """One line of printable characters with single blanks."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split())


def subject_line(text: str) -> str:
    """A conventional subject of at most 72 characters; ``fix:`` where the type is missing."""
    line = one_line(text)
    if not _CONVENTIONAL.match(line):
        line = f"fix: {line or 'repair'}"
    if len(line) <= SUBJECT_LIMIT:
        return line
    cut = line[: SUBJECT_LIMIT - 3]
    head, blank, _ = cut.rpartition(" ")
    return f"{head if blank and len(head) > SUBJECT_LIMIT // 2 else cut}..."


def clean_body(text: str) -> str:
    """The body without control characters and without our trailers, which a model may have written."""
    lines: list[str] = []
    dropping = False
    for raw in text.replace("\r\n", "\n").split("\n"):
        line = "".join(c for c in raw if c == "\t" or c.isprintable()).rstrip()
        dropping = bool(_OURS.match(line)) or (dropping and line[:1] in (" ", "\t"))
        if not dropping:
            lines.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def ordered(trailers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Trailers in fixed order, the first of each name (co-authors may repeat); unknown names before the ledger's."""
    kept: dict[tuple[str, str], tuple[str, str]] = {}
    canonical = {name.lower(): name for name in ORDER}
    for raw_name, value in trailers:
        if not _NAME.match(raw_name):
            continue
        name = canonical.get(raw_name.lower(), raw_name)
        kept.setdefault((name.lower(), value if name == CO_AUTHOR else ""), (name, one_line(value)))
    rank = {name: place for place, name in enumerate(ORDER)}
    return tuple(sorted(kept.values(), key=lambda t: rank.get(t[0], rank[LEDGER] - 0.5)))


def compose(text: CommitText, *, signed_off_by: str, ledger: tuple[int, str] | None) -> str:
    """The complete message. ``ledger``: sequence number and hash of the intent entry."""
    given = [t for t in text.trailers if t[0].lower() not in (LEDGER.lower(), SIGNED_OFF.lower())]
    given.append((SIGNED_OFF, signed_off_by))
    if ledger is not None:
        given.append((LEDGER, f"{ledger[0]} sha256:{ledger[1]}"))
    block = "\n".join(f"{name}: {value}" for name, value in ordered(given))
    parts = (subject_line(text.subject), clean_body(text.body), block)
    return "\n\n".join(part for part in parts if part) + "\n"


def read_trailers(message: str) -> dict[str, str]:
    """The trailers in the last paragraph of a message."""
    block = message.rstrip("\n").rpartition("\n\n")[2]
    matches = (_TRAILER.match(line) for line in block.split("\n"))
    return {m.group(1): m.group(2) for m in matches if m}


def said_of(message: str, *names: str) -> tuple[tuple[str, str], ...]:
    """Every line that resembles one of these trailers, anywhere in the message and in any letter case.

    Returns (name as spelled, value) pairs; indented continuation lines belong to the value.
    """
    wanted = {name.lower() for name in names}
    found: list[tuple[str, list[str]]] = []
    going_on = False
    for line in message.split("\n"):
        if going_on and line[:1] in (" ", "\t") and line.strip():
            found[-1][1].append(line.strip())
            continue
        match = _SAID.match(line)
        going_on = match is not None and match.group(1).lower() in wanted
        if match is not None and going_on:
            found.append((match.group(1), [match.group(2).strip()]))
    return tuple((name, " ".join(parts)) for name, parts in found)


def head_of(value: str) -> Head | None:
    """The ledger entry in a trailer's value; None when it is malformed."""
    match = _HEAD.fullmatch(value)
    return Head(seq=int(match.group(1)), hash=match.group(2)) if match else None


def trailer_problems(message: str) -> tuple[str, ...]:
    """Problems with the trailers of one of our messages: missing, or repeated anywhere in it."""
    names = Counter(m.group(1).lower() for m in map(_OURS.match, message.split("\n")) if m)
    found = read_trailers(message)
    required = REQUIRED_OF_UNDO if UNDOES in found else REQUIRED
    problems = [f"the trailer {name} is missing" for name in required if name not in found]
    repeated = {name for name, times in names.items() if times > 1} - {CO_AUTHOR.lower()}
    problems += [f"the trailer {name} stands there {names[name]} times" for name in sorted(repeated)]
    return tuple(problems)
