"""The risk ladder: ordered rules that assign a tier to the facts of a change. Pure.

Runs at CLASSIFY on the signal and again at GATE on the actual diff; the higher tier counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from ledger.vocabulary import Complexity, Frozen, Tier

MAX_FILES = 8
MAX_CHANGED_LINES = 400
BLAST_LIMIT_BP = 6_000

_SECURITY_PARTS = re.compile(
    r"(^|[._-])(auth|authn|authz|oauth|login|crypto|cryptography|secret|secrets|password|passwd|token|tokens|session"
    r"|permissions?|security|acl|tls|ssl)([._-]|$)",
    re.I,
)
_SECURITY_FILE_NAMES = """
    pyproject.toml setup.py setup.cfg requirements.txt poetry.lock uv.lock pipfile pipfile.lock package.json
    package-lock.json cargo.toml cargo.lock go.mod go.sum constraints.txt dockerfile jenkinsfile .gitlab-ci.yml
    .pre-commit-config.yaml .bashrc .bash_profile .profile .zshrc sitecustomize.py usercustomize.py yarn.lock
    pnpm-lock.yaml environment.yml environment.yaml makefile gnumakefile justfile taskfile.yml taskfile.yaml
    """
_SECURITY_FILES = frozenset(_SECURITY_FILE_NAMES.split())
_SECURITY_DIRS = (".github/workflows", ".github/actions", ".circleci", ".buildkite", ".githooks", ".husky")
_BREAKING = re.compile(
    r"\b(breaking change|backwards?[- ]incompatible|remove the public|drop support|rename the public)\b", re.I
)
_GENERATED_PARTS = frozenset({"migrations", "alembic", "vendor", "vendored", "_vendor", "third_party", "node_modules"})
_GENERATED_NAME = re.compile(r"(_pb2(_grpc)?\.pyi?$|\.generated\.|\.min\.js$|(^|/)schema\.(sql|prisma|graphql)$)")
_REQUIREMENTS = re.compile(r"(^|/)(requirements|constraints)([^/]*|/.*)\.(txt|in)$")


class ChangeFacts(Frozen):
    """The ladder's input: from the signal at CLASSIFY (most fields at their defaults), from the diff at GATE."""

    paths: tuple[str, ...] = ()
    goal: str = ""
    protected: tuple[str, ...] = ()  # paths of these that gate 2 protects
    deleted: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    removed_api: tuple[str, ...] = ()  # public names that are gone or renamed
    changed_lines: int = 0
    security_lines: tuple[str, ...] = ()  # lines whose content is security-sensitive
    test_floor: Tier | None = None  # gate 16's tier for the test files in it
    touches_tests: bool = False
    from_outside: bool = False
    core_paths: tuple[str, ...] = ()  # paths of these that the owner named as core
    own_rooms: bool = False  # the watched repository is Ouroboros itself and the change touches its governance


class Assessment(Frozen):
    """Tier after floors, number of the first matching rule, and the reasons; ``raised_by``: those of the floors."""

    tier: Tier
    rule: int
    reasons: tuple[str, ...]
    raised_by: tuple[str, ...] = ()


def security_path(path: str) -> bool:
    """Rule 1 by path: auth, crypto, secrets, dependency manifests, and what may run outside the sandbox later: CI,
    hooks, build scripts, shell start-up.
    """
    pure = PurePosixPath(path)
    if pure.name.lower() in _SECURITY_FILES or _REQUIREMENTS.search(path):
        return True
    if any(path.startswith(folder + "/") for folder in _SECURITY_DIRS):
        return True
    return any(_SECURITY_PARTS.search(PurePosixPath(part).stem) for part in pure.parts)


def generated_path(path: str) -> bool:
    """Rule 6: migrations, schemas, generated or vendored code."""
    return bool(_GENERATED_PARTS & set(PurePosixPath(path).parts[:-1]) or _GENERATED_NAME.search(path))


Rule = tuple[int, Tier, Callable[[ChangeFacts], str]]


def _named(prefix: str, items: tuple[str, ...]) -> str:
    return f"{prefix}: {', '.join(items[:5])}" if items else ""


