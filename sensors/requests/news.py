"""Parses webhook payloads; only the fields declared here are read. Pure; the contents are untrusted data.

GitHub: https://docs.github.com/en/webhooks/webhook-events-and-payloads (issues, workflow_run, ping). Everything else:
a Standard Webhook whose type is ``ci.failed``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ledger.ids import sha256_hex
from ledger.vocabulary import Frozen

BODY_CHARS = 16_000
"""Maximum characters kept of an issue's text: GitHub allows 65,536, which is more than a prompt can hold."""

RepositoryName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")]
Login = Annotated[str, Field(min_length=1, max_length=100)]


def normalise_login(name: str) -> str:
    """A login for comparison: ASCII in lower case, others unchanged (no other letter may fold into an ASCII one)."""
    return name.lower() if name.isascii() else name


class _WebhookModel(BaseModel):
    """A part of a payload: unknown fields are ignored, known ones are validated."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _Account(_WebhookModel):
    login: Login


class _Repository(_WebhookModel):
    full_name: RepositoryName
    default_branch: str = Field("", max_length=255)


class _Label(_WebhookModel):
    name: str = Field(max_length=255)


class _Issue(_WebhookModel):
    number: int = Field(gt=0, lt=2**53)
    title: str = Field(max_length=1_024)
    body: str | None = Field(None, max_length=262_144)
    state: str = Field("open", max_length=20)
    user: _Account
    labels: Annotated[tuple[_Label, ...], Field(max_length=200, fail_fast=True)] = ()


class _Issues(_WebhookModel):
    action: str = Field(max_length=50)
    issue: _Issue
    label: _Label | None = None
    repository: _Repository
    sender: _Account


class _Run(_WebhookModel):
    name: str | None = Field(None, max_length=500)
    head_branch: str | None = Field(None, max_length=255)
    head_sha: Commit
    status: str | None = Field(None, max_length=50)
    conclusion: str | None = Field(None, max_length=50)
    head_repository: _Repository | None = None


class _WorkflowRun(_WebhookModel):
    action: str = Field(max_length=50)
    workflow_run: _Run
    repository: _Repository


class _Ping(_WebhookModel):
    hook_id: int


class _Build(_WebhookModel):
    commit: Commit
    name: str = Field("", max_length=500)


class _Standard(_WebhookModel):
    type: str = Field(max_length=200)


class _StandardBuild(_WebhookModel):
    data: _Build


class IssueNews(Frozen):
    """An event of an issue. ``label``: the label that the event added or removed, if any."""

    kind: Literal["issue"] = "issue"
    action: str
    repository: str
    number: int
    title: str
    body: str
    is_open: bool
    author: str
    sender: str
    labels: tuple[str, ...]
    label: str = ""


class BuildNews(Frozen):
    """A failed build of a commit, e.g. in a CI service."""

    kind: Literal["build"] = "build"
    commit: str
    name: str = ""


class NoNews(Frozen):
    """A valid delivery that needs no action."""

    kind: Literal["none"] = "none"
    reason: str


News = IssueNews | BuildNews | NoNews


def parse_github(event: str, body: bytes) -> News:
    """Parse a delivery of GitHub; ``event`` is its ``X-GitHub-Event``. Raises ``ValidationError``."""
    if event == "issues":
        return _issue_news(_Issues.model_validate_json(body))
    if event == "workflow_run":
        return _build_news(_WorkflowRun.model_validate_json(body))
    if event == "ping":
        return NoNews(reason=f"the ping of hook {_Ping.model_validate_json(body).hook_id}")
    _WebhookModel.model_validate_json(body)
    return NoNews(reason="an event that is not used")


def parse_standard(body: bytes) -> News:
    """Parse a Standard Webhook. Raises ``ValidationError``."""
    if _Standard.model_validate_json(body).type != "ci.failed":
        return NoNews(reason="a type that is not used")
    build = _StandardBuild.model_validate_json(body).data
    return BuildNews(commit=build.commit, name=build.name)


def _issue_news(payload: _Issues) -> IssueNews:
    issue = payload.issue
    return IssueNews(
        action=payload.action,
        repository=payload.repository.full_name,
        number=issue.number,
        title=issue.title,
        body=(issue.body or "")[:BODY_CHARS],
        is_open=issue.state == "open",
        author=issue.user.login,
        sender=payload.sender.login,
        labels=tuple(label.name for label in issue.labels),
        label=payload.label.name if payload.label else "",
    )


def _build_news(payload: _WorkflowRun) -> News:
    """A failed run on the default branch of the repository itself; a fork's branch can have the same name."""
    run, home = payload.workflow_run, payload.repository
    if payload.action != "completed" or run.conclusion != "failure":
        return NoNews(reason="a run that has not failed")
    if not home.default_branch or run.head_branch != home.default_branch:
        return NoNews(reason="a run that is not of the default branch")
    if run.head_repository is None or run.head_repository.full_name != home.full_name:
        return NoNews(reason="a run of another repository's branch")
    return BuildNews(commit=run.head_sha, name=run.name or "")


TITLE_CHARS = 300
BODY_PROMPT_CHARS = 6_000


def name_of(news: IssueNews) -> str:
    """``owner/name#12``."""
    return f"{news.repository}#{news.number}"


def goal_of(news: IssueNews) -> str:
    """One line that names the issue and quotes its title."""
    title = " ".join("".join(c if c.isprintable() else " " for c in news.title).split())
    return f"Resolve issue {name_of(news)}: {title[:TITLE_CHARS]}"


def text_of(news: IssueNews) -> str:
    """Title and body as shown to a model, cut at a limit."""
    return f"{news.title}\n\n{news.body}"[:BODY_PROMPT_CHARS]


def digest_of(news: IssueNews) -> str:
    """A hash of title and body."""
    return sha256_hex(f"{news.title}\0{news.body}")
