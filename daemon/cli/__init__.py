"""The command ``ouro``. Imported here is only what every command needs; a command imports the rest when it runs."""

from __future__ import annotations

import sys

from daemon.cli.base import app, hoist, report
from ledger.errors import OuroError

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the console script."""
    from daemon.cli import ask, bench, evaluate, intake, machine, model, people, record, work

    for module in (work, ask, intake, people, record, machine, model, bench, evaluate):
        module.register(app)
    words = hoist(sys.argv[1:])
    try:
        app(args=words, prog_name="ouro")
    except OuroError as error:
        sys.exit(report(error, as_json="--json" in words))
