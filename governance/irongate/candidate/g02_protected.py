"""Gate 2, protected paths: by path component, never by substring. Nothing can take a built-in pattern away.

A pattern without a slash is compared with every component. One that begins with a slash is compared with the first
components of the path, one with a slash inside with any run of components. Upper and lower case are the same.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase, translate

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.tables import word_list
from governance.irongate.verdicts import denied, passed, shown
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 2
BUILT_IN = word_list(
    """
    .git .gitmodules .gitconfig .git-credentials .hg .svn .ouro .env* .netrc _netrc .pypirc .npmrc .pgpass .htpasswd
    .dockercfg .docker/config.json .ssh .gnupg .aws .azure .kube id_rsa* id_dsa* id_ecdsa* id_ed25519*
    authorized_keys *.pem *.key *.p12 *.pfx *.jks *.keystore *.kdbx *.ppk credentials* secrets.yml secrets.yaml
    secrets.json secrets.toml service-account*.json
    """
)
OWN_CODE = ("/governance", "/ledger", "/daemon")
OWN_MARK = "governance/irongate/registry.py"


class ProtectedPathFacts(Frozen):
    """A path, the owner's further patterns, and those that cover the daemon's own code (for what is to be written)."""

    path: str
    owner: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


def check(facts: ProtectedPathFacts) -> Verdict:
    """Deny a path that a pattern covers; the verdict names the pattern."""
    found = covering(facts.path, owner=facts.owner, own=facts.own)
    if found is None:
        return passed(NUMBER)
    rule, hit = found
    reason = f"{shown(facts.path)} is protected by the pattern {shown(hit)}."
    return denied(NUMBER, rule, reason, evidence=(facts.path, hit))


def covering(path: str, *, owner: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, str] | None:
    """The rule and the first pattern that cover a path."""
    parts = [_plain(part) for part in path.split("/")]
    for rule, patterns in (("built_in", BUILT_IN), ("own", own), ("owner", owner)):
        if not patterns or not any(map(_components(patterns).fullmatch, parts)):
            continue
        hit = next((pattern for pattern in patterns if matches(pattern, path)), None)
        if hit is not None:
            return rule, hit
    return None


@functools.lru_cache(maxsize=64)
def _components(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Matches components of paths that some pattern may cover; a quick test before the exact one."""
    parts = {_plain(part) for pattern in patterns for part in pattern.strip("/").split("/") if part}
    return re.compile("|".join(translate(part) for part in sorted(parts)) or r"(?!)")


def matches(pattern: str, path: str) -> bool:
    """Whether ``pattern`` covers ``path`` or a folder above it."""
    parts = [_plain(part) for part in path.split("/")]
    wanted = [_plain(part) for part in pattern.strip("/").split("/") if part]
    if not wanted:
        return False
    last = len(parts) - len(wanted)
    starts = range(min(1, last + 1)) if pattern.startswith("/") else range(last + 1)
    return any(all(fnmatchcase(parts[start + i], want) for i, want in enumerate(wanted)) for start in starts)


def _plain(component: str) -> str:
    return unicodedata.normalize("NFKC", component).casefold().rstrip(". ") or component


def own_patterns(files: Collection[str]) -> tuple[str, ...]:
    """Patterns for the daemon's own code, when the watched repository is the daemon's."""
    return OWN_CODE if OWN_MARK in files else ()


def select_facts(inspection: Inspection) -> Iterator[ProtectedPathFacts]:
    """One item for each path that the candidate touches."""
    for path, _ in inspection.touched():
        yield ProtectedPathFacts(path=path, owner=inspection.protected, own=inspection.own)


EXAMPLES: tuple[tuple[ProtectedPathFacts, Decision], ...] = (
    (ProtectedPathFacts(path="src/environment.py"), Decision.ALLOW),
    (ProtectedPathFacts(path="src/keyboard.py"), Decision.ALLOW),
    (ProtectedPathFacts(path="docs/credential_flow.md"), Decision.ALLOW),
    (ProtectedPathFacts(path="src/orchestrator.py", owner=("orchestra",)), Decision.ALLOW),
    (ProtectedPathFacts(path=".env"), Decision.DENY),
    (ProtectedPathFacts(path="deploy/.ENV.production"), Decision.DENY),
    (ProtectedPathFacts(path=".git/config"), Decision.DENY),
    (ProtectedPathFacts(path="certs/server.pem"), Decision.DENY),
    (ProtectedPathFacts(path="home/.ssh/config"), Decision.DENY),
    (ProtectedPathFacts(path="x/.docker/config.json"), Decision.DENY),
    (ProtectedPathFacts(path="src/billing/tax.py", owner=("billing",)), Decision.DENY),
    (ProtectedPathFacts(path="src/billing/tax.py", owner=("/billing",)), Decision.ALLOW),
    (ProtectedPathFacts(path="src/billing/tax.py", owner=("src/*/tax.py",)), Decision.DENY),
    (ProtectedPathFacts(path=".env", owner=("!.env",)), Decision.DENY),
    (ProtectedPathFacts(path="governance/risk/ladder.py", own=OWN_CODE), Decision.DENY),
    (ProtectedPathFacts(path="docs/governance/risk.md", own=OWN_CODE), Decision.ALLOW),
)
GATE = Gate(
    number=NUMBER,
    name="protected paths",
    summary="paths that the owner or a built-in pattern protects",
    subjects=(Subject.CANDIDATE, Subject.TOOL_CALL, Subject.SIGNAL),
    facts=ProtectedPathFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
