"""Gate 5, characters of added lines: invisible characters and look-alike identifiers are denied, typographic quotes and
dashes in Python code are sent to repair. Ordinary non-ASCII in strings, comments and prose is allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from governance.irongate.gate import Gate, Subject
from governance.irongate.injection.confusables import ASCII_FORMS, WORD, find_invisible, why_deceptive
from governance.irongate.inspection import Inspection
from governance.irongate.lines import AddedLine, added_lines, as_text
from governance.irongate.paths import is_code, is_python
from governance.irongate.syntax import CODE, character_kinds
from governance.irongate.verdicts import denied, passed, repairable, shown
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 5
CLOSING = {"“": "”", "„": "”", "‟": "”", "«": "»", "‘": "’", "‚": "’", "‛": "’"}


class CharacterFacts(Frozen):
    """One file before and after. ``strict_ascii``: the owner allows ASCII alone."""

    path: str
    before: bytes | None
    after: bytes | None
    strict_ascii: bool = False


def check(facts: CharacterFacts) -> Verdict:
    """Deny characters that deceive a reader, repair those that only break the code or the owner's rule."""
    if facts.after is None or (b"\0" in facts.after and b"\0" in (facts.before or b"")):
        return passed(NUMBER)
    lines = added_lines(facts.before, facts.after)
    for line in lines:
        found = find_invisible(line.text)
        if found:
            what, index = found
            reason = f"{shown(facts.path)}:{line.number} holds a {what} (U+{ord(line.text[index]):04X})."
            return denied(NUMBER, "invisible", reason, evidence=(f"{facts.path}:{line.number}",))
    text = as_text(facts.after)
    known = frozenset(WORD.findall(as_text(facts.before)))
    for line, word in _find_identifiers(facts.path, text, lines):
        why = None if word in known else why_deceptive(word)
        if why:
            reason = f"{shown(facts.path)}:{line.number}: the identifier {word!a} deceives: {why}."
            return denied(NUMBER, "confusable", reason, evidence=(f"{facts.path}:{line.number}",))
    if is_python(facts.path):
        spots = [f"{facts.path}:{line.number}: {char}" for line, char in _find_typographic(text, lines)]
        if spots:
            reason = f"Code of {shown(facts.path)} has typographic characters; use plain quotes, dashes and blanks."
            return repairable(NUMBER, "typographic", reason, evidence=spots)
    foreign = [f"{facts.path}:{line.number}" for line in lines if facts.strict_ascii and not line.text.isascii()]
    if foreign:
        return repairable(NUMBER, "ascii", f"The owner wants ASCII alone in {shown(facts.path)}.", evidence=foreign)
    return passed(NUMBER)


def _line_masks(text: str) -> list[tuple[str, str]]:
    """Each line of ``text`` with the kinds of its characters."""
    mask, rows, at = character_kinds(text), [], 0
    for line in text.split("\n"):
        rows.append((line, mask[at : at + len(line)]))
        at += len(line) + 1
    return rows


def _find_identifiers(path: str, text: str, lines: Collection[AddedLine]) -> Iterator[tuple[AddedLine, str]]:
    """Non-ASCII words of added lines: in Python those outside strings and comments, in other languages all."""
    suspects = [line for line in lines if not line.text.isascii()]
    if not suspects or not is_code(path):
        return
    rows = _line_masks(text) if is_python(path) else []
    for line in suspects:
        for match in WORD.finditer(line.text):
            if not rows or rows[line.number - 1][1][match.start()] == CODE:
                yield line, match.group()


def _find_typographic(text: str, lines: Collection[AddedLine]) -> Iterator[tuple[AddedLine, str]]:
    suspects = [line for line in lines if any(char in ASCII_FORMS for char in line.text)]
    rows = _line_masks(text) if suspects else []
    for line in suspects:
        body, mask = rows[line.number - 1]
        hit = next((char for char, kind in zip(body, mask, strict=True) if kind == CODE and char in ASCII_FORMS), None)
        if hit:
            yield line, f"U+{ord(hit):04X}"


