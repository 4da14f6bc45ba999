"""Whose issues are work."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class GitHubIssueSettings(BaseModel):
    """Whose issues are work. They come by webhook (see ``[webhook]``), or are asked for where there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    authors: tuple[str, ...] = Field(
        (), description="Login names, whole, whose issues count; nobody else's does, whatever label they bear."
    )
    label: str = Field("ouroboros", min_length=1, description="Issues with this label count.")
    repositories: tuple[str, ...] = Field(
        (), description="Where issues may come from (`owner/name`); none: wherever the webhook's secret is used."
    )
    poll_s: float = Field(
        0.0,
        ge=0,
        description="How often GitHub's command line `gh` is asked for the issues of `repositories`, where no webhook "
        "of GitHub's is set up. 0: never; off, because it uses your login there.",
    )
    gh_timeout_s: float = Field(30.0, gt=0, description="Seconds that one call of `gh` may take.")
