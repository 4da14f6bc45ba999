"""From runs to medians, ranges and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

Runs = Sequence[dict[str, Any]]
Figure = dict[str, float]  # median, low, high
TO_BE_LOW = ("resident", "anonymous", "load")


def values(run: dict[str, Any]) -> dict[str, float]:
    """All figures of one run, flat."""
    found = {f"prefill {length}": rate for length, rate in run.get("prefill", {}).items()}
    found |= {name: run[name] for name in ("decode", "infill", "again") if name in run}
    found |= {"resident": run["memory"]["VmHWM"], "anonymous": run["watch"]["anonymous_mb"], "load": run["load_s"]}
    return found


def undisturbed(runs: Runs, most: float) -> Runs:
    """Runs that worked, without those beside which more than ``most`` cores were busy, as long as others remain."""
    good = [run for run in runs if "error" not in run]
    calm = [run for run in good if run["watch"]["others_cores"] <= most]
    return calm or good


def summary(runs: Runs, most: float) -> dict[str, Any]:
    """Of all rounds of one contestant with one model."""
    used = undisturbed(runs, most)
    if not used:
        return {"error": runs[-1]["error"], "rounds": 0, "of": len(runs)}
    flat = [values(run) for run in used]
    figures: dict[str, Figure] = {}
    for name in flat[0]:
        rates = [one[name] for one in flat if name in one]
        figures[name] = {"median": statistics.median(rates), "low": min(rates), "high": max(rates)}
    return {
        "figures": figures,
        "rounds": len(used),
        "of": len(runs),
        "others": max(run["watch"]["others_cores"] for run in used),
        "tokens": used[0].get("infill_tokens"),
        "info": used[0]["info"],
    }


def ratios(summaries: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Ours by form, by rival, by figure: above 1 is better, for memory and loading, too."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for ours, mine in summaries.items():
        for rival, its in summaries.items():
            if ours.startswith("ours/") and not rival.startswith("ours/") and "figures" in mine and "figures" in its:
                found.setdefault(ours, {})[rival] = _ratio(mine["figures"], its["figures"])
    return found


def _ratio(mine: dict[str, Figure], its: dict[str, Figure]) -> dict[str, float]:
    found = {}
    for name in mine:
        if name in its:
            one, other = mine[name]["median"], its[name]["median"]
            above, below = (other, one) if name in TO_BE_LOW else (one, other)
            found[name] = above / below if below else float("inf")
    return found
