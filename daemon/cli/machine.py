"""Commands about this machine and this installation: init, doctor, model, service, completion."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.base import Call, answer, call_of, leave, put, sentence
from daemon.exit_codes import Exit
from daemon.views.text import Line, Role, Span, line
from ledger import event_loop
from ledger.errors import ConfigError

if TYPE_CHECKING:
    from daemon.lifecycle.initialise import InitStep


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("init")(init)
    app.command("doctor")(doctor)
    service = typer.Typer(help="A systemd user service for this repository.", no_args_is_help=True)
    service.command("install")(service_install)
    service.command("uninstall")(service_uninstall)
    service.command("status")(service_status)
    app.add_typer(service, name="service")
    app.command("completion")(completion)
    hook = typer.Typer(help="A post-commit hook that wakes the daemon.", no_args_is_help=True)
    hook.command("install")(hook_install)
    hook.command("uninstall")(hook_uninstall)
    app.add_typer(hook, name="hook")


def init(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Add the pytest wake-up without asking.")] = False,
    no_plugin: Annotated[bool, typer.Option("--no-plugin", help="Add no pytest wake-up, and do not ask.")] = False,
    hook: Annotated[bool, typer.Option("--hook", help="Also add a post-commit hook that wakes the daemon.")] = False,
) -> None:
    """Prepare this repository: settings file, keys, and (if you agree) a pytest wake-up. Changes nothing else.

    Example: ouro init --no-plugin
    """
    from daemon.lifecycle.initialise import InitOptions, initialise
    from governance.changes.signing import ensure_identity

    call = call_of(context)
    config = call.config()
    places, settings = config.places, config.settings
    hooked = (_install_hook(call),) if hook else ()
    someone = sys.stdin.isatty() and sys.stdout.isatty() and not call.json
    steps = initialise(
        places,
        make_keys=lambda: ensure_identity(places, settings.changes).key,
        site_packages=_site_packages(call),
        options=InitOptions(plugin=False if no_plugin else True if yes else None),
        ask=typer.confirm if someone else None,
    )
    _steps(call, (*steps, *hooked))


def _steps(call: Call, steps: Sequence[InitStep]) -> None:
    """What was done, a line each."""
    if call.json:
        sentence(call, "done", steps=[{"path": str(s.path), "done": s.done, "text": s.text} for s in steps])
        return
    for step in steps:
        mark = Span("+ " if step.done else "  ", Role.GOOD)
        put([line(mark, f"{step.path}  ", Span(step.text, Role.DIM))])


def hook_install(context: typer.Context) -> None:
    """Add a post-commit hook that wakes the daemon; one of your own is kept and called by it.

    Example: ouro hook install
    """
    call = call_of(context)
    _steps(call, (_install_hook(call),))


def hook_uninstall(context: typer.Context) -> None:
    """Take that hook away again; your own is put back.

    Example: ouro hook uninstall
    """
    from daemon.lifecycle.hook import uninstall

    call = call_of(context)
    done = uninstall(_hooks(call))
    _steps(call, (done,))
    leave(Exit.DONE if done.done else Exit.NOTHING)


def _install_hook(call: Call) -> InitStep:
    from daemon.lifecycle.hook import install
    from daemon.settings.places import make_folders

    places = call.config().places
    make_folders(places)
    return install(_hooks(call), places)


def _hooks(call: Call) -> Path:
    from daemon.lifecycle.hook import folder_of
    from tools.git import Git

    config = call.config()
    return event_loop.run(folder_of(Git(config.places, config.env), config.places))


def _site_packages(call: Call) -> Path | None:
    """Where the repository's own virtual environment keeps modules; None when its tests use another Python."""
    from tools.testing.environment.detection import detect

    config = call.config()
    found = event_loop.run(detect(config.places, config.settings.tests, config.env))
    if found.problem or not (found.prefix / "pyvenv.cfg").is_file():
        return None
    folder = found.prefix / "lib" / f"python{found.version[0]}.{found.version[1]}" / "site-packages"
    return folder if folder.is_dir() else None


def doctor(context: typer.Context) -> None:
    """Check everything that a repair needs here; print remedies for what is missing.

    Example: ouro doctor
    """
    from daemon.lifecycle.doctor import examine
    from daemon.settings.config import user_environment

    call = call_of(context)
    found = event_loop.run(examine(call.repo, user_environment()))
    lines: list[Line] = []
    for check in found.checks:
        mark = Span("ok    ", Role.GOOD) if check.ok else Span("FAIL  ", Role.BAD)
        if not check.ok and not check.essential:
            mark = Span("note  ", Role.WARN)
        lines.append(line(mark, Span(f"{check.name:<24}", Role.HEAD), check.detail))
        if check.remedy and not check.ok:
            lines.append(line(f"{'':<30}", Span(check.remedy, Role.WARN)))
    answer(call, found, lines)
    leave(Exit.DONE if found.ok else Exit.REFUSED)


def service_install(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the unit, write nothing.")] = False,
) -> None:
    """Start the daemon for this repository now and at every login.

    Example: ouro service install --dry-run
    """
    from daemon.lifecycle.unit import install, render
    from daemon.settings.config import user_environment

    call = call_of(context)
    places = call.config().places
    text = render(places, _own_command())
    if dry_run:
        typer.echo(text, nl=False)
        return
    _each(call, install(places, text, user_environment()))


def service_uninstall(context: typer.Context) -> None:
    """Stop the service and remove its unit.

    Example: ouro service uninstall
    """
    from daemon.lifecycle.unit import uninstall
    from daemon.settings.config import user_environment

    call = call_of(context)
    said = uninstall(call.config().places, user_environment())
    _each(call, said or ("there is no service for this repository",))
    leave(Exit.DONE if said else Exit.NOTHING)


def service_status(context: typer.Context) -> None:
    """State of the service in the service manager: 0 active, 3 not active, 4 not installed, as `systemctl`.

    Example: ouro service status
    """
    from daemon.lifecycle.unit import state, unit_name
    from daemon.settings.config import user_environment

    call = call_of(context)
    places = call.config().places
    found = state(places, user_environment())
    sentence(call, f"{unit_name(places)}: {found}", state=found)
    leave({"active": Exit.DONE, "not installed": Exit.REFUSED}.get(found, Exit.PERSON))


def completion(shell: Annotated[Shell, typer.Argument(help="For which shell.")] = Shell.BASH) -> None:
    """Print the completion script of a shell.

    Example: ouro completion bash >> ~/.bash_completion
    """
    from typer._completion_shared import get_completion_script

    typer.echo(get_completion_script(prog_name="ouro", complete_var="_OURO_COMPLETE", shell=shell.value))


def _own_command() -> Path:
    """The ``ouro`` of this installation: beside the interpreter that runs it."""
    found = Path(sys.executable).parent / "ouro"
    if not found.is_file():
        raise ConfigError(
            f"The command `ouro` is not beside {sys.executable}.",
            remedy="Install Ouroboros into an environment of its own.",
        )
    return found


def _each(call: Call, sentences: tuple[str, ...]) -> None:
    if call.json:
        sentence(call, "; ".join(sentences))
        return
    for text in sentences:
        typer.echo(text)
