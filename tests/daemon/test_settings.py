from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.settings.config import Settings, load, settings_for
from daemon.settings.layers import env_name, fields, get
from daemon.settings.reference import names_without_description, reference
from daemon.settings.tighten import RULES, Direction
from ledger.errors import ConfigError
from ledger.places import Places
from tests.repos import make_places, make_repo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path / "ours", make_repo(tmp_path / "repo"))


def owner(places: Places, text: str, name: str = "config.toml") -> Path:
    path = places.config / name
    path.write_text(text)
    return path


def repository(places: Places, text: str) -> Path:
    path = places.repo / ".ouro" / "config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_without_files_the_defaults_hold(places: Places) -> None:
    assert settings_for(places, {}) == Settings()


def test_each_layer_covers_the_one_before(places: Places) -> None:
    owner(places, "[pipeline]\nworkers = 5\ngenerate_retries = 1\nsuite_budget_s = 11\n")
    owner(places, "[pipeline]\nworkers = 6\ngenerate_retries = 4\n", f"{places.repo_id}.toml")
    repository(places, "[pipeline]\nworkers = 2\n")
    found = settings_for(places, {"OURO_PIPELINE__GENERATE_RETRIES": "3"})
    assert (found.pipeline.workers, found.pipeline.generate_retries, found.pipeline.suite_budget_s) == (2, 3, 11)


