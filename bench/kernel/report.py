"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.kernel.bounds import forms_of
from bench.kernel.machine import shown

UNITS = {"infill": "cand./s", "again": "cand./s", "resident": "MB", "anonymous": "MB", "load": "s"}


def markdown(found: dict[str, Any]) -> str:
    return "\n".join(_lines(found))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield shown(found["machine"])
    limits = found.get("limits", {})
    if "read_gb_s" in limits:
        yield (
            f"torch {limits['torch']} ({limits['capability']}), {limits['threads']} threads. Measured limits: read "
            f"{limits['read_gb_s']:.1f} GB/s; int8 {limits['int8_tera']:.2f}, fp32 {limits['fp32_tera']:.2f}, bf16 "
            f"{limits['bf16_tera']:.2f} · 10^12 operations/s."
        )
    for model, part in found["models"].items():
        yield from ("", f"## {model}", "")
        yield from _table(part["summaries"])
        yield from ("", *_ratios(part["ratios"]), "", *_bounds(part))
        yield from _told(part)


def _table(summaries: dict[str, Any]) -> Iterator[str]:
    names = _names(summaries)
    heads = [f"{name} {UNITS.get(name, 'tok/s')}" for name in names]
    yield f"| | {' | '.join(heads)} | tok/cand. | rounds | others |"
    yield "|---" * (len(names) + 4) + "|"
    for contestant, told in summaries.items():
        if "figures" not in told:
            yield f"| {contestant} | failed: {told['error'].splitlines()[-1][:200]} |"
            continue
        cells = [_cell(told["figures"].get(name)) for name in names]
        tokens = f"{told['tokens']:.1f}" if told["tokens"] else ""
        yield f"| {contestant} | {' | '.join(cells)} | {tokens} | {told['rounds']}/{told['of']} | {told['others']:.2f} |"


def _names(summaries: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for told in summaries.values() for name in told.get("figures", {})))


def _cell(figure: dict[str, float] | None) -> str:
    if figure is None:
        return ""
    return f"{_short(figure['median'])} ({_short(figure['low'])}–{_short(figure['high'])})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratios(ratios: dict[str, Any]) -> Iterator[str]:
    """More is better, of memory and loading, too."""
    names = list(dict.fromkeys(name for of in ratios.values() for one in of.values() for name in one))
    if not names:
        return
    yield f"| ours / rival (above 1 is better) | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for ours, rivals in ratios.items():
        for rival, one in rivals.items():
            cells = (f"{one[name]:.2f}" if name in one else "" for name in names)
            yield f"| {ours} / {rival} | {' | '.join(cells)} |"


def _bounds(part: dict[str, Any]) -> Iterator[str]:
    """What the machine allows, and how much of it each contestant reaches."""
    bounds = part.get("bounds")
    if not bounds:
        return
    yield "| bound by form | weights MB | decode tok/s | prefill tok/s |"
    yield "|---|---|---|---|"
    for form, size in bounds["mb"].items():
        yield f"| {form} | {size:.0f} | {bounds['decode'][form]:.1f} | {_bound(bounds['prefill'].get(form))} |"
    yield ""
    for contestant, told in part["summaries"].items():
        if "figures" in told:
            yield f"- {contestant}: {_reached(bounds, told, *forms_of(contestant, told['info']))}"


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _reached(bounds: dict[str, Any], told: dict[str, Any], narrow: str, wide: str) -> str:
    figures = told["figures"]
    parts = []
    if "decode" in figures and narrow in bounds["decode"]:
        parts.append(f"{figures['decode']['median'] / bounds['decode'][narrow]:.0%} of the decode bound ({narrow})")
    for name, figure in figures.items():
        if name.startswith("prefill") and wide in bounds["prefill"]:
            parts.append(f"{figure['median'] / bounds['prefill'][wide]:.0%} at {name} ({wide})")
    return ", ".join(parts) or "no bound"


def _told(part: dict[str, Any]) -> Iterator[str]:
    """What each contestant says of itself, and the trials by which the rival's settings were chosen."""
    yield ""
    for contestant, told in part["summaries"].items():
        for key, value in told.get("info", {}).items():
            yield f"- {contestant}, {key}: {value}"
    for rival, tuned in part.get("tuned", {}).items():
        for kind, trials in tuned.get("trials", {}).items():
            for setting, score, error in sorted(trials, key=lambda trial: -trial[1]):
                yield f"- {rival}, trial {kind} {score:.2f}{' (' + error[-80:] + ')' if error else ''}: {setting}"
