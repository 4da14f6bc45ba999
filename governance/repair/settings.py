"""Limits of cloze search and L2 repair."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class RepairSettings(Frozen):
    """Section ``[repair]`` of the settings: bounds of the search, and of L2 repair by conversation (``l2_``)."""

    first_places: int = Field(6, ge=1, le=50, description="Suspicious lines that the first waves try infills for.")
    batch: int = Field(16, ge=1, le=256, description="Largest number of holes that the kernel fills as one batch.")
    context_tokens: int = Field(
        900,
        ge=100,
        description="Approximate length of the prompt around one hole in tokens; the code farthest from it is cut.",
    )
    examples: int = Field(2, ge=1, le=8, description="Number of failing tests in the prompt, above the code.")
    parallel_tests: int = Field(
        2, ge=1, le=16, description="Candidates that are tested at the same time; at most the number of cores."
    )
    test_limit_s: int = Field(60, ge=1, description="Time limit of one test run of a candidate.")
    test_floor_s: float = Field(
        5,
        gt=0,
        description="Time limit of one test of a candidate, or five times its earlier duration if that is more.",
    )
    search_s: int = Field(300, ge=1, description="Time limit of one search, even if more of the op's time is left.")
    reserve_s: int = Field(60, ge=0, description="The search ends when less than this is left of the op's time.")
    seed: int = Field(7, description="Seed of sampled infills.")
    localised: bool = Field(
        True, description="Rank lines by how suspicious they are; off: try them in the order of the file."
    )
    moves: bool = Field(True, description="Try small edits for known kinds of mistakes, besides infills of the model.")
    sampled: bool = Field(True, description="Request several answers of the model for one place; off: one.")
    branches: int = Field(
        2, ge=0, le=8, description="Partial repairs from which the search goes on at the same time; 0: none."
    )
    bases: int = Field(8, ge=0, description="Largest number of partial repairs in one search.")
    compared: int = Field(
        3,
        ge=0,
        le=8,
        description="Other passing repairs that are compared with the chosen one on inputs that no test has; if one "
        "behaves differently, the tier is raised. 0: none.",
    )
    l2_rounds: int = Field(5, ge=1, description="Largest number of layers of an L2 repair.")
    l2_branches: int = Field(
        1, ge=1, le=8, description="Patches in a layer of an L2 repair, tested concurrently; the best are continued."
    )
    l2_changed_lines: int = Field(150, ge=1, description="Largest number of lines that an L2 repair may change.")
    l2_files: int = Field(3, ge=1, description="Largest number of files that an L2 repair may change.")
