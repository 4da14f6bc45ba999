"""Results as they come, one JSON line each, and the table that is made of them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from daemon.evaluation.trial import TrialOutcome, TrialResult
from governance.verification.evidence import VERIFIED
from ledger.errors import ConfigError
from ledger.paths import read_regular

COLUMNS = (
    "| label | kind | tasks | resolved | median | p90 | tested | tokens in / out | wrong "
    "| verified: right / wrong | in doubt: right / wrong |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def read_results(file: Path) -> list[TrialResult]:
    """Earlier results; a torn last line (of a killed run) is left out. Raises ``ConfigError`` for another file."""
    if not file.exists():
        return []
    try:
        lines = read_regular(file).decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as results.", remedy="Name another file.") from error
    found = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            found.append(TrialResult.model_validate_json(line))
        except ValidationError as error:
            if number == len(lines) - 1:
                break
            raise ConfigError(f"{file}, line {number + 1}: not a result.", remedy="Name another file.") from error
    return found


def append(file: Path, result: TrialResult) -> None:
    """Add one line; what a killed run left of its last one is cut off first."""
    data = file.read_bytes() if file.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    with file.open("r+b" if file.exists() else "wb") as out:
        out.truncate(len(whole))
        out.seek(len(whole))
        out.write(result.model_dump_json().encode() + b"\n")


def table(results: Sequence[TrialResult]) -> str:
    """Markdown: by label and kind, and each label as a whole. Times are of the resolved; pure."""
    groups: dict[tuple[str, str], list[TrialResult]] = defaultdict(list)
    for result in results:
        groups[result.label, result.kind].append(result)
    for label in dict.fromkeys(r.label for r in results):
        groups[label, "all"] = [r for r in results if r.label == label]
    return "\n".join([COLUMNS, *(row(label, kind, group) for (label, kind), group in sorted(groups.items()))])


def row(label: str, kind: str, group: Sequence[TrialResult]) -> str:
    valid = [r for r in group if r.outcome is not TrialOutcome.INVALID]
    good = [r for r in valid if r.outcome is TrialOutcome.RESOLVED]
    wrong = [r for r in valid if r.outcome is TrialOutcome.WRONG]
    seconds = sorted(r.seconds for r in good)
    offered = len(good) + len(wrong)
    proven = [sum(r.evidence.startswith(VERIFIED) for r in group) for group in (good, wrong)]
    open_ = [sum(bool(r.doubt) for r in group) for group in (good, wrong)]
    cells = (
        label,
        kind or "-",
        str(len(valid)),
        share(len(good), len(valid)),
        median(seconds),
        at(seconds, 0.9),
        middle(r.tested for r in valid),
        f"{sum(r.tokens_in for r in valid):,} / {sum(r.tokens_out for r in valid):,}",
        share(len(wrong), offered),
        f"{proven[0]} / {proven[1]}",
        f"{open_[0]} / {open_[1]}",
    )
    return f"| {' | '.join(cells)} |"


def share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.0f} %)" if whole else "-"


def median(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.1f} s" if seconds else "-"


def at(ordered: Sequence[float], quantile: float) -> str:
    """The value at or above ``quantile`` of sorted values, in seconds."""
    return f"{ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]:.1f} s" if ordered else "-"


def middle(values: Iterable[int]) -> str:
    found = list(values)
    return f"{statistics.median(found):.0f}" if found else "-"
