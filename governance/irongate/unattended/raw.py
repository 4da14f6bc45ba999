"""What the text of a Python file may hide from who reads its syntax: encodings, control characters, directives."""

from __future__ import annotations

import re
from collections.abc import Iterator

from governance.irongate.lines import added, as_text

COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
PLAIN_CODINGS = frozenset({"utf-8", "utf8", "ascii", "us-ascii"})
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
DIRECTIVE = re.compile(
    r"#\s*(?:distutils|cython)\s*:|(?:^|\s)(?:vi|vim|ex):\s*\S|-\*-.*(?:eval|mode)|Local Variables:|^#!|"
    r"#\s*///\s*script|#\s*doctest:\s*\+SKIP"
)
LONGEST_LINE = 400


def problems(before: bytes, after: bytes) -> Iterator[str]:
    """What is wrong with the text of a changed file, a phrase each."""
    try:
        after.decode("utf-8")
    except UnicodeDecodeError:
        yield "the file is not UTF-8"
    for line in after.split(b"\n")[:2]:
        found = COOKIE.match(line)
        if found and found[1].decode("ascii", "replace").lower().replace("_", "-") not in PLAIN_CODINGS:
            yield f"the file declares the encoding {found[1].decode('ascii', 'replace')}"
    if after.startswith(b"\xef\xbb\xbf") and not before.startswith(b"\xef\xbb\xbf"):
        yield "a byte order mark is new"
    for line in added(before, after):
        if CONTROL.search(line.text):
            yield f"line {line.number} holds a control character"
        elif DIRECTIVE.search(line.text):
            yield f"line {line.number} speaks to an editor, a shell or a compiler"
        elif len(line.text) > LONGEST_LINE and len(line.text) > max(map(len, as_text(before).split("\n"))):
            yield f"line {line.number} is longer than {LONGEST_LINE} characters"