def mend(text: str, lines: Collection[int] | None = None) -> str:
    """Python ``text`` with typographic characters in its code replaced by ASCII; strings and comments stay.

    ``lines``: 1-based numbers of the lines that may be touched; all when left out. Text between a pair of
    typographic quotes becomes a string and is not changed.
    """
    out = []
    for number, (body, mask) in enumerate(_line_masks(text), 1):
        out.append(_mend_line(body, mask) if lines is None or number in lines else body)
    return "\n".join(out)


def _mend_line(body: str, mask: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(body):
        char = body[at]
        if mask[at] != CODE or char not in ASCII_FORMS:
            out.append(char)
            at += 1
            continue
        end = next((i for i in range(at + 1, len(body)) if body[i] == CLOSING.get(char)), None)
        if end is not None and ASCII_FORMS[char] not in body[at + 1 : end]:
            out.append(ASCII_FORMS[char] + body[at + 1 : end] + ASCII_FORMS[char])
            at = end + 1
        else:
            out.append(ASCII_FORMS[char])
            at += 1
    return "".join(out)


def select_facts(inspection: Inspection) -> Iterator[CharacterFacts]:
    """One item for each edit."""
    for edit in inspection.candidate.edits:
        yield CharacterFacts(
            path=edit.path, before=inspection.before(edit), after=edit.after, strict_ascii=inspection.strict_ascii
        )


def _example(path: str, before: str | None, after: str, *, strict_ascii: bool = False) -> CharacterFacts:
    data = None if before is None else before.encode()
    return CharacterFacts(path=path, before=data, after=after.encode(), strict_ascii=strict_ascii)


EXAMPLES: tuple[tuple[CharacterFacts, Decision], ...] = (
    (_example("a.py", None, "name = 'Zoë – “quoted”'  # déjà vu\n"), Decision.ALLOW),
    (_example("a.py", None, "größe = 1\nλ = 2\nν_max = 3\nскорость = 4\n"), Decision.ALLOW),
    (_example("a.py", "x = '\u202e'\n", "x = '\u202e'\ny = 1\n"), Decision.ALLOW),
    (_example("a.py", None, "x = 'a\u202eb'\n"), Decision.DENY),
    (_example("a.md", None, "zero\u200bwidth\n"), Decision.DENY),
    (_example("a.md", None, "family 👩\u200d💻\n"), Decision.ALLOW),
    (_example("a.py", None, "p\u0430ssword = 1\n"), Decision.DENY),
    (_example("a.py", None, "\u0441\u043e\u0440\u0443 = 1\n"), Decision.DENY),
    (_example("a.py", None, "\uff45val(x)\n"), Decision.DENY),
    (_example("a.js", None, "const us\u0435r = 1;\n"), Decision.DENY),
    (_example("a.py", "p\u0430y = 1\n", "p\u0430y = 2\n"), Decision.ALLOW),
    (_example("a.py", None, "print(“hello”)\n"), Decision.REPAIR),
    (_example("a.py", None, "x = a – b\n"), Decision.REPAIR),
    (_example("a.py", None, "x\u00a0= 1\n"), Decision.REPAIR),
    (_example("a.py", None, "x = 'é'\n", strict_ascii=True), Decision.REPAIR),
    (_example("a.py", "x = 'é'\n", "x = 'é'\ny = 1\n", strict_ascii=True), Decision.ALLOW),
    (_example("a.txt", None, "a\x1b[31mred\n"), Decision.DENY),
    (_example("a.py", None, "# a comment\rwhat_python_runs()\n"), Decision.DENY),
    (_example("a.py", "x = 1\r\n", "x = 1\r\ny = 2\r\n"), Decision.ALLOW),
)
GATE = Gate(
    number=NUMBER,
    name="characters",
    summary="invisible characters and look-alike identifiers in added lines; typographic marks in code",
    subjects=(Subject.CANDIDATE,),
    facts=CharacterFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
