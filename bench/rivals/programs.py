"""How each rival is called."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.rivals.homes import home
from bench.rivals.ticket import Ticket, goal

TOP = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a call is made of. ``file`` holds the ticket as JSON, ``homes`` the rivals' environments."""

    ticket: Ticket
    file: Path
    address: str
    model: str
    homes: Path


def one_shot(scene: Scene) -> tuple[list[str], dict[str, str]]:
    argv = [sys.executable, "-P", "-m", "bench.rivals.oneshot", str(scene.file), scene.address]
    return argv, {"PYTHONPATH": str(TOP)}


def mini(scene: Scene) -> tuple[list[str], dict[str, str]]:
    """Its configuration for models that do not call tools: a model of this size seldom calls one as it should."""
    argv = [
        str(home("mini-swe-agent", scene.homes) / "mini"),
        "-c",
        "mini_textbased.yaml",
        "-c",
        f"model.model_kwargs.api_base={scene.address}/v1",
        "--model-class",
        "litellm_textbased",
        "-m",
        f"openai/{scene.model}",
        "-y",
        "--exit-immediately",
        "-t",
        goal(scene.ticket),
    ]
    return argv, {
        "MSWEA_CONFIGURED": "true",
        "MSWEA_COST_TRACKING": "ignore_errors",
        "OPENAI_API_KEY": "none",
    } | OFFLINE


def aider(scene: Scene) -> tuple[list[str], dict[str, str]]:
    """The suspicious file is in the chat, and the tests are run after each edit: what fails is shown to it again."""
    tests = shlex.join(["python", "-m", "pytest", "-q", *scene.ticket.tests])
    argv = [
        str(home("aider", scene.homes) / "aider"),
        "--model",
        f"openai/{scene.model}",
        "--yes-always",
        "--no-pretty",
        "--no-check-update",
        "--analytics-disable",
        "--no-show-model-warnings",
        "--no-detect-urls",
        "--no-suggest-shell-commands",
        "--no-gitignore",
        "--auto-test",
        "--test-cmd",
        tests,
        *(["--file", scene.ticket.path] if scene.ticket.path else []),
        "--message",
        goal(scene.ticket),
    ]
    return argv, {"OPENAI_API_BASE": f"{scene.address}/v1", "OPENAI_API_KEY": "none"} | OFFLINE


OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""Prices come with the package: no time is lost where there is no network to ask for newer ones."""
Program = Callable[[Scene], tuple[list[str], dict[str, str]]]
PROGRAMS: dict[str, Program] = {"one-shot": one_shot, "mini-swe-agent": mini, "aider": aider}