@pytest.mark.parametrize(
    ("name", "raw", "dotted", "value"),
    [
        ("OURO_PIPELINE__WORKERS", "7", "pipeline.workers", 7),
        ("OURO_PIPELINE__STRICT_ASCII", "true", "pipeline.strict_ascii", True),
        ("OURO_PIPELINE__CORE_PATHS", '["a", "b"]', "pipeline.core_paths", ("a", "b")),
        ("OURO_CHANGES__MODE", "review", "changes.mode", "review"),
        ("OURO_CHANGES__NAME", "12", "changes.name", "12"),
        ("OURO_CONTROL__WRITE_TIMEOUT_S", "0.5", "control.write_timeout_s", 0.5),
    ],
)
def test_variables(places: Places, name: str, raw: str, dotted: str, value: object) -> None:
    section, field = dotted.rsplit(".", 1)
    assert getattr(getattr(settings_for(places, {name: raw}), section), field) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[pipelin]\nworkers = 5\n", ["config.toml line 1", "'pipelin'", "'pipeline'"]),
        ("[pipeline]\n\nworker = 5\n", ["config.toml line 3", "'pipeline.worker'", "'pipeline.workers'"]),
        ("pipeline = 5\n", ["'pipeline'"]),
        ("[pipeline]\nworkers = 0\n", ["config.toml", "pipeline.workers = 0", "greater than or equal to 1"]),
        ("[pipeline]\nworkers = 'many'\n", ["config.toml", "pipeline.workers"]),
        ("[changes]\nmode = 'force'\n", ["changes.mode = 'force'"]),
        ("[pipeline\n", ["config.toml is not valid TOML", "line 1"]),
        ("[pipeline]\nx = [1,\n", ["config.toml is not valid TOML", "at line 2, column 8, the end of the file"]),
    ],
)
def test_a_wrong_file_is_named_with_the_place(places: Places, text: str, told: list[str]) -> None:
    owner(places, text)
    with pytest.raises(ConfigError) as caught:
        settings_for(places, {})
    assert [part for part in told if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"OURO_PIPELIN__WORKERS": "3"}, ["OURO_PIPELIN__WORKERS", "OURO_PIPELINE__WORKERS"]),
        ({"OURO_PIPELINE__WORKERS": "x"}, ["the variable OURO_PIPELINE__WORKERS", "pipeline.workers = 'x'"]),
        ({"OURO_PIPELINE__CORE_PATHS": "[broken"}, ["OURO_PIPELINE__CORE_PATHS"]),
        ({"OURO_": "1"}, ["OURO_"]),
    ],
)
def test_a_wrong_variable_is_named(places: Places, environ: dict[str, str], told: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_for(places, environ)
    assert [part for part in told if part not in str(caught.value)] == []


TIGHTER = {
    "approval.notify_delay_s": ("60", 60),
    "approval.timeout_s": ("5", 5),
    "approval.unattended": ('"nothing"', "nothing"),
    "pipeline.workers": ("1", 1),
    "pipeline.generate_retries": ("0", 0),
    "pipeline.validate_retries": ("0", 0),
    "loop.tools": ('"off"', "off"),
    "loop.rounds": ("1", 1),
    "loop.explore_rounds": ("1", 1),
    "loop.deadline_s": ("1", 1),
    "loop.calls_per_turn": ("1", 1),
    "pipeline.strict_ascii": ("true", True),
    "tool_policy.off": ('["bash"]', ("bash",)),
    "tool_policy.writes": ("false", False),
    "tool_policy.concurrency": ("1", 1),
    "tool_policy.rate_per_minute": ("1", 1),
    "tool_policy.protected": ('["x"]', ("x",)),
    "pipeline.core_paths": ('["core"]', ("core",)),
    "pipeline.protected_paths": ('["secret"]', ("secret",)),
    "budget.per_call_usd_micro": ("1", 1),
    "budget.per_op_usd_micro": ("1", 1),
    "budget.per_day_usd_micro": ("1", 1),
    "budget.per_op_tokens": ("1", 1),
    "governor.ops_per_hour": ("1", 1),
    "governor.reflex_per_hour": ("1", 1),
    "governor.standard_per_hour": ("1", 1),
    "governor.background_per_hour": ("1", 1),
    "governor.speculative_per_hour": ("1", 1),
    "governor.changes_per_hour": ("1", 1),
    "governor.changes_per_source": ("1", 1),
    "grounding.policy": ("true", True),
    "grounding.alarm_milli": ("700", 700),
    "grounding.regroundings": ("1", 1),
    "grounding.more_sources": ("2", 2),
    "grounding.least_trust_bp": ("4000", 4_000),
    "clocks.op_s": ("10", 10),
    "clocks.op_complex_s": ("10", 10),
    "clocks.op_local_s": ("10", 10),
    "memory.reputation": ("true", True),
    "sensors.backlog.enabled": ("false", False),
    "sensors.todo_scanner.enabled": ("false", False),
    "sensors.doc_staleness.enabled": ("false", False),
    "sensors.opportunity_miner.enabled": ("false", False),
    "sensors.voice_command.enabled": ("false", False),
    "sensors.voice_command.least_bp": ("9000", 9_000),
    "sensors.intent_discovery.enabled": ("false", False),
    "sensors.capability_gap.enabled": ("false", False),
    "sensors.capability_gap.work": ("false", False),
    "sensors.performance_regression.enabled": ("false", False),
    "sensors.cross_repo_drift.enabled": ("false", False),
    "sensors.vision.enabled": ("false", False),
    "sensors.scheduled.enabled": ("false", False),
    "sensors.web_intelligence.enabled": ("false", False),
    "sensors.runtime_health.enabled": ("false", False),
    "sensors.proactive_exploration.enabled": ("false", False),
    "sensors.proactive_exploration.per_day": ("1", 1),
    "changes.mode": ('"dry-run"', "dry-run"),
}
LOOSER = {
    "approval.notify_delay_s": "0",
    "approval.timeout_s": "100000",
    "approval.unattended": '"listed"',
    "pipeline.workers": "9",
    "pipeline.generate_retries": "5",
    "pipeline.validate_retries": "5",
    "loop.rounds": "40",
    "loop.explore_rounds": "40",
    "loop.deadline_s": "9999",
    "loop.calls_per_turn": "64",
    "tool_policy.concurrency": "9",
    "tool_policy.rate_per_minute": "999",
    "budget.per_call_usd_micro": "999999999",
    "budget.per_op_usd_micro": "999999999",
    "budget.per_day_usd_micro": "999999999",
    "budget.per_op_tokens": "999999999",
    "governor.ops_per_hour": "9999",
    "governor.reflex_per_hour": "9999",
    "governor.standard_per_hour": "9999",
    "governor.background_per_hour": "9999",
    "governor.speculative_per_hour": "9999",
    "governor.changes_per_hour": "9999",
    "governor.changes_per_source": "9999",
    "clocks.op_s": "99999",
    "clocks.op_complex_s": "99999",
    "clocks.op_local_s": "99999",
    "memory.reputation": "false",
    "grounding.policy": "false",
    "sensors.todo_scanner.enabled": "true",
    "sensors.doc_staleness.enabled": "true",
    "sensors.opportunity_miner.enabled": "true",
    "sensors.voice_command.least_bp": "6999",
    "sensors.capability_gap.work": "true",
    "sensors.performance_regression.enabled": "true",
    "sensors.cross_repo_drift.enabled": "true",
    "sensors.vision.enabled": "true",
    "sensors.web_intelligence.enabled": "true",
    "sensors.proactive_exploration.enabled": "true",
    "sensors.proactive_exploration.per_day": "3",
}


GROUNDED = {
    "grounding.alarm_milli": ("700", "880"),
    "grounding.regroundings": ("1", "2"),
    "grounding.more_sources": ("2", "0"),
    "grounding.least_trust_bp": ("4000", "2000"),
}
"""What the owner has tightened, and what it is without that: looser than this nobody may set."""


@pytest.mark.parametrize("dotted", GROUNDED)
def test_a_repository_may_not_loosen_the_owners_grounding(places: Places, dotted: str) -> None:
    section, field = dotted.rsplit(".", 1)
    tight, plain = GROUNDED[dotted]
    owner(places, f"[{section}]\n{field} = {tight}\n")
    repository(places, f"[{section}]\n{field} = {plain}\n")
    with pytest.raises(ConfigError, match="loosen"):
        settings_for(places, {})


def test_the_tables_here_cover_every_rule() -> None:
    assert set(TIGHTER) == set(RULES)
    never_looser = {name for name, rule in RULES.items() if rule.direction is Direction.GROW}
    assert set(LOOSER) | never_looser | {
        "pipeline.strict_ascii",
        "tool_policy.writes",
        "sensors.backlog.enabled",
        "sensors.voice_command.enabled",
        "sensors.intent_discovery.enabled",
        "sensors.capability_gap.enabled",
        "sensors.scheduled.enabled",
        "sensors.runtime_health.enabled",
        "changes.mode",
        "loop.tools",
        *GROUNDED,  # these stand at their loosest as delivered
    } == set(RULES)
    assert set(RULES) <= {name for name, _ in fields(Settings)}


@pytest.mark.parametrize("dotted", sorted(TIGHTER))
def test_a_repository_may_tighten(places: Places, dotted: str) -> None:
    raw, value = TIGHTER[dotted]
    section, field = dotted.rsplit(".", 1)
    repository(places, f"[{section}]\n{field} = {raw}\n")
    assert get(settings_for(places, {}), dotted) == value


@pytest.mark.parametrize("dotted", sorted(LOOSER))
def test_a_repository_may_not_loosen(places: Places, dotted: str) -> None:
    section, field = dotted.rsplit(".", 1)
    path = repository(places, f"[{section}]\n{field} = {LOOSER[dotted]}\n")
    with pytest.raises(ConfigError, match="loosen") as caught:
        settings_for(places, {})
    assert dotted in caught.value.message and str(path) in caught.value.message


def test_a_repository_may_not_undo_what_the_owner_tightened(places: Places) -> None:
    owner(places, "[pipeline]\nstrict_ascii = true\n[tool_policy]\nwrites = false\n[changes]\nmode = 'review'\n")
    looser = ("[pipeline]\nstrict_ascii = false\n", "[tool_policy]\nwrites = true\n", "[changes]\nmode = 'branch'\n")
    for text in looser:
        repository(places, text)
        with pytest.raises(ConfigError, match="loosen"):
            settings_for(places, {})


def test_lists_of_a_repository_are_added_to_the_owners(places: Places) -> None:
    owner(places, "[pipeline]\nprotected_paths = ['mine']\n")
    repository(places, "[pipeline]\nprotected_paths = ['theirs', 'mine']\n")
    assert settings_for(places, {}).pipeline.protected_paths == ("mine", "theirs")
    repository(places, "[pipeline]\nprotected_paths = []\n")
    assert settings_for(places, {}).pipeline.protected_paths == ("mine",)


@pytest.mark.parametrize("dotted", sorted({name for name, _ in fields(Settings)} - set(RULES), key=lambda name: name))
def test_everything_else_is_the_owners(places: Places, dotted: str) -> None:
    section, field = dotted.rsplit(".", 1)
    info = dict(fields(Settings))[dotted]
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or not isinstance(value, bool | int | float | str):
        raw = "[]"
    else:
        raw = str(value).lower() if isinstance(value, bool) else repr(value)
    repository(places, f"[{section}]\n{field} = {raw}\n")
    with pytest.raises(ConfigError):
        settings_for(places, {})


def test_a_link_in_place_of_the_repositorys_file_is_refused(places: Places, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.toml").write_text("[pipeline]\nworkers = 1\n")
    folder = places.repo / ".ouro"
    folder.mkdir()
    (folder / "config.toml").symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        settings_for(places, {})


@pytest.mark.parametrize("text", ["a = " + "[" * 60_000, "a." * 60_000 + "a = 1", "{a=" * 9, "a = " + "1" * 5_000])
def test_a_file_that_would_keep_the_parser_busy_is_named(places: Places, text: str) -> None:
    path = repository(places, text)
    begun = time.perf_counter()
    with pytest.raises(ConfigError, match=re.escape(str(path))) as caught:
        settings_for(places, {})
    assert time.perf_counter() - begun < 5 and len(str(caught.value)) < 500


@pytest.mark.parametrize("value", ["[" * 60_000, "{a=" * 60_000, "{" + "a." * 60_000 + "a=1}", "[" + "1" * 5_000 + "]"])
def test_a_variable_that_would_keep_the_parser_busy_is_named(places: Places, value: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(ConfigError, match="OURO_PIPELINE__CORE_PATHS") as caught:
        settings_for(places, {"OURO_PIPELINE__CORE_PATHS": value})
    assert time.perf_counter() - begun < 5 and len(str(caught.value)) < 500


def test_a_name_without_end_is_told_in_short(places: Places) -> None:
    owner(places, "k" * 200_000 + " = 1\n")
    with pytest.raises(ConfigError) as caught:
        settings_for(places, {})
    assert len(str(caught.value)) < 500
    owner(places, '[pipeline]\nworkers = "' + "x" * 200_000 + '"\n')
    with pytest.raises(ConfigError) as caught:
        settings_for(places, {})
    assert len(str(caught.value)) < 500


def test_a_folder_or_a_link_in_the_place_of_a_file_is_named(places: Places) -> None:
    path = repository(places, "")
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="it is a folder"):
        settings_for(places, {})
    path.rmdir()
    path.symlink_to(places.config)
    with pytest.raises(ConfigError, match="it is a symbolic link"):
        settings_for(places, {})


def test_a_fifo_or_a_huge_file_does_not_hang_or_fill_memory(places: Places) -> None:
    folder = places.repo / ".ouro"
    folder.mkdir()
    os.mkfifo(folder / "config.toml")
    with pytest.raises(ConfigError, match="not a regular file"):
        settings_for(places, {})
    (folder / "config.toml").unlink()
    (folder / "config.toml").write_bytes(b"#" * 300_000)
    with pytest.raises(ConfigError, match="larger"):
        settings_for(places, {})


def test_load_reads_what_the_service_manager_says(places: Places, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(runtime),
        "NOTIFY_SOCKET": "@notify",
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(os.getpid()),
        "MY_API_KEY": "sesame",
    }
    config = load(places.repo, environ)
    assert (config.notify_socket, config.watchdog_s) == ("@notify", 30.0)
    assert config.secret("MY_API_KEY") == "sesame"
    assert config.secret("NONE") is None
    assert "MY_API_KEY" not in config.env.variables and "NOTIFY_SOCKET" not in config.env.variables
    assert load(places.repo, {**environ, "WATCHDOG_PID": "1"}).watchdog_s is None


def test_numeric_libraries_are_told_before_they_load() -> None:
    code = (
        "import os, sys\n"
        "from daemon.settings.config import prepare_process\n"
        "prepare_process()\n"
        "print(os.environ['OMP_WAIT_POLICY'], os.environ['TOKENIZERS_PARALLELISM'], 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["PASSIVE", "false", "False"]


def test_every_setting_is_described() -> None:
    assert names_without_description() == ()


def test_the_settings_page_is_up_to_date() -> None:
    page = ROOT / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == reference() + "\n", "python -m daemon.settings.reference writes it again"


def test_variable_names_are_unique() -> None:
    names = [env_name(dotted) for dotted, _ in fields(Settings)]
    assert len(names) == len(set(names))
