"""The definitions of every table that other rooms keep beside the record: what else lies in the file is foreign."""

from __future__ import annotations

from governance import approval, budget, questions, refused
from governance.grounding import trust
from sensors import (
    conversation,
    cross_repo_drift,
    deliveries,
    gap_memory,
    github_issue,
    memory,
    outcomes,
    samples,
    scheduled,
    wish_book,
)
from sensors.intake import queue

SCRIPTS: tuple[str, ...] = tuple(
    room.SCHEMA
    for room in (
        approval,
        budget,
        questions,
        refused,
        trust,
        conversation,
        cross_repo_drift,
        deliveries,
        gap_memory,
        github_issue,
        memory,
        outcomes,
        samples,
        scheduled,
        wish_book,
        queue,
    )
)
