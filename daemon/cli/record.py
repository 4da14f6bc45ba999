"""Commands that read the record: log, verify, ledger. They need no daemon and open the ledger read-only."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from daemon.cli.base import Call, answer, call_of, has_colour, leave, put, sentence
from daemon.exit_codes import Exit
from daemon.views.text import Line, Role, Span, json_text, line, show
from ledger import event_loop

if TYPE_CHECKING:
    from daemon.record.verifying import RecordReport
    from daemon.settings.config import Config
    from ledger.store import Ledger

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("log")(log)
    app.command("verify")(verify)
    ledger = typer.Typer(help="The hash-chained record: verify, export, replay.", no_args_is_help=True)
    ledger.command("verify")(ledger_verify)
    ledger.command("export")(ledger_export)
    ledger.command("replay")(ledger_replay)
    app.add_typer(ledger, name="ledger")


def _with_ledger(call: Call, work: Callable[[Config, Ledger], Awaitable[T]]) -> T:
    async def open_and_run() -> T:
        from daemon.record.reading import open_ledger

        config = call.config()
        ledger = await open_ledger(config)
        try:
            return await work(config, ledger)
        finally:
            await ledger.close()

    return event_loop.run(open_and_run())


def log(
    context: typer.Context,
    op: Annotated[str | None, typer.Option(help="Only this op.")] = None,
    number: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1000, help="Maximum number of entries; the newest are shown.")
    ] = 50,
    after: Annotated[
        int | None, typer.Option(min=0, help="Only entries after this sequence number, oldest first.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep showing new entries (needs the daemon).")
    ] = False,
) -> None:
    """Show the recorded entries, one per line.

    Example: ouro log --op 7f3a21
    """
    from daemon.record.reading import log_view
    from daemon.views.render import log_block

    call = call_of(context)
    view = _with_ledger(call, lambda config, ledger: log_view(ledger, op=op, limit=number, after=after))
    if not follow:
        answer(call, view, log_block(view))
        leave(Exit.DONE if view.entries else Exit.NOTHING)
        return
    _follow(call, view.entries[-1].seq if view.entries else view.head, op)


def _follow(call: Call, after: int, op: str | None) -> None:
    from daemon.cli.connect import attach
    from daemon.control.client import Client
    from daemon.control.messages import EventsRequest
    from daemon.views.render import log_line

    async def work(client: Client) -> None:
        async for event in client.events(EventsRequest(after=after)):
            entry = event.entry
            if entry is None or (op is not None and op.removeprefix("op-") not in (entry.op_id or "")):
                continue
            if call.json:
                typer.echo(json_text(entry.model_dump_json()))
            else:
                put([log_line(entry)])

    attach(call, work)


def verify(
    context: typer.Context,
    commits: Annotated[
        str | None,
        typer.Argument(metavar="[RANGE]", help="A commit, or a range as git takes it; default: all of HEAD."),
    ] = None,
) -> None:
    """Check commits of the daemon: signature, trailers, the ledger entry they name; and the whole record.

    Example: ouro verify main~10..main
    """
    from daemon.record.verifying import verify_commits

    call = call_of(context)
    report = event_loop.run(verify_commits(call.config(), commits))
    lines = [line(f"{commits} is read as {report.asked}.")] if report.asked else []
    for one in report.commits:
        role = Role.GOOD if one.ok else Role.BAD
        text = "; ".join(one.problems) or one.note or "signed, trailers and ledger agree"
        lines.append(line(Span(one.commit[:12], Role.HEAD), "  ", Span(text, role)))
    if not report.commits:
        lines.append(line(f"No commit of the daemon in {commits or 'HEAD'}."))
    answer(call, report, [*lines, *_record_lines(report.record)])
    leave(Exit.FAULT if not report.ok else Exit.DONE if report.commits else Exit.NOTHING)


def _record_lines(report: RecordReport) -> list[Line]:
    """The report as lines: a summary, every finding, then the notes."""
    lines = [line(Span(_summary(report), Role.GOOD if report.ok else Role.BAD))]
    lines += [line(Span(found.sentence, Role.BAD)) for found in report.findings]
    return [*lines, *(line(Span(f"note: {note}", Role.DIM)) for note in report.notes)]


def _summary(report: RecordReport) -> str:
    chain = report.chain
    if chain.first_bad is not None:
        return f"the chain breaks at entry {chain.first_bad}; {chain.entries} entries before it hold"
    holds = f"{chain.entries} entries, the chain holds, head {chain.head.hash[:12]}"
    if report.findings:
        return f"{holds}; {len(report.findings)} other findings"
    return f"{holds}, {report.anchors} signed heads from outside agree"


def ledger_verify(context: typer.Context) -> None:
    """Check the whole record against signed commits and session ends; name every bad row.

    Example: ouro ledger verify
    """
    from daemon.record.verifying import verify_record

    call = call_of(context)
    report = event_loop.run(verify_record(call.config()))
    answer(call, report, _record_lines(report))
    leave(Exit.DONE if report.ok else Exit.FAULT)


def ledger_export(
    context: typer.Context,
    op: Annotated[str | None, typer.Option(help="Only this op.")] = None,
) -> None:
    """The record as JSON Lines, on standard output.

    Example: ouro ledger export --op 7f3a21 > op.jsonl
    """
    from daemon.record.reading import resolve
    from ledger.export import export

    async def work(config: Config, ledger: Ledger) -> None:
        op_id = None if op is None else await resolve(ledger, op)
        async for row in export(ledger, op_id=op_id):
            text = row.decode("utf-8")  # byte for byte when redirected: the entry hashes cover these bytes
            typer.echo(json_text(text) if sys.stdout.isatty() else text)

    _with_ledger(call_of(context), work)


def ledger_replay(
    context: typer.Context,
    op: Annotated[str | None, typer.Argument(help="One op; default: every op.")] = None,
) -> None:
    """Repeat every pure decision from its recorded inputs, and compare the results.

    Example: ouro ledger replay 7f3a21
    """
    from daemon.record.reading import resolve
    from daemon.record.replay import replay

    async def work(config: Config, ledger: Ledger) -> tuple[int, tuple[str, ...]]:
        report = await replay(ledger, op_id=None if op is None else await resolve(ledger, op))
        return report.decisions, tuple(report.differences)

    call = call_of(context)
    decisions, differences = _with_ledger(call, work)
    for difference in differences:
        typer.echo(show([line(Span(difference, Role.BAD))], colour=has_colour()), err=True)
    sentence(
        call,
        f"{decisions} decisions derived again, {len(differences)} differ.",
        decisions=decisions,
        differences=list(differences),
    )
    leave(Exit.FAULT if differences else Exit.DONE if decisions else Exit.NOTHING)
