"""GitHub issues with your label, by authors whom you name."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, SensorSettings, SensorSpec


class GitHubIssueSettings(SensorSettings):
    """Whose issues are work. They come by webhook (see ``[webhook]``), or by polling where there is none."""

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


SPEC = SensorSpec(
    source=Source("github_issue"),
    facts=SourceFacts(
        rank=4, urgency=Urgency.NORMAL, routed_as=SourceClass.STANDARD, from_outside=True, is_testimony=True
    ),
    settings=GitHubIssueSettings,
    section="github_issue",
    sensor="sensors.github_issue.sensor:GitHubIssue",
    problems_only=True,
    docs=(
        DocsRow(
            "open issues with your label, by authors whom you name; from a webhook or [polled](#issues)",
            "the failing tests that the issue names pass; without such tests, your yes",
            "without tests",
        ),
    ),
)
