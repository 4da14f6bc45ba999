"""How far to trust what is claimed, as a block of text and as a picture. Pure."""

from __future__ import annotations

from daemon.views.narrate import EventLine
from daemon.views.render import labelled
from daemon.views.text import Block, Line, Role, Span, count, line
from governance.grounding.calibration import BINS, WORST_BP, Bin, Calibration, KindShare

WIDTH = 24
SIDE, MARGIN = 320, 40


def percent(basis_points: int) -> str:
    return f"{basis_points // 100} %"


def brier(basis_points: int | None) -> str:
    return "-" if basis_points is None else f"{basis_points / WORST_BP:.3f}"


def calibration_block(view: Calibration) -> Block:
    """``ouro calibration``."""
    if not view.records:
        return (line("Nothing was claimed yet: no op has run."),)
    beyond = f", {view.beyond} more without one" if view.beyond else ""
    lines = [
        line(Span(f"{count(view.records, 'record')}, {view.closed} closed{beyond}", Role.HEAD)),
        labelled(EventLine("brier", f"{brier(view.brier_bp)} over {view.n} (0 is perfect, 0.25 is a coin)")),
        labelled(EventLine("ops", _ops(view))),
        *(labelled(EventLine(share.about.value, _share(share))) for share in view.shares),
        *reliability(view.bins),
        *_trust(view),
    ]
    if not view.agrees:
        told = "the table of trust is not what the log says; shown is the log: `ouro ledger replay` names the keys"
        lines.append(labelled(EventLine("fault", told, Role.BAD)))
    return tuple(lines)


def _ops(view: Calibration) -> str:
    precise = "" if view.precision_bp is None else f" · grounding precision {percent(view.precision_bp)}"
    told = f"{view.held} of {view.accepted} committed changes held" if view.accepted else "no change was committed"
    return f"{view.ops} · {view.incidents_per_hundred or 0} incidents per hundred · {told}{precise}"


def _share(share: KindShare) -> str:
    left = f", {share.open} open" if share.open else ""
    sure = f" · brier {brier(share.brier_bp)} over {share.n}" if share.n else ""
    return f"{share.hits} came true, {share.misses} did not, {share.void} void{left}{sure}"


def reliability(bins: tuple[Bin, ...]) -> list[Line]:
    """One row a bin: share that came true (``#``) against stated confidence (``|``)."""
    if not bins:
        return []
    rows = [line(Span(f"{'said':>7}   {'came true':<{WIDTH + 1}}", Role.DIM))]
    for each in bins:
        bar = ["#" if place < each.rate_bp * WIDTH // WORST_BP else " " for place in range(WIDTH + 1)]
        bar[each.mean_bp * WIDTH // WORST_BP] = "|"
        rows.append(line(f"{percent(each.mean_bp):>7}   {''.join(bar)}  {percent(each.rate_bp):>5} of {each.n}"))
    return rows


def _trust(view: Calibration) -> list[Line]:
    if not view.trust:
        return []
    rows = [line(Span(f"{'trust':>7}   {'came true':<12}", Role.DIM))]
    return rows + [line(f"{percent(t.trust_bp):>7}   {f'{t.hits} of {t.n}':<12} {t.key}") for t in view.trust]


def picture(view: Calibration) -> str:
    """The reliability diagram as SVG: a dot a bin, as large as the bin; the dashed line is perfect calibration."""
    size = SIDE + 2 * MARGIN

    def at(x_bp: int, y_bp: int) -> tuple[int, int]:
        return MARGIN + x_bp * SIDE // WORST_BP, MARGIN + SIDE - y_bp * SIDE // WORST_BP

    most = max((each.n for each in view.bins), default=1)
    dots = [(*at(each.mean_bp, each.rate_bp), 3 + 9 * each.n // most, each) for each in view.bins]
    ticks = [(at(mark * WORST_BP // BINS, 0)[0], mark * 100 // BINS) for mark in range(0, BINS + 1, 2)]
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{size}" height="{size}" fill="white"/>',
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>',
        f'<path d="M{MARGIN} {MARGIN + SIDE}L{MARGIN + SIDE} {MARGIN}" stroke="#999" stroke-dasharray="4"/>',
        *(f'<text x="{x}" y="{size - 22}" text-anchor="middle">{name}</text>' for x, name in ticks),
        *(f'<text x="{MARGIN - 6}" y="{size - x + 4}" text-anchor="end">{name}</text>' for x, name in ticks),
        *(
            f'<circle cx="{x}" cy="{y}" r="{r}" fill="#2a6"><title>{b.hits} of {b.n}</title></circle>'
            for x, y, r, b in dots
        ),
        f'<text x="{size // 2}" y="{size - 6}" text-anchor="middle">said, per cent</text>',
        f'<text x="{MARGIN}" y="24">came true, per cent; Brier {brier(view.brier_bp)} over {view.n} claims</text>',
        "</svg>",
    ]
    return "\n".join(rows) + "\n"
