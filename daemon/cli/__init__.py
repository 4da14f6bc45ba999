"""The command ``ouro``. Imported here is only what every command needs; a command imports the rest when it runs."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from daemon.cli.base import app, hoist, let_go, open_streams, report
from daemon.exit_codes import slip_of
from ledger.errors import OuroError
from ledger.faults import machine_fault

if TYPE_CHECKING:
    import typer

__all__ = ["app", "assembled", "main"]

GARBAGE = 20_000
"""New objects before the interpreter looks for cycles; its own 700 costs a tenth of the start, in modules that stay."""


def assembled() -> typer.Typer:
    """``ouro`` with all its commands."""
    from daemon.cli import ask, bench, evaluate, intake, machine, model, people, record, work

    for module in (work, ask, intake, people, record, machine, model, bench, evaluate):
        module.register(app)
    return app


def main() -> None:
    """Entry point of the console script."""
    gc.set_threshold(GARBAGE)
    open_streams()
    words = hoist(sys.argv[1:])
    try:
        assembled()(args=words, prog_name="ouro")
    except OuroError as error:
        sys.exit(report(error, as_json="--json" in words))
    except OSError as error:
        sys.exit(report(machine_fault(error), as_json="--json" in words))
    except ValueError as error:
        slip = slip_of(error)
        if slip is None:
            raise
        sys.exit(report(slip, as_json="--json" in words))
    finally:
        let_go()
