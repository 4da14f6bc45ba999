"""The picture in ``docs/canary.svg``, written by hand: detection against false alarms, and how soon the alarm comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

WIDTH, HEIGHT = 860, 360
PLOT, TOP = 300, 60  # side of a panel, and its upper edge, in pixels
LEFT, RIGHT = 70, 500  # left edges of the two panels
BIN = 4  # tokens a bar
COLOURS = {"loop": "#4878a8", "stutter": "#8fb3d4", "echo": "#6a9f58", "garbage": "#c8553d"}
MOST_FALSE = 0.10  # right end of the first panel


def _text(x: float, y: float, words: str, anchor: str = "middle", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{words}</text>'


def _frame(left: int, title: str, across: str) -> list[str]:
    return [
        f'<rect x="{left}" y="{TOP}" width="{PLOT}" height="{PLOT - 70}" fill="none" stroke="#888"/>',
        _text(left + PLOT / 2, TOP - 16, title, size=14),
        _text(left + PLOT / 2, TOP + PLOT - 34, across),
    ]


def detection(points: Sequence[tuple[float, float]], here: tuple[float, float]) -> list[str]:
    """``points`` are (share of clean generations with an alarm, share of collapsed ones stopped in time)."""
    height = PLOT - 70

    def place(false: float, true: float) -> str:
        return f"{LEFT + PLOT * min(false / MOST_FALSE, 1):.1f},{TOP + height * (1 - true):.1f}"

    parts = _frame(LEFT, "stopped within 40 tokens against false alarms", "clean generations with an alarm")
    for tick in range(6):
        y = TOP + height * (1 - tick / 5)
        parts += [f'<path d="M{LEFT},{y:.1f}h{PLOT}" stroke="#ddd"/>', _text(LEFT - 6, y + 4, f"{tick * 20} %", "end")]
        x = LEFT + PLOT * tick / 5
        parts.append(_text(x, TOP + height + 16, f"{tick * 100 * MOST_FALSE / 5:.0f} %"))
    shown = sorted({point for point in points if point[0] <= MOST_FALSE})
    line = " ".join(place(*point) for point in shown)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#4878a8" stroke-width="2"/>')
    x_here, y_here = place(*here).split(",")
    parts.append(f'<circle cx="{x_here}" cy="{y_here}" r="5" fill="#c8553d"/>')
    parts.append(_text(float(x_here) + 10, float(y_here) + 20, f"{here[1]:.1%} at {here[0]:.1%}", "start"))
    return parts


def delays(found: Sequence[tuple[str, int]], limit: int) -> list[str]:
    """Bars over ``BIN`` tokens, one colour a label; what came later than ``limit`` stands in the last bar."""
    height, bins = PLOT - 70, limit // BIN + 1
    counts = Counter((min((delay - 1) // BIN, bins - 1), label) for label, delay in found)
    tallest = max((sum(counts[at, label] for label in COLOURS) for at in range(bins)), default=0) or 1
    parts = _frame(RIGHT, "how soon", "tokens from the onset to the alarm")
    wide = PLOT / bins
    for at in range(bins):
        y = float(TOP + height)
        for label, colour in COLOURS.items():
            tall = height * 0.95 * counts[at, label] / tallest
            y -= tall
            if tall:
                parts.append(
                    f'<rect x="{RIGHT + at * wide + 1:.1f}" y="{y:.1f}" width="{wide - 2:.1f}" height="{tall:.1f}" '
                    f'fill="{colour}"/>'
                )
        name = f"&gt;{limit}" if at == bins - 1 else str(at * BIN + 1)
        parts.append(_text(RIGHT + (at + 0.5) * wide, TOP + height + 16, name, size=10))
    parts.append(_text(RIGHT - 6, TOP + height * 0.05 + 4, str(tallest), "end"))
    for number, (label, colour) in enumerate(COLOURS.items()):
        x = RIGHT + number * PLOT / 4
        parts.append(f'<rect x="{x:.1f}" y="{HEIGHT - 22}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, HEIGHT - 13, label, "start"))
    return parts


def draw(
    points: Sequence[tuple[float, float]], here: tuple[float, float], found: Sequence[tuple[str, int]], limit: int
) -> str:
    """The whole picture."""
    body = "\n".join([*detection(points, here), *delays(found, limit)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" fill="#222">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )
