"""Settings of the sensors."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sensors.advisory_sources import AdvisorySettings
from sensors.drift_settings import CrossRepoDriftSettings
from sensors.gap_settings import CapabilityGapSettings
from sensors.intent_settings import IntentDiscoverySettings
from sensors.performance_settings import PerformanceRegressionSettings
from sensors.schedule import ScheduledSettings
from sensors.vision_settings import VisionSettings
from sensors.voice_settings import VoiceCommandSettings


class TestFailureSettings(BaseModel):
    """When and how the suite is run by itself."""

    __test__ = False  # not a pytest class
    model_config = ConfigDict(frozen=True, extra="forbid")

    eager: bool = Field(False, description="Also look at saved, uncommitted files; repairs go to a review branch.")
    debounce_s: float = Field(2.0, ge=0, description="The suite is run when nothing has moved for this long.")
    debounce_most_s: float = Field(30.0, gt=0, description="It is run after this long even if things keep moving.")
    confirm_limit: int = Field(
        200, ge=1, description="More red tests than this are confirmed by running the whole suite again."
    )
    remembered: int = Field(2_000, ge=1, description="Commits whose outcome is remembered.")


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


class FileSensorSettings(BaseModel):
    """Bounds that all sensors of committed files have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    debounce_s: float = Field(
        0.0, ge=0, description="It looks when HEAD has not moved for this long, on top of the watcher's own debounce."
    )
    debounce_most_s: float = Field(30.0, gt=0, description="It looks after this long even if HEAD keeps moving.")
    per_look: int = Field(3, ge=0, description="Most signals of one look; what is left over waits for the next commit.")
    per_day: int = Field(10, ge=0, description="Most signals within 24 hours.")
    most_files: int = Field(2_000, ge=1, description="Most files of one look; the others wait for the next commit.")
    largest_bytes: int = Field(512 * 1024, ge=1, description="Larger files are not looked at.")


class TodoScannerSettings(FileSensorSettings):
    """Markers in comments."""

    enabled: bool = Field(
        False,
        description="Work on TODO, FIXME and HACK comments. Off: a note to oneself is no request, and each costs model "
        "calls; what is proposed waits for the owner's yes.",
    )
    least_words: int = Field(3, ge=1, description="A marker with fewer words says too little to act on.")
    aged_days: int = Field(90, ge=0, description="A marker that stood there before is said after this time; 0: never.")


class DocStalenessSettings(FileSensorSettings):
    """Docstrings and pages of what changes."""

    enabled: bool = Field(
        False,
        description="Write docstrings for public symbols that a commit adds or changes without one, and bring those up "
        "to date whose parameters have changed. Off: whether and how a repository documents is its owner's taste, and "
        "a change of docstrings alone may land by itself.",
    )
    pages: bool = Field(
        True, description="Say also which pages (README, docs/) name what a commit has taken away; waits for your yes."
    )
    least_lines: int = Field(5, ge=1, description="Shorter symbols are left to speak for themselves.")


class BacklogSettings(FileSensorSettings):
    """The owner's list of wishes."""

    enabled: bool = Field(
        True,
        description="Work on ready items of a committed .ouro/backlog.toml or .ouro/backlog.md. On: without such a "
        "file it costs nothing, its items are requests, and what is proposed waits for the owner's yes.",
    )
    per_look: int = Field(1, ge=0, description="Most items of one look; what is left over waits for the next commit.")


class OpportunityMinerSettings(FileSensorSettings):
    """What has become hard to read, stands there twice, or is used no more."""

    enabled: bool = Field(
        False,
        description="Simplify functions that a commit has made too complex, join those that it has made equal, remove "
        "what it has left without use. Off: a rewrite that nobody asked for is only as safe as the tests are good, "
        "and it may land by itself.",
    )
    complexity: int = Field(15, ge=3, description="Cyclomatic complexity from which on a function is too complex.")
    duplicates: bool = Field(True, description="Say which functions are the same up to their local names.")
    least_statements: int = Field(8, ge=3, description="Functions with fewer statements are no duplicates.")
    dead_code: bool = Field(
        True, description="Say which private functions nothing names any more, and what can never be carried out."
    )
    most_tree_files: int = Field(
        2_000,
        ge=1,
        description="In a repository with more Python files neither duplicates nor dead functions are said.",
    )
    per_look: int = Field(
        1, ge=0, description="Most functions of one look; what is left over waits for the next commit."
    )


class RuntimeHealthSettings(BaseModel):
    """A suite that has stopped answering."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        True,
        description="Work on a suite that gives no answer at HEAD and does at an ancestor. On: as long as the suite "
        "answers it costs nothing, and without an answer no other repair can be tested.",
    )
    ancestors: int = Field(50, ge=1, description="How far back an ancestor is looked for at which the suite answered.")
    per_day: int = Field(3, ge=0, description="Most signals within 24 hours.")


class ProactiveExplorationSettings(BaseModel):
    """What nobody has asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        False,
        description="When nothing else is to be done, write tests for public functions that no test names, near past "
        "failures. Off: nobody has asked for it, it costs model calls and test runs, and what code does now need not "
        "be right; what is proposed waits for the owner's yes.",
    )
    idle_s: float = Field(300.0, ge=0, description="It looks when nothing has happened for this long.")
    per_day: int = Field(2, ge=0, description="Most signals within 24 hours.")
    least_lines: int = Field(4, ge=2, description="Shorter functions are left alone.")
    most_files: int = Field(2_000, ge=1, description="Most files of one look.")
    largest_bytes: int = Field(512 * 1024, ge=1, description="Larger files are not looked at.")


class WebIntelligenceSettings(AdvisorySettings, FileSensorSettings):
    """Pinned versions with known defects."""

    enabled: bool = Field(
        False,
        description="Move pins of Python packages away from versions with an advisory. Off: it needs a folder of "
        "advisories, or an API that learns what you pin; what is proposed waits for the owner's yes.",
    )
    every_s: float = Field(86_400.0, ge=60, description="How often it looks although no pin has changed.")
    largest_bytes: int = Field(8 * 1024 * 1024, ge=1, description="Larger files are not looked at.")


class SensorsSettings(BaseModel):
    """The sensors of work that no failing test asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backlog: BacklogSettings = BacklogSettings()
    todo_scanner: TodoScannerSettings = TodoScannerSettings()
    doc_staleness: DocStalenessSettings = DocStalenessSettings()
    opportunity_miner: OpportunityMinerSettings = OpportunityMinerSettings()
    voice_command: VoiceCommandSettings = VoiceCommandSettings()
    intent_discovery: IntentDiscoverySettings = IntentDiscoverySettings()
    capability_gap: CapabilityGapSettings = CapabilityGapSettings()
    performance_regression: PerformanceRegressionSettings = PerformanceRegressionSettings()
    cross_repo_drift: CrossRepoDriftSettings = CrossRepoDriftSettings()
    vision: VisionSettings = VisionSettings()
    runtime_health: RuntimeHealthSettings = RuntimeHealthSettings()
    proactive_exploration: ProactiveExplorationSettings = ProactiveExplorationSettings()
    scheduled: ScheduledSettings = ScheduledSettings()
    web_intelligence: WebIntelligenceSettings = WebIntelligenceSettings()
