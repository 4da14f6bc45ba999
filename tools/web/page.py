"""HTML to text as a reader would see it: without scripts, styles, comments, hidden elements. Pure, linear time."""

from __future__ import annotations

import html
import re

TAG = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,60})((?:[^<>"']|"[^"]*"|'[^']*')*)>""")
LONGEST_TAG = 4_096
ATTRIBUTE = re.compile(r"""([a-zA-Z-]{1,40})\s{0,20}(?:=\s{0,20}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
RAW = ("script", "style", "template", "noscript", "svg", "iframe", "object", "textarea", "title")
"""Elements whose content is not text of the page (the title is extracted separately)."""
VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "wbr", "source", "area", "base", "col", "embed", "track"})
BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
LOWER = {ord(letter): ord(letter) + 32 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
LONG_REFERENCE = re.compile(r"&#[0-9]{20,};?")
"""A number that no character has, and that may be too long for Python to read."""
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d])", re.I)


class _Page:
    """One pass over the markup. An element that is not closed ends with the page."""

    def __init__(self, markup: str) -> None:
        self._markup = markup
        self._lower = markup.translate(LOWER)  # str.lower() may change the length
        self._out: list[str] = []
        self._hidden: tuple[str, int] | None = None  # name of the hiding element, and its nesting depth
        self._never: set[str] = set()  # end marks that do not occur any more: searched for only once

    def text(self) -> str:
        at, markup = 0, self._markup
        while (start := markup.find("<", at)) >= 0:
            self._say(markup[at:start])
            at = self._mark(start)
        self._say(markup[at:])
        lines = (" ".join(line.split()) for line in "".join(self._out).split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def _say(self, text: str) -> None:
        if self._hidden is None and text:
            self._out.append(_unescaped(text).replace("\r", "\n"))

    def _mark(self, start: int) -> int:
        """Process the markup at ``start``; returns the index after it."""
        if self._markup.startswith("<!--", start):
            return self._after("-->", start + 4)
        if self._markup.startswith(("<!", "<?"), start):
            return self._after(">", start)
        match = TAG.match(self._markup, start, start + LONGEST_TAG)
        if match is None:
            self._say("<")
            return start + 1
        closes, name = bool(match[1]), match[2].lower()
        if name in RAW and not closes and not match[3].endswith("/"):
            return self._after(">", self._after(f"</{name}", match.end()))
        self._element(name, match[3], closes=closes)
        return match.end()

    def _element(self, name: str, attributes: str, *, closes: bool) -> None:
        if self._hidden is not None:
            hider, depth = self._hidden
            if name == hider:
                depth += -1 if closes else 1
                self._hidden = (hider, depth) if depth else None
            return
        if not closes and name not in VOID and _hides(attributes):
            self._hidden = (name, 1)
            return
        if name in BLOCKS:
            self._out.append("\n- " if name == "li" and not closes else "\n")
        elif name == "img" and (alt := _attributes(attributes).get("alt")):
            self._say(f"[{alt}]")

    def _after(self, end: str, start: int) -> int:
        """Index after the next ``end``, or the page's end."""
        found = -1 if end in self._never else self._lower.find(end, start)
        if found < 0:
            self._never.add(end)
            return len(self._markup)
        return found + len(end)


def _unescaped(text: str) -> str:
    return html.unescape(LONG_REFERENCE.sub("\ufffd", text))


def _attributes(text: str) -> dict[str, str]:
    return {m[1].lower(): _unescaped(m[2] or m[3] or m[4] or "") for m in ATTRIBUTE.finditer(text)}


def _hides(text: str) -> bool:
    found = _attributes(text) if text.strip() else {}
    return "hidden" in found or found.get("aria-hidden") == "true" or bool(HIDDEN.search(found.get("style", "")))


def text_of(markup: str) -> str:
    """The readable text of HTML, one line per block, title first."""
    title = re.search(r"<title[^<>]{0,200}>([^<]{0,300})", markup[:50_000], re.I)
    text = _Page(markup).text()
    head = " ".join(_unescaped(title[1]).split()) if title else ""
    return f"{head}\n\n{text}".strip()
