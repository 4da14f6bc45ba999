"""Settings of how changes reach the owner's repository."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.vocabulary import Frozen


class ChangeSettings(Frozen):
    """``[changes]`` in the owner's settings. The repository's own file may only tighten it."""

    mode: Literal["branch", "review", "dry-run"] = Field(
        "branch",
        description="branch: commit on the branch that is checked out when that is safe, else on a review branch; "
        "review: always on a review branch; dry-run: show the diff only.",
    )
    hooks: Literal["sandbox", "owner"] = Field(
        "sandbox", description="Where the repository's pre-commit and commit-msg hooks run; owner: without a sandbox."
    )
    hook_timeout_s: float = Field(60.0, gt=0, description="A hook that takes longer is a refusal.")
    name: str = Field("Ouroboros", min_length=1, description="Author and committer of the daemon's commits.")
    email: str = Field("", description="Its mail address; empty: ouroboros@HOST.")
    reparent_limit: int = Field(
        3,
        ge=0,
        le=10,
        description="How often a commit is put on a branch that moved on before a review branch is made.",
    )
    index_retries_s: tuple[float, ...] = Field(
        (0.05, 0.1, 0.2, 0.4),
        description="Waits before the owner's index is asked again while another git holds its lock.",
    )
    other_signers: tuple[str, ...] = Field(
        (),
        description="Fingerprints (`SHA256:...`) of other daemons' keys, or former ones of this one: the record is not "
        "asked for what they sign.",
    )
