"""The command ``ouro``. Imported here is only what every command needs; a command imports the rest when it runs."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from daemon.cli.base import app, discard_unwritten_output, move_global_options, replace_closed_streams, report
from daemon.exit_codes import input_error_of
from ledger.errors import OuroError
from ledger.faults import machine_fault

if TYPE_CHECKING:
    import typer

__all__ = ["app", "build_app", "main"]

GARBAGE = 20_000
"""New objects before the interpreter looks for cycles; its own 700 costs a tenth of the start, in modules that stay."""


def build_app() -> typer.Typer:
    """``ouro`` with all its commands."""
    from daemon.cli import ask, bench, evaluate, intake, machine, model, record, speech, work

    for module in (work, ask, intake, speech, record, machine, model, bench, evaluate):
        module.register(app)
    return app


def main() -> None:
    """Entry point of the console script."""
    gc.set_threshold(GARBAGE)
    replace_closed_streams()
    words = move_global_options(sys.argv[1:])
    try:
        build_app()(args=words, prog_name="ouro")
    except OuroError as error:
        sys.exit(report(error, as_json="--json" in words))
    except OSError as error:
        sys.exit(report(machine_fault(error), as_json="--json" in words))
    except ValueError as error:
        input_error = input_error_of(error)
        if input_error is None:
            raise
        sys.exit(report(input_error, as_json="--json" in words))
    finally:
        discard_unwritten_output()
