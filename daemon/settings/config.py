"""Reads all settings; only this package reads environment variables.

Later layers override earlier ones: the defaults of the models, the owner's ``config.toml``, the owner's
``<repo-id>.toml``, variables ``OURO_SECTION__FIELD``. The repository's ``.ouro/config.toml`` can only make settings
stricter (:mod:`daemon.settings.tighten`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from daemon.lifecycle.logs import LogSettings
from daemon.settings.bounds import ControlSettings, ServiceSettings
from daemon.settings.layers import SHOWN_CHARS, Table, env_name, leaves, put, read_environment, read_file
from daemon.settings.places import environment_for, places_for, user_cache
from daemon.settings.tighten import tighten
from daemon.webhook.settings import WebhookSettings
from governance.budget import BudgetSettings
from governance.changes.settings import ChangeSettings
from governance.conversation.settings import LoopSettings
from governance.grounding.policy import PolicySettings
from governance.irongate.tool.owner_rules import ToolPolicySettings
from governance.memory.settings import MemorySettings
from governance.pipeline.routes import ClockSettings
from governance.repair.settings import RepairSettings
from governance.settings import ApprovalSettings, GovernanceSettings, PipelineSettings
from kernel.settings import KernelSettings
from ledger.database import LedgerSettings
from ledger.errors import ConfigError
from ledger.places import HostEnv, Places
from ledger.vocabulary import Frozen
from sensors.bus import BusSettings
from sensors.health.health import HealthSettings
from sensors.intake.governor import GovernorSettings
from sensors.intake.settings import RouterSettings
from sensors.registry import SensorsSettings, with_sensors
from sensors.watch.watcher import WatchSettings
from tools.builtin.settings import BuiltinSettings
from tools.manifest import ToolSettings
from tools.sandbox.settings import SandboxSettings
from tools.testing.settings import TestSettings
from tools.web.settings import WebSettings
from tools.workspace import WorkspaceSettings

REPOSITORY_FILE = Path(".ouro") / "config.toml"


class Settings(Frozen):
    """All settings; one field per section of the settings files."""

    kernel: KernelSettings = KernelSettings()
    approval: ApprovalSettings = ApprovalSettings()
    pipeline: PipelineSettings = PipelineSettings()
    loop: LoopSettings = LoopSettings()
    budget: BudgetSettings = BudgetSettings()
    clocks: ClockSettings = ClockSettings()
    repair: RepairSettings = RepairSettings()
    memory: MemorySettings = MemorySettings()
    grounding: PolicySettings = PolicySettings()
    changes: ChangeSettings = ChangeSettings()
    tools: ToolSettings = ToolSettings()
    tool_policy: ToolPolicySettings = ToolPolicySettings()
    builtin: BuiltinSettings = BuiltinSettings()
    web: WebSettings = WebSettings()
    sandbox: SandboxSettings = SandboxSettings()
    tests: TestSettings = TestSettings()
    workspace: WorkspaceSettings = WorkspaceSettings()
    router: RouterSettings = RouterSettings()
    governor: GovernorSettings = GovernorSettings()
    health: HealthSettings = HealthSettings()
    webhook: WebhookSettings = WebhookSettings()
    sensors: SensorsSettings = SensorsSettings()
    watch: WatchSettings = WatchSettings()
    bus: BusSettings = BusSettings()
    ledger: LedgerSettings = LedgerSettings()
    service: ServiceSettings = ServiceSettings()
    control: ControlSettings = ControlSettings()
    log: LogSettings = LogSettings()

    @property
    def governance(self) -> GovernanceSettings:
        """The sections that governance uses."""
        return GovernanceSettings(
            approval=self.approval,
            pipeline=self.pipeline,
            loop=self.loop,
            budget=self.budget,
            clocks=self.clocks,
            repair=self.repair,
            memory=self.memory,
            grounding=self.grounding,
        )


if not TYPE_CHECKING:
    Settings = with_sensors(Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that a service is started with: settings, places, and values from the environment."""

    settings: Settings
    places: Places
    env: HostEnv
    secret: Callable[[str], str | None]  # a secret by the name of its environment variable
    notify_socket: str | None = None
    watchdog_s: float | None = None  # the service manager restarts a daemon that is silent for this long


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration for the repository at ``path``; ``environ`` defaults to that of this process.

    Raises ``RepositoryError`` and ``ConfigError``.
    """
    environ = dict(os.environ if environ is None else environ)
    places = places_for(path, environ)
    return Config(
        settings=settings_for(places, environ),
        places=places,
        env=environment_for(places.repo, environ),
        secret=environ.get,
        notify_socket=environ.get("NOTIFY_SOCKET"),
        watchdog_s=_watchdog(environ),
    )


def settings_for(places: Places, environ: Mapping[str, str]) -> Settings:
    """The settings of a repository, from all layers."""
    origins: dict[str, str] = {}
    merged: Table = {}
    for source in (places.config / "config.toml", places.config / f"{places.repo_id}.toml"):
        _merge_layer(merged, read_file(source, Settings), origins, str(source))
    _merge_layer(merged, read_environment(environ, Settings), origins, "")
    settings = _validate(merged, origins)
    source = places.repo / REPOSITORY_FILE
    table = read_file(source, Settings, follow=False)
    if not table:
        return settings
    _merge_layer(merged, table, origins, str(source))
    kept = tighten(settings, table, _validate(merged, origins), source)
    _merge_layer(merged, kept, origins, str(source))
    return _validate(merged, origins)


def user_environment() -> dict[str, str]:
    """A copy of this process's environment, for the few commands that have no repository."""
    return dict(os.environ)


def models_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of model weights, which all repositories of the user share."""
    return user_cache(os.environ if environ is None else environ) / "models"


GIL_SWITCH_S = 0.001


def prepare_process() -> None:
    """Set the variables that numeric libraries read when they are imported. Call it before any import of them."""
    for name, value in {
        "OMP_WAIT_POLICY": "PASSIVE",  # idle worker threads sleep: a spinning one takes a core from the owner
        "KMP_BLOCKTIME": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }.items():
        os.environ.setdefault(name, value)
    # The event loop needs the GIL several times per answer, and the model's thread may hold it for this long.
    sys.setswitchinterval(GIL_SWITCH_S)


def _merge_layer(merged: Table, table: Table, origins: dict[str, str], source: str) -> None:
    for dotted, value in leaves(table, Settings):
        put(merged, dotted, value)
        origins[dotted] = source or f"the variable {env_name(dotted)}"


def _validate(merged: Table, origins: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        parts = [str(part) for part in first["loc"]]
        names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        dotted = next((name for name in names if name in origins), ".".join(parts))
        origin = origins.get(dotted, "the settings")
        raise ConfigError(
            f"{origin}: {dotted} = {_shorten(repr(first['input']))} is not valid: {first['msg']}.",
            remedy="docs/settings.md lists the type and the default of every setting.",
        ) from error


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """``WATCHDOG_USEC`` in seconds, if it is meant for this process."""
    micros, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not micros.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(micros) / 1_000_000
