"""Gate 15, secrets: a change may not bring a key or a password. Only added lines are judged, and only what is new.

The verdict names the rule and the place, never the secret.
"""

from __future__ import annotations

from governance.irongate.lines import added, as_text
from governance.irongate.secrets import findings, redact
from governance.irongate.verdicts import denied, passed, shown
from ledger.vocabulary import Decision, Frozen, Verdict

__all__ = ["EXAMPLES", "GATE", "Facts", "check", "redact"]

GATE = 15


class Facts(Frozen):
    """One file before and after. Holds the text itself: it is judged, never recorded."""

    path: str
    before: bytes | None
    after: bytes | None


def check(facts: Facts) -> Verdict:
    """Deny a secret that the change brings."""
    lines = added(facts.before, facts.after)
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
        return denied(GATE, "secret", reason, evidence=spots)
    return passed(GATE)


def _example(after: str, before: str | None = None) -> Facts:
    return Facts(path="a.py", before=None if before is None else before.encode(), after=after.encode())


# Built from pieces, so that nothing in this file has the shape of a key.
_AWS = "AKIA" + "IOSFODNN7" + "QQWWEER"
_RANDOM = "q7Rz" + "P0vK2m" + "X9sLw4" + "TfYh8B"

EXAMPLES: tuple[tuple[Facts, Decision], ...] = (
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
)
