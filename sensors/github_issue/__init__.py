"""GitHub issues with your label, by authors whom you name."""

from __future__ import annotations

from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.github_issue.settings import GitHubIssueSettings
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: GitHubIssueSettings) -> Sensor:
    from sensors.github_issue.deliveries import Deliveries
    from sensors.github_issue.poll import IssuePoll
    from sensors.github_issue.sensor import GitHubIssue

    deliveries = Deliveries(ledger=ports.ledger)
    poll = None
    if settings.poll_s and not ports.has_issue_webhook:
        gh = ports.gh(settings.gh_timeout_s)
        poll = IssuePoll(gh=gh, deliveries=deliveries, clock=ports.clock, redact=ports.redact, settings=settings)
    return GitHubIssue(
        repository=ports.repository,
        files=ports.repository,
        tests=ports.tests,
        deliveries=deliveries,
        emit=ports.emit,
        withdraw=ports.withdraw,
        takes_words=lambda: not ports.unavailable(),
        ledger=ports.ledger,
        clock=ports.clock,
        redact=ports.redact,
        settings=settings,
        poll=poll,
    )


def _tables() -> tuple[str, ...]:
    from sensors.github_issue import deliveries, sensor

    return (deliveries.SCHEMA, sensor.SCHEMA)


SPEC = SensorSpec(
    source=Source.GITHUB_ISSUE,
    rank=4,
    urgency=Urgency.NORMAL,
    routed_as=SourceClass.STANDARD,
    from_outside=True,
    settings=GitHubIssueSettings,
    section="github_issue",
    tables=_tables,
    build=_build,
    docs=(
        DocsRow(
            "open issues with your label, by authors whom you name; from a webhook or [polled](#issues)",
            "the failing tests that the issue names pass; without such tests, your yes",
            "without tests",
        ),
    ),
)