def _rule_2(facts: ChangeFacts) -> str:
    if facts.removed_api:
        return _named("removes or renames public names", facts.removed_api)
    return "the goal speaks of a breaking change" if _BREAKING.search(facts.goal) else ""


def _rule_5(facts: ChangeFacts) -> str:
    if len(facts.paths) > MAX_FILES:
        return f"{len(facts.paths)} files (limit {MAX_FILES})"
    return (
        f"{facts.changed_lines} changed lines (limit {MAX_CHANGED_LINES})"
        if facts.changed_lines > MAX_CHANGED_LINES
        else ""
    )


def _rule_1(facts: ChangeFacts) -> str:
    by_path = tuple(p for p in facts.paths if security_path(p))
    return _named("security-sensitive", by_path) or _named("security-sensitive content", facts.security_lines)


LADDER: tuple[Rule, ...] = (
    (0, Tier.BLOCKED, lambda f: _named("protected", f.protected) or ("own governance" if f.own_rooms else "")),
    (1, Tier.APPROVAL_REQUIRED, _rule_1),
    (2, Tier.APPROVAL_REQUIRED, _rule_2),
    (3, Tier.APPROVAL_REQUIRED, lambda f: "weakens a test" if f.test_floor == Tier.APPROVAL_REQUIRED else ""),
    (4, Tier.APPROVAL_REQUIRED, lambda f: _named("deletes", f.deleted)),
    (5, Tier.APPROVAL_REQUIRED, _rule_5),
    (6, Tier.APPROVAL_REQUIRED, lambda f: _named("generated or vendored", tuple(filter(generated_path, f.paths)))),
    (7, Tier.NOTIFY_APPLY, lambda f: "the signal came from outside this machine" if f.from_outside else ""),
    (8, Tier.NOTIFY_APPLY, lambda f: "adds or changes tests" if f.touches_tests else ""),
    (9, Tier.NOTIFY_APPLY, lambda f: _named("core paths", f.core_paths)),
    (10, Tier.NOTIFY_APPLY, lambda f: _named("new files", f.created)),
    (11, Tier.NOTIFY_APPLY, lambda f: f"{len(f.paths)} files" if len(f.paths) > 1 else ""),
    (12, Tier.SAFE_AUTO, lambda f: "one existing source file" if len(f.paths) == 1 else "no file is named yet"),
)


def assess(facts: ChangeFacts, *, floors: tuple[tuple[Tier, str], ...] = ()) -> Assessment:
    """The first matching rule assigns the tier; ``floors`` (tier and reason) can only raise it."""
    for rule, assigned, matches in LADDER:
        reason = matches(facts)
        if reason:
            tier, reasons = assigned, [f"rule {rule}: {reason}"]
            break
    raised_by: list[str] = []
    for floor, why in floors:
        if floor > tier:
            tier = floor
            raised_by.append(why)
            reasons.append(f"raised to {floor.name}: {why}")
    return Assessment(tier=tier, rule=rule, reasons=tuple(reasons), raised_by=tuple(raised_by))


class ComplexityFacts(Frozen):
    """Input of :func:`complexity`. ``dependents``: files outside the targets that import them."""

    targets: tuple[str, ...]
    goal: str
    dependents: int
    touches_build: bool = False


def complexity(facts: ComplexityFacts) -> Complexity:
    """Complexity by number of files and packages, dependents and length of the goal; no model is involved."""
    count = len(facts.targets)
    packages = {str(PurePosixPath(p).parent) for p in facts.targets}
    if count > 8 or facts.touches_build:
        return Complexity.ARCHITECTURAL
    if count >= 4 or len(packages) > 2:
        return Complexity.COMPLEX
    if count >= 2:
        return Complexity.MODERATE
    if count == 1 and len(facts.goal) < 80 and facts.dependents == 0:
        return Complexity.TRIVIAL
    return Complexity.SIMPLE


def blast_score(*, dependents: int, uncovered: int) -> int:
    """0 to 10000 basis points: transitive dependents (20 count as many), weighted by the share that no test imports."""
    if dependents <= 0:
        return 0
    reach = min(dependents, 20) / 20
    weight = 0.5 + 0.5 * min(uncovered, dependents) / dependents
    return round(10_000 * reach * weight)
