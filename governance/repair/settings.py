"""Limits of cloze search and L2 repair."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class RepairSettings(Frozen):
    """``[repair]``."""

    first_places: int = Field(6, ge=1, le=50, description="Suspicious lines that the first waves of infills look at.")
    batch: int = Field(16, ge=1, le=256, description="Holes that go to the kernel as one batch.")
    context_tokens: int = Field(
        900, ge=100, description="Tokens of prompt around one hole, about: what is farthest from it is cut."
    )
    examples: int = Field(2, ge=1, le=8, description="Failing tests that are shown above the code.")
    parallel_tests: int = Field(
        2, ge=1, le=16, description="Candidates that are tested at the same time; no more than there are cores."
    )
    test_limit_s: int = Field(60, ge=1, description="One test run of a candidate.")
    test_floor_s: float = Field(
        5,
        gt=0,
        description="A test of a candidate may take this long, or five times as long as before where that is more.",
    )
    search_s: int = Field(300, ge=1, description="One search ends after this time, whatever is left of the op's clock.")
    reserve_s: int = Field(60, ge=0, description="The search ends when the op's clock has less than this left.")
    seed: int = Field(7, description="Seed of sampled infills.")
    localised: bool = Field(True, description="Suspicious lines are ranked; off: they are tried in the files' order.")
    moves: bool = Field(
        True, description="Small edits for known kinds of mistakes are tried beside what a model writes."
    )
    sampled: bool = Field(True, description="A model is asked for several answers at the same place; off: for one.")
    branches: int = Field(
        2, ge=0, le=8, description="Partial repairs that are kept at the same time and searched further; 0: none."
    )
    bases: int = Field(8, ge=0, description="Partial repairs that one search may keep in all.")
    compared: int = Field(
        3,
        ge=0,
        le=8,
        description="Other repairs that pass and are asked beside the chosen one with inputs that no test gives; where "
        "one does something else the tier is raised. 0: none.",
    )
    l2_rounds: int = Field(5, ge=1, description="Layers of L2 repair with a model that converses.")
    l2_branches: int = Field(
        1, ge=1, le=8, description="Patches in a layer of L2: tested side by side, and the best are gone on with."
    )
    l2_changed_lines: int = Field(150, ge=1, description="A repair of L2 may change this many lines.")
    l2_files: int = Field(3, ge=1, description="A repair of L2 may change this many files.")
