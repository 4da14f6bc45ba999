"""The definitions of every table that other rooms keep beside the record: what else lies in the file is foreign."""

from __future__ import annotations

from governance import budget
from governance.approval import inbox, questions, refusals
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
        inbox,
        budget,
        questions,
        refusals,
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
