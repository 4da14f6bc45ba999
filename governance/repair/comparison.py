"""Comparison of several passing repairs on inputs that no test uses: which functions to run, and the results. Pure.

Where they differ, the tests do not determine which of them is right, and neither can the search.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from governance.irongate.syntax import dump, parse
from governance.pipeline.context import OpContext
from governance.repair.failure_context import FailureContext, decode
from governance.repair.ranking import PassingVariant
from governance.repair.spans import Function, first_line
from governance.repair.variant_runner import VariantRunner
from ledger.errors import OuroError
from ledger.events.repair import RepairsCompared
from ledger.vocabulary import ProbeAnswer
from tools.testing.runner import Functions

Named = tuple[str, str]
"""Path and qualified name of a function."""

UNREADABLE = "gives an unreadable value"
TESTS, TESTS_MS = 12, 3_000
"""Limits of the tests that are run because they call a function: number, and milliseconds of their earlier run."""


def final_texts(survivor: PassingVariant) -> dict[str, str]:
    """The files that a variant changes, with its texts."""
    return {**survivor.scene.done, survivor.variant.path: survivor.variant.source}


def functions(text: str) -> dict[str, Function]:
    """The functions of a file by qualified name; a second one of the same name (a setter) gets a number."""
    found: dict[str, Function] = {}
    tree = parse(text)
    for name, node in _below(tree, "") if tree is not None else ():
        number = sum(known.partition("#")[0] == name for known in found)
        found[f"{name}#{number + 1}" if number else name] = node
    return found


def _below(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    left = [(child, prefix) for child in ast.iter_child_nodes(node)][::-1]
    while left:  # iterative: a file may be nested deeper than the recursion limit
        child, prefix = left.pop()
        inner = prefix
        if isinstance(child, Function):
            yield f"{prefix}{child.name}", child
            inner = f"{prefix}{child.name}.<locals>."
        elif isinstance(child, ast.ClassDef):
            inner = f"{prefix}{child.name}."
        left += [(below, inner) for below in ast.iter_child_nodes(child)][::-1]


def changed_functions(survivor: PassingVariant) -> frozenset[Named]:
    """Functions that differ between a variant and the op's tree."""
    found: set[Named] = set()
    for path, text in final_texts(survivor).items():
        before = {name: dump(node) for name, node in functions(original_text(survivor.scene, path)).items()}
        after = functions(text)
        # A function that is nested too deeply to dump counts as different.
        alike = {name for name in before.keys() & after.keys() if before[name] == dump(after[name]) is not None}
        found |= {(path, name) for name in (before.keys() & after.keys()) - alike}
    return frozenset(found)


def original_text(scene: FailureContext, path: str) -> str:
    """The text of a file in the op's tree."""
    data = scene.originals.get(path)
    return (decode(data) or "") if data is not None else ""


def first_lines(named: Collection[Named], texts: Mapping[str, str]) -> tuple[tuple[str, int, str], ...]:
    """Where the functions begin, decorators included; missing ones are left out."""
    known = {path: functions(text) for path, text in texts.items()}
    nodes = [(path, name, known[path][name]) for path, name in sorted(named) if name in known.get(path, {})]
    return tuple((path, first_line(node), name.partition("#")[0]) for path, name, node in nodes)


def tests_of(named: Collection[Named], scene: FailureContext) -> tuple[str, ...]:
    """Tests that run one of the functions: the failing ones first, then quick ones."""
    spans: list[tuple[str, range]] = []
    for path, name in named:
        source = scene.sources.get(path)  # with the lines of the measured run: a partial repair may have moved them
        node = functions(source.text if source is not None else original_text(scene, path)).get(name)
        if node is not None:
            spans.append((path, range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)))
    failing = {r.id for r in scene.failing}
    seen = {
        test
        for test, files in scene.base.coverage.items()
        if any(line in lines for path, lines in spans for line in files.get(path, ()))
    }
    rows = [r for r in scene.base.results if r.id in seen and "::" in r.id and (r.id in failing or not r.outcome.red)]
    chosen: list[str] = []
    spent = 0
    for result in sorted(rows, key=lambda r: (r.id not in failing, r.duration_ms)):
        spent += result.duration_ms
        if len(chosen) == TESTS or (chosen and spent > TESTS_MS):
            break
        chosen.append(result.id)
    return tuple(chosen)


def stable_answers(once: Sequence[ProbeAnswer], again: Sequence[ProbeAnswer]) -> tuple[ProbeAnswer, ...]:
    """Results that both runs of one program gave: a varying one is no difference between two programs."""
    known = set(again)
    return tuple(answer for answer in once if answer in known)


def pair_answers(own: Sequence[ProbeAnswer], others: Sequence[ProbeAnswer]) -> list[tuple[ProbeAnswer, ProbeAnswer]]:
    """Results of two programs for the same input, where both are readable."""
    known = {answer.key: answer for answer in others}
    pairs = [(answer, known[answer.key]) for answer in own if answer.key in known]
    return [(one, other) for one, other in pairs if _is_readable(one) and _is_readable(other)]


