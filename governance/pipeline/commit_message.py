"""Builds the commit message: subject, explanatory body and trailers. Pure."""

from __future__ import annotations

import textwrap

from governance.changes.types import CommitText
from governance.irongate.secrets.redaction import redact
from governance.pipeline.dossier import Dossier, RunReport
from governance.verification.evidence import claimed_passes, evidence
from ledger.vocabulary import EditKind, Operation

SUBJECT = 72
WIDTH = 78


def trim(text: str, limit: int) -> str:
    """``text`` on one line, cut at a word to ``limit`` characters."""
    flat = " ".join(text.split())
    if len(flat) <= limit:
        return flat
    return flat[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;:.") + "…"


def subject(op: Operation, dossier: Dossier) -> str:
    """A conventional-commit subject, such as ``fix(area): make test_x pass``."""
    candidate = dossier.generation.candidate if dossier.generation else None
    paths = candidate.paths if candidate else op.targets
    kinds = {e.kind for e in candidate.edits} if candidate else set()
    kind = "fix" if op.test_ids else ("feat" if EditKind.CREATE in kinds else "chore")
    area = paths[0].rpartition("/")[2].removesuffix(".py") if len(paths) == 1 else ""
    prefix = f"{kind}({area}): " if area else f"{kind}: "
    if op.test_ids:
        name = op.test_ids[0].rpartition("::")[2].partition("[")[0]
        more = f" and {len(op.test_ids) - 1} more" if len(op.test_ids) > 1 else ""
        return trim(redact(f"{prefix}make {name}{more} pass"), SUBJECT)  # half a key matches no pattern
    return trim(redact(prefix) + redact(op.goal), SUBJECT)


def body(op: Operation, dossier: Dossier, runs: tuple[RunReport, ...], closure: str) -> str:
    """What failed, what the change does and how it was verified. Secrets are redacted."""
    parts = [op.goal]
    parts += [f"{e.claim.rstrip('.:')}: {e.evidence}" for s in op.signals for e in s.evidence[:2]]
    generation = dossier.generation
    if generation:
        reasons = [generation.candidate.rationale] + [e.rationale for e in generation.candidate.edits]
        parts.append("Change: " + "; ".join(dict.fromkeys(r for r in reasons if r)))
        parts += [f"Found by: {note}" for note in generation.notes[:1]]
    checks = "; ".join(f"{r.scope} {r.passed}/{r.total} passed" for r in runs)
    parts.append(f"Verified on the tree as applied: {checks or 'no tests'}. {closure.rstrip('.')}.")
    if dossier.application and dossier.application.changed_neighbours:
        parts.append("Read but changed since: " + ", ".join(dossier.application.changed_neighbours))
    clean = (" ".join(redact(part).split())[:1_200] for part in parts if part)
    return "\n\n".join(textwrap.fill(part, WIDTH, break_long_words=False) for part in clean)


def compose(
    op: Operation,
    dossier: Dossier,
    runs: tuple[RunReport, ...],
    *,
    closure: str,
    sandbox: str,
    identity: str,
    passed: int,
    total: int,
    co_author: str,
) -> CommitText:
    """The complete message, except for the ``Ouro-Ledger`` trailer, which the commit itself adds."""
    generation = dossier.generation
    provider = generation.candidate if generation else None
    money = (provider.spend.usd_micro if provider else 0) / 1_000_000
    venom = " + Venom" if generation and provider and provider.strategy != "cloze" and generation.exploration else ""
    signal = op.signals[0]
    how_sure = str(evidence(generation.repaired, generation.shown, claimed_passes(runs))) if generation else ""
    trailers = [
        ("Ouro-Op", op.id),
        ("Ouro-Signal", f"{op.origin.value} sha256:{signal.key}"),
        ("Ouro-Risk", dossier.tier.name),
        ("Ouro-Provider", f"{provider.provider} {provider.model} {money:g} USD" if provider else "none"),
        ("Ouro-Verified", f"{passed}/{total} tests, closure closed"),
        *([("Ouro-Evidence", how_sure)] if generation and op.test_ids else []),
        ("Ouro-Sandbox", sandbox),
        ("Generated-By", f"Ouroboros{venom}{' + Consciousness' if dossier.used_memory else ''}"),
        ("Signed-off-by", identity),
    ]
    if co_author:
        trailers.append(("Co-authored-by", co_author))
    return CommitText(subject=subject(op, dossier), body=body(op, dossier, runs, closure), trailers=tuple(trailers))
