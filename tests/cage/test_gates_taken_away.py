"""Every gate that judges candidates twice: it stops its inputs, and some of them pass when it alone is taken away.

What still stops the others is another gate: a second wall behind the first. Gate 20, the list of what may land with
nobody there, stands behind all that only raise the tier or judge a path: it is taken away with each of them, and for
its own inputs alone. Pure, so that all inputs can be tried.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from governance.irongate.candidate_gates import decide, inspect
from governance.irongate.inspection import Inspection
from governance.irongate.op.g19_recursion import diff_hash
from governance.irongate.registry import CANDIDATE_GATES
from ledger.vocabulary import Complexity, Decision, Tier
from tests.cage.play import CART, TEST, TURNED_DOWN
from tests.cage.test_variants import ON_DISK, inputs, placed
from tests.cage.unattended import FAULTY, PATH, sources
from tests.cage.unattended import TEST as SAYS
from tests.e2e.world import PLUS
from tests.governance.irongate.builders import inspection, operation, signal

MENDED = PLUS.replace("subtotal + discount", "subtotal - discount")
REPAIR = {CART: (PLUS, MENDED)}
PASSES = (Decision.ALLOW, Tier.SAFE_AUTO)
LIST = 20
GATES = tuple(gate.number for gate in CANDIDATE_GATES if gate.number != LIST)


def said(made: Inspection, *without: int) -> tuple[Decision, Tier]:
    """What becomes of a candidate; ``without``: the gates that are not there."""
    return decide([verdict for verdict in inspect(made) if verdict.gate not in without])


def attacks() -> Iterator[tuple[int, str, Inspection]]:
    """The gate that must stop it, its name, and the candidate: beside a repair where it brings none itself."""
    for one in inputs("path"):
        if one.rule not in ON_DISK:
            made = inspection({**REPAIR, placed(one.path): (None, "x = 1\n")}, protected=("/billing",))
            yield int(one.rule[4:6]), one.label, made
    for one in (*inputs("file"), *inputs("asked")):
        path = f"cage/{one.path or 'code.py'}"
        yield int(one.rule[4:6]), one.label, inspection({**REPAIR, path: (None, one.text)})
    for one in inputs("weakened"):
        path = f"tests/test_{one.label}.py"
        op = operation(signal(ids=(f"{path}::test_it",)))
        made = inspection({**REPAIR, path: (TEST, one.text.replace("{test}", TEST))}, op=op)
        yield int(one.rule[4:6]), one.label, made
    for one in inputs("change"):
        after = PLUS.replace(one.old, one.new) if one.old else one.new
        yield int(one.rule[4:6]), one.label, inspection({CART: (PLUS, after)})
    long = "".join(f"def more_{n}(x):\n    return x + {n}\n\n\n" for n in range(9)) + PLUS
    yield 13, "most of a file", inspection({CART: (long, MENDED)})
    yield 13, "its end", inspection({CART: (long, long.replace("subtotal + discount\n", "(subtotal - discount"))})
    refused = inspection({CART: (PLUS, TURNED_DOWN)}).candidate
    yield 19, "the same again", inspection({CART: (PLUS, TURNED_DOWN)}, undone=(diff_hash(refused),))
    yield 19, "three commits deep", inspection(REPAIR, op=operation(signal(depth=3)))
    yield 4, "unread", inspection(REPAIR, read=False)
    yield 4, "looked at nothing", inspection(REPAIR, complexity=Complexity.COMPLEX)
    yield 6, "a part of the plan", inspection(REPAIR, plan=(CART, "shop/rate.py"))
    yield 6, "beside the plan", inspection(REPAIR, plan=())


ATTACKS = list(attacks())


def test_nothing_passes_all_gates() -> None:
    assert said(inspection(REPAIR)) == PASSES, "what the attacks stand beside is no fault"
    assert [name for _, name, made in ATTACKS if said(made) == PASSES] == []
    assert len(ATTACKS) > 150


@pytest.mark.parametrize("gate", GATES)
def test_with_this_gate_and_the_list_behind_it_taken_away_its_attacks_pass(gate: int) -> None:
    own = [made for number, _, made in ATTACKS if number == gate]
    passed = [made for made in own if said(made, gate, LIST) == PASSES]
    assert own, f"gate {gate} needs inputs in the corpus"
    assert passed
    for made in passed:
        assert all(said(made, other, LIST) != PASSES for other in GATES if other != gate), "no other gate matters"


def test_with_the_list_alone_taken_away_what_only_it_stops_passes() -> None:
    own = [inspection({PATH: (FAULTY, one.text)}).model_copy(update={"tests": (SAYS,)}) for one in sources()]
    passed = [made for made in own if said(made, LIST) == PASSES]
    assert all(said(made) != PASSES for made in own)
    assert len(passed) > 40
    assert all(said(made, other) != PASSES for made in passed for other in GATES)