def find_differences(
    own: Sequence[ProbeAnswer], others: Sequence[ProbeAnswer]
) -> list[tuple[ProbeAnswer, ProbeAnswer]]:
    """Inputs with two different results, short ones first. Two errors are no disagreement: their texts may vary."""
    found = [(a, b) for a, b in pair_answers(own, others) if a.said != b.said and not (_raises(a) and _raises(b))]
    return sorted(found, key=lambda pair: (_raises(pair[0]) + _raises(pair[1]), len(pair[0].asked), pair[0].asked))


def _raises(answer: ProbeAnswer) -> bool:
    return answer.said.startswith("raises ")


def _is_readable(answer: ProbeAnswer) -> bool:
    return answer.said.startswith(("gives ", "raises ")) and answer.said != UNREADABLE


SHOWN = 3
"""Number of disagreements that are recorded."""
MOST_S = 30.0
"""Time limit in seconds: the repair must not be lost to its comparison."""
NO_WALLS = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeComparison:
    """``inputs``: least number of inputs that each repair was run with; ``problem``: why there were none."""

    inputs: int = 0
    pairs: tuple[tuple[PassingVariant, ProbeAnswer, ProbeAnswer], ...] = ()
    problem: str = ""


async def disagreement(
    chosen: PassingVariant, rivals: Sequence[PassingVariant], bench: VariantRunner, ctx: OpContext
) -> str:
    """An input on which another repair behaves differently, in a sentence; empty where none was found.

    The caller does not hold the heavy slot. Failures of the comparison are recorded and do not affect the repair.
    """
    others = await asyncio.to_thread(_equals, chosen, rivals, ctx.services.settings.repair.compared)
    if not others:
        return ""
    began = ctx.services.clock.monotonic()
    found = await _in_time(chosen, others, bench, ctx)
    await ctx.record.note(
        RepairsCompared(
            repairs=1 + len(others),
            inputs=found.inputs,
            differing=len(found.pairs),
            problem=found.problem,
            ms=round(1000 * (ctx.services.clock.monotonic() - began)),
            examples=[[a.asked, a.said, b.said] for _, a, b in found.pairs[:SHOWN]],
        )
    )
    if not found.pairs:
        return ""
    other, one, two = found.pairs[0]
    return f"{one.asked} {one.said}; with another repair that passes the tests ({other.variant.what}) it {two.said}"


async def _in_time(
    chosen: PassingVariant, others: Sequence[PassingVariant], bench: VariantRunner, ctx: OpContext
) -> ProbeComparison:
    if ctx.services.sandbox_name == NO_WALLS:
        return ProbeComparison(problem="without walls nothing is called with inputs that nobody meant")
    left = ctx.clock.remaining_s() - ctx.services.settings.repair.reserve_s
    try:
        async with asyncio.timeout(min(MOST_S, left)):
            return await _compared(chosen, others, bench, ctx)
    except TimeoutError:
        return ProbeComparison(problem="there was no time")
    except ExceptionGroup as group:  # of runs side by side
        mine, foreign = group.split((OuroError, OSError))
        if foreign is not None or mine is None:
            raise
        return ProbeComparison(problem=f"the runs failed: {mine.exceptions[0]}"[:200])


async def _compared(
    chosen: PassingVariant, others: Sequence[PassingVariant], bench: VariantRunner, ctx: OpContext
) -> ProbeComparison:
    asked, tests = await asyncio.to_thread(_questions, [chosen, *others])
    if not tests:
        return ProbeComparison(problem="no test calls what they change")
    async with ctx.services.heavy:
        # Twice for the chosen one: results that differ between two runs of one program are left out.
        once, again, *said = await bench.answers([asked[0], *asked], tests)
        own = stable_answers(once, again)
        suspects = [at for at, answers in enumerate(said) if find_differences(own, answers)]
        for at, answers in zip(suspects, await bench.answers([asked[1 + i] for i in suspects], tests), strict=True):
            said[at] = stable_answers(said[at], answers)
    inputs = min(len(pair_answers(own, answers)) for answers in said)
    pairs = [
        (other, *pair) for other, answers in zip(others, said, strict=True) for pair in find_differences(own, answers)
    ]
    return ProbeComparison(
        inputs=inputs, pairs=tuple(pairs), problem="" if inputs else "no input could be made, or told apart"
    )


def _equals(chosen: PassingVariant, rivals: Sequence[PassingVariant], most: int) -> list[PassingVariant]:
    """Repairs that are no worse by the tests and not equivalent to the chosen one; best first."""
    known = [final_texts(chosen)]
    found: list[PassingVariant] = []
    for rival in rivals:
        worse = _standing(rival) > _standing(chosen)
        if len(found) < most and not worse and final_texts(rival) not in known:
            known.append(final_texts(rival))
            found.append(rival)
    return found


def _standing(survivor: PassingVariant) -> tuple[int, int, bool]:
    return survivor.newly_red, survivor.still_red, bool(survivor.shortcut)


def _questions(survivors: Sequence[PassingVariant]) -> tuple[list[tuple[PassingVariant, Functions]], tuple[str, ...]]:
    """For each variant the places of all functions that any of them changes; and the tests that call these."""
    named = frozenset[Named]().union(*(changed_functions(s) for s in survivors))
    before = {path: original_text(s.scene, path) for s in survivors for path in final_texts(s)}
    asked: list[tuple[PassingVariant, Functions]] = [
        (s, first_lines(named, {**before, **final_texts(s)})) for s in survivors
    ]
    return asked, tests_of(named, survivors[0].scene) if named else ()
