"""Gate 15, secrets: a change may not bring a key or a password. Only added lines are judged, and only what is new.

Nor may it bring code that reads like a password: that is blotted out where the owner looks at the change, so that he
would approve what he is not shown. The verdict names the rule and the place, never the secret.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.lines import added_lines, as_text
from governance.irongate.paths import is_python
from governance.irongate.secrets.redaction import SecretSpan, findings
from governance.irongate.syntax import dump, parse_copy
from governance.irongate.verdicts import denied, passed, repairable, shown
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 15
WORD_OF_A_PERSON = re.compile(r"[\w !@#%^*+=.,:/?~-]*")
"""What a made-up password may be written in; brackets, braces and what a shell acts on are code."""


class SecretFacts(Frozen):
    """One file before and after. Holds the text itself: it is judged, never recorded."""

    path: str
    before: bytes | None
    after: bytes | None


def check(facts: SecretFacts) -> Verdict:
    """Deny a secret that the change brings."""
    lines = added_lines(facts.before, facts.after)
    text = "\n".join(line.text for line in lines)
    known = as_text(facts.before)
    spots = []
    for found in findings(text):
        if text[found.start : found.end] in known:
            continue
        line = lines[text.count("\n", 0, found.start)]
        spots.append(f"{facts.path}:{line.number}: {found.rule}")
    if spots:
        reason = (
            f"The change brings a secret into {shown(facts.path)}; read it from the environment or a vault instead."
        )
        return denied(NUMBER, "secret", reason, evidence=spots)
    hidden = _find_hidden_code(facts)
    if hidden:
        reason = (
            f"In {shown(facts.path)} code reads like a password; it would be blotted out where the owner looks at the "
            f"change. Write it another way."
        )
        return repairable(NUMBER, "hidden", reason, evidence=hidden)
    return passed(NUMBER)


def _find_hidden_code(facts: SecretFacts) -> list[str]:
    """Places where code is blotted out that was not before; a plain text in a string or a comment is none."""
    text, before = as_text(facts.after), as_text(facts.before)
    found = findings(text, guesses=True)
    known = {before[one.start : one.end] for one in findings(before, guesses=True)} if found else set()
    fresh = [one for one in found if text[one.start : one.end] not in known]
    if not fresh:
        return []
    is_code = is_python(facts.path) and _program_shape(text) != _program_shape(_mask_secrets(text, fresh))
    odd = [one for one in fresh if is_code or not WORD_OF_A_PERSON.fullmatch(text[one.start : one.end])]
    return [f"{facts.path}:{text.count(chr(10), 0, one.start) + 1}" for one in odd]


def _mask_secrets(text: str, found: list[SecretSpan]) -> str:
    for one in reversed(found):
        text = f"{text[: one.start]}0{text[one.end :]}"
    return text


def _program_shape(text: str) -> str | None:
    """A program with its strings emptied; None where it does not parse, or is nested too deeply."""
    tree = parse_copy(text)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            node.value = ""
    return dump(tree) if tree is not None else None


def select_facts(inspection: Inspection) -> Iterator[SecretFacts]:
    """One item for each edit."""
    for edit in inspection.candidate.edits:
        yield SecretFacts(path=edit.path, before=inspection.before(edit), after=edit.after)


def _example(after: str, before: str | None = None) -> SecretFacts:
    return SecretFacts(path="a.py", before=None if before is None else before.encode(), after=after.encode())


# Built from pieces, so that nothing in this file has the shape of a key.
_AWS = "AKIA" + "IOSFODNN7" + "QQWWEER"
_RANDOM = "q7Rz" + "P0vK2m" + "X9sLw4" + "TfYh8B"

EXAMPLES: tuple[tuple[SecretFacts, Decision], ...] = (
    (_example("key = os.environ['API_KEY']\n"), Decision.ALLOW),
    (_example('password = "changeme-changeme-1"\n'), Decision.ALLOW),
    (_example('token_count_description = "number of tokens in the prompt 42"\n'), Decision.ALLOW),
    (_example('commit = "' + "0a1b2c3d" * 5 + '"\n'), Decision.ALLOW),
    (_example(f'key = "{_AWS}"\n'), Decision.DENY),
    (_example(f'api_key = "{_RANDOM}"\n'), Decision.DENY),
    (_example(f'# keep\napi_key = "{_RANDOM}"\n', f'api_key = "{_RANDOM}"\n'), Decision.ALLOW),
    (_example("-----BEGIN RSA " + "PRIVATE KEY-----\nabc\n"), Decision.DENY),
    (_example("url = 'postgres://app:" + "s3cr3tPw9" + "@db/app'\n"), Decision.DENY),
    (_example("url = 'postgres://postgres:postgres@db/app'\n"), Decision.ALLOW),
    (_example("password = 'calypso" + "77!'\n"), Decision.ALLOW),
    (_example("openssl = k = 0\nx = openssl -k" + " (exec)(text)\n"), Decision.REPAIR),
    (_example("password = f'x{(exec)" + "(text)}'\n"), Decision.REPAIR),
)
GATE = Gate(
    number=NUMBER,
    name="secrets",
    summary="new keys and passwords, and code that would be redacted like one",
    subjects=(Subject.CANDIDATE,),
    facts=SecretFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
    is_replayable=False,  # its facts would be the secrets themselves: they are not stored
)
