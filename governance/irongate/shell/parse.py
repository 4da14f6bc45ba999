"""A command's syntax tree as segments. What is not understood to the last byte is not read at all.

The tree comes from tree-sitter; its grammar is wider than bash's and now and then drops or moves a byte. So every byte
between two nodes must be a blank, every node's kind must be known here, and quotes, comments and here-documents are
checked against bash's own rules. A difference that is left would be a command that bash runs and nobody judged.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from governance.irongate.shell.words import (
    ANSI,
    Piece,
    Redirect,
    Segment,
    Unreadable,
    Word,
    bare,
    double_quoted,
    joined,
    known,
    single_quoted,
)

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LONGEST = 16_384
DEEPEST = 40
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_BEFORE_COMMENT = frozenset(b" \t\n;&|()")
_VARIABLE = re.compile(r"\$(?:[A-Za-z_]\w*|[0-9@*#?$!-])", re.ASCII)
_DELIMITER = re.compile(r"([A-Za-z0-9_.-]+)|'([A-Za-z0-9_.-]+)'|\"([A-Za-z0-9_.-]+)\"", re.ASCII)
_ASSIGNING = re.compile(r"\$\{(\w+):?=", re.ASCII)
_PLAIN_SUBSCRIPT = re.compile(r"[A-Za-z_]\w*\[(?:\d+|@|\*)\]", re.ASCII)
_COMPARES = re.compile(r"-(?:eq|ne|lt|le|gt|ge|v)\b", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_META = frozenset(b";&|()<>\n`")
_BEHIND = frozenset({"|", "|&", "&&", "||"})
"""Operators that stand on the line of what is before them."""
JOINT = frozenset(
    {"binary_expression", "unary_expression", "parenthesized_expression", "ternary_expression", "postfix_expression"}
)  # fmt: skip
_STARTS = ("$(", "${", "$[", "`")

THROUGH = frozenset(
    {
        "program", "list", "pipeline", "subshell", "negated_command", "if_statement",
        "elif_clause", "else_clause", "while_statement", "do_group", "case_statement", "case_item",
        "process_substitution", "binary_expression", "unary_expression", "parenthesized_expression",
        "ternary_expression", "postfix_expression", "array", "variable_assignments",
    }
)  # fmt: skip
"""Kinds of nodes of which only the parts matter."""
WORDS = frozenset(
    {
        "word", "number", "raw_string", "ansi_c_string", "string", "translated_string", "concatenation",
        "simple_expansion", "expansion", "command_substitution", "process_substitution", "arithmetic_expansion",
        "brace_expression", "array",
    }
)  # fmt: skip


@dataclass(slots=True)
class Script:
    """What a command holds. ``evaluates``: somewhere text is read as arithmetic, which bash runs substitutions of."""

    segments: list[Segment] = field(default_factory=list)
    functions: list[tuple[str, int, int]] = field(default_factory=list)  # name, segments from, to
    quoted: list[str] = field(default_factory=list)
    evaluates: bool = False


def parse(command: str) -> Script:
    """Read a whole command. Raises ``Unreadable``."""
    if len(command) > LONGEST:
        raise Unreadable(f"it is longer than {LONGEST} characters")
    strange = _CONTROL.search(command)
    if strange:
        raise Unreadable(f"it holds the character U+{ord(strange[0]):04X}")
    source = command.encode()
    root = _parser().parse(source).root_node
    if root.has_error:
        raise Unreadable("it is not a command that the parser knows")
    reader = _Reader(source)
    reader.blank(0, root.start_byte)
    reader.blank(root.end_byte, len(source))
    reader.visit(root, 0)
    if not reader.script.segments:
        raise Unreadable("there is no command in it")
    return reader.script


@functools.cache
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


class _Reader:
    def __init__(self, source: bytes) -> None:
        self._source = source
        self.script = Script()

    def text(self, node: Node) -> str:
        return self._source[node.start_byte : node.end_byte].decode()

    def blank(self, start: int, end: int, *, inline: bool = False) -> None:
        """Between two nodes nothing may stand that bash would read. ``inline``: nor a new line."""
        between = self._source[start:end]
        if between in (b"", b" ") or (between == b"\n" and not inline):
            return
        rest = between.replace(b"\\\n", b"")
        if rest.strip(b" \t" if inline else b" \t\n") or not rest:
            raise Unreadable(f"{between.decode(errors='replace').strip()!r} is not understood where it stands")

    def parts(self, node: Node, *, inline: bool = False, joint: bool = False) -> Iterator[Node]:
        """Children of a node; no byte of it lies outside of them.

        ``inline``: they are words of one line. Unless ``joint``, bash must see two children where there are two.
        """
        at, source = node.start_byte, self._source
        for child in node.children:
            start = child.start_byte
            if start != at:
                self.blank(at, start, inline=inline or child.type in _BEHIND)
            elif not joint and at > node.start_byte and start < child.end_byte and not _parted(source, at):
                raise Unreadable(f"{source[max(0, at - 20) : at + 20].decode(errors='replace')!r} is not understood")
            at = max(at, child.end_byte)
            yield child
        if at != node.end_byte:
            self.blank(at, node.end_byte, inline=inline)

    def visit(self, node: Node, depth: int) -> None:
        """Collect the segments in and below a statement or an expression."""
        if depth > DEEPEST:
            raise Unreadable("it is nested too deeply")
        kind = node.type
        if not node.is_named:
            return
        if kind == "comment":
            self._comment(node)
        elif kind in THROUGH:
            for child in self.parts(node, joint=kind in JOINT):
                self.visit(child, depth + 1)
        elif kind in WORDS:
            self.word(node, depth)
        elif handler := _HANDLERS.get(kind):
            handler(self, node, depth)
        elif kind in ("variable_name", "special_variable_name", "file_descriptor", "test_operator"):
            pass
        elif kind in ("regex", "extglob_pattern"):
            self._pattern(node)
        else:
            raise Unreadable(f"{kind} is not understood")

    def _comment(self, node: Node) -> None:
        start = node.start_byte
        if start and self._source[start - 1] not in _BEFORE_COMMENT:
            raise Unreadable("it is not clear where a comment begins")
        if start > 1 and self._source[start - 2 : start] == b"\\\n":
            raise Unreadable("it is not clear where a comment begins")

    def _pattern(self, node: Node) -> None:
        text = self.text(node)
        if any(sign in text for sign in ("`", "$", "<(", ">(", "'", '"', "\\", "\n", ";", "#")):
            raise Unreadable(f"the pattern {text[:40]!r} is not understood")

    # --- words

    def word(self, node: Node, depth: int) -> Word:
        """A word, with what it says if that is known; what is substituted in it becomes segments."""
        return joined(self.text(node), list(self.pieces(node, depth)))

    def pieces(self, node: Node, depth: int) -> Iterator[Piece]:
        if depth > DEEPEST:
            raise Unreadable("it is nested too deeply")
        kind, raw = node.type, self.text(node)
        if kind in ("word", "number", "variable_name") and not node.child_count:
            yield bare(raw)
        elif kind == "concatenation":
            at = node.start_byte
            for child in node.children:
                if child.start_byte != at:
                    raise Unreadable("the parts of a word stand apart")
                at = child.end_byte
                yield from self.pieces(child, depth + 1)
        elif kind == "raw_string":
            piece = single_quoted(raw)
            self.script.quoted.append(piece.text or "")
            yield piece
        elif kind == "string":
            yield self._string(node, raw, depth)
        elif kind == "ansi_c_string":
            if not ANSI.fullmatch(raw):
                raise Unreadable("quotes do not pair")
            self.script.quoted.append(raw)
            yield Piece(None, "")
        else:
            self._expanding(node, raw, depth)
            yield Piece(None, "")

    def _string(self, node: Node, raw: str, depth: int) -> Piece:
        inner = [child for child in node.children if child.type not in ('"', "string_content", "$")]
        if not inner:
            if any(_unescaped(raw, start) for start in _STARTS):
                raise Unreadable("a substitution is not understood")
            self.script.quoted.append(raw)
            return double_quoted(raw)
        self._covered(node, inner)
        for child in inner:
            self._expanding(child, self.text(child), depth + 1)
        return Piece(None, "")

    def _covered(self, node: Node, inner: list[Node]) -> None:
        """Outside of ``inner`` nothing in double quotes (or in a here-document) may begin a substitution."""
        at = node.start_byte
        for child in (*inner, None):
            end = child.start_byte if child is not None else node.end_byte
            between = self._source[at:end].decode()
            if any(_unescaped(between, start) for start in _STARTS):
                raise Unreadable("a substitution is not understood")
            if node.type == "string":
                quotes = _count_unescaped(between, '"')
                if quotes != (at == node.start_byte) + (child is None):
                    raise Unreadable("double quotes do not pair")
            at = child.end_byte if child is not None else end

    def _expanding(self, node: Node, raw: str, depth: int) -> None:
        """What only the run can tell; substitutions in it become segments."""
        kind = node.type
        if kind == "simple_expansion":
            if not _VARIABLE.fullmatch(raw):
                raise Unreadable(f"{raw[:40]!r} is not understood")
        elif kind in ("expansion", "arithmetic_expansion"):
            self._curly(node, raw, depth)
        elif kind == "command_substitution":
            self._substitution(node, raw, depth)
        elif kind in ("process_substitution", "array"):
            for child in self.parts(node):
                self.visit(child, depth + 1)
        elif kind == "translated_string":
            for child in self.parts(node, joint=True):
                if child.is_named:
                    list(self.pieces(child, depth + 1))
        elif kind not in ("brace_expression", "$"):
            raise Unreadable(f"{kind} is not understood")

    def _curly(self, node: Node, raw: str, depth: int) -> None:
        """``${...}`` and ``$((...))``: quotes in them follow rules of their own and are not read."""
        if any(sign in raw for sign in "'\"\\\n`"):
            raise Unreadable("quotes inside of ${...} or $((...)) are not understood")
        if node.type == "arithmetic_expansion" or raw.startswith("${!") or "@" in raw or "[" in raw:
            self.script.evaluates = True
        assigning = _ASSIGNING.match(raw)
        if assigning:
            self._add(Segment(assigned=((assigning[1], Word(raw, None)),)))
        for child in node.children:
            self.visit(child, depth + 1)
        if not self._accounts(node):
            raise Unreadable("a substitution is not understood")

    def _accounts(self, node: Node) -> bool:
        """Whether every ``$(`` below has become a node of its own."""
        wanted = len(re.findall(r"\$\(|<\(|>\(", self.text(node)))
        return wanted <= _count_nodes(node, frozenset({"command_substitution", "process_substitution",
                                                       "arithmetic_expansion"}))  # fmt: skip

    def _substitution(self, node: Node, raw: str, depth: int) -> None:
        if raw.startswith("`") and "\\" in raw:
            raise Unreadable("a backslash between backquotes is not understood")
        for child in self.parts(node):
            self.visit(child, depth + 1)

    # --- statements

    def _add(self, segment: Segment) -> None:
        self.script.segments.append(segment)

    def command(self, node: Node, depth: int) -> None:
        self._add(self._simple(node, depth))

    def _simple(self, node: Node, depth: int) -> Segment:
        words: list[Word] = []
        assigned: list[tuple[str, Word]] = []
        redirects: list[Redirect] = []
        for child in self.parts(node, inline=True):
            kind = child.type
            if kind == "variable_assignment":
                assigned.append(self._assignment(child, depth + 1))
            elif kind == "command_name":
                words += [self.word(part, depth + 1) for part in self.parts(child)]
            elif kind in ("file_redirect", "herestring_redirect"):
                redirect, more = self._redirect(child, depth + 1)
                redirects.append(redirect)
                words += more
            elif kind in WORDS or kind == "variable_name":
                words.append(self.word(child, depth + 1))
            elif kind in ("subshell", "comment"):
                self.visit(child, depth + 1)
            elif not child.is_named:
                words.append(self._operator(child))
            else:
                raise Unreadable(f"{kind} is not understood in a command")
        return Segment(tuple(words), tuple(assigned), tuple(redirects))

    def _operator(self, node: Node) -> Word:
        """A word that the grammar has a name for."""
        text = self.text(node)
        if text in ("=", "==", "=~", "!=", "-", "declare", "typeset", "export", "readonly", "local", "unset", "$"):
            return known(text) if text != "$" else Word(text, None)
        raise Unreadable(f"{text!r} is not understood in a command")

    def _assignment(self, node: Node, depth: int) -> tuple[str, Word]:
        name, value = "", known("")
        for child in self.parts(node, joint=True):
            if child.type == "subscript":
                name = self.text(child).partition("[")[0]
                self.subscript(child, depth + 1)
            elif child.type == "variable_name" and not name:
                name = self.text(child)
            elif child.is_named:
                value = self.word(child, depth + 1)
        if not _NAME.fullmatch(name):
            raise Unreadable(f"{name[:40]!r} is no variable")
        return name, value

    def assignment(self, node: Node, depth: int) -> None:
        self._add(Segment(assigned=(self._assignment(node, depth),)))

    def subscript(self, node: Node, depth: int) -> None:
        raw = self.text(node)
        if not _PLAIN_SUBSCRIPT.fullmatch(raw):
            self.script.evaluates = True
            if any(sign in raw for sign in "'\"\\\n`"):
                raise Unreadable("quotes inside of [...] are not understood")
        for child in self.parts(node, joint=True):
            self.visit(child, depth + 1)

    def declaration(self, node: Node, depth: int) -> None:
        """``export``, ``declare`` and their like, and ``unset``."""
        words: list[Word] = []
        assigned: list[tuple[str, Word]] = []
        for child in self.parts(node, inline=True):
            if child.type == "variable_assignment":
                name, value = self._assignment(child, depth + 1)
                assigned.append((name, value))
                words.append(Word(self.text(child), None if value.text is None else f"{name}={value.text}"))
            elif child.type == "subscript":
                self.subscript(child, depth + 1)
                words.append(Word(self.text(child), None))
            elif child.is_named:
                words.append(self.word(child, depth + 1))
            else:
                words.append(self._operator(child))
        self._add(Segment(tuple(words), tuple(assigned)))

    def function(self, node: Node, depth: int) -> None:
        first = len(self.script.segments)
        name = ""
        for child in self.parts(node):
            if child.type == "word" and not name:
                name = bare(self.text(child)).text or ""
            elif child.type == "file_redirect":
                self._lone_redirect(child, depth + 1)
            else:
                self.visit(child, depth + 1)
        self.script.functions.append((name, first, len(self.script.segments)))
        self._add(Segment())

    def loop(self, node: Node, depth: int) -> None:
        for child in self.parts(node):
            if child.type == "variable_name":
                self._add(Segment(assigned=((self.text(child), Word(self.text(child), None)),)))
            else:
                self.visit(child, depth + 1)

    def test(self, node: Node, depth: int) -> None:
        raw = self.text(node)
        if _COMPARES.search(raw) or raw.startswith("(("):
            self.script.evaluates = True
        self._add(Segment())
        for child in self.parts(node):
            self.visit(child, depth + 1)

    def compound(self, node: Node, depth: int) -> None:
        """``{ ...; }``, ``((...))`` and ``for ((...))``."""
        raw = self.text(node)
        counts = raw.startswith("((") or node.type == "c_style_for_statement"
        if counts:
            self.script.evaluates = True
            self._add(Segment())
            if any(sign in raw.partition("))")[0] for sign in "'\"\\\n`"):
                raise Unreadable("quotes inside of ((...)) are not understood")
        for child in self.parts(node):
            self.visit(child, depth + 1)

    # --- redirections

    def _redirect(self, node: Node, depth: int) -> tuple[Redirect, list[Word]]:
        """The redirection, and the words of the command that stand behind its target."""
        op, found = "", list[Word]()
        for child in self.parts(node, inline=True):
            if child.type == "file_descriptor":
                if not self.text(child).isdecimal():
                    raise Unreadable(f"{self.text(child)[:20]!r} is no descriptor")
                continue
            if not child.is_named and not op:
                op = self.text(child)
            elif child.type in WORDS:
                found.append(self.word(child, depth + 1))
            else:
                raise Unreadable(f"{child.type} is not understood in a redirection")
        if node.type == "herestring_redirect":
            return Redirect("<<<", found[0]), found[1:]
        if not found:
            return Redirect(op, known("-")), []
        return Redirect(op, found[0]), found[1:]

    def _lone_redirect(self, node: Node, depth: int) -> None:
        redirect, more = self._redirect(node, depth)
        if more:
            raise Unreadable("words behind a redirection are not understood here")
        self._add(Segment(redirects=(redirect,)))

    def redirected(self, node: Node, depth: int) -> None:
        words: list[Word] = []
        redirects: list[Redirect] = []
        body: Node | None = None
        at = node.start_byte
        for child in node.children:
            if child.start_byte != at:
                words += self._lost_dash(at, child)
            elif at > node.start_byte and not _parted(self._source, at):
                raise Unreadable("it is not clear where a redirection begins")
            at = max(at, child.end_byte)
            if child.type in ("file_redirect", "herestring_redirect"):
                redirect, more = self._redirect(child, depth + 1)
                redirects.append(redirect)
                words += more
            elif child.type == "heredoc_redirect":
                more_redirects, more = self._heredoc(child, depth + 1)
                redirects += more_redirects
                words += more
            elif body is None:
                body = child
            else:
                raise Unreadable(f"{child.type} is not understood behind a redirection")
        self.blank(at, node.end_byte, inline=True)
        if body is not None and body.type == "command":
            one = self._simple(body, depth + 1)
            self._add(Segment((*one.words, *words), one.assigned, (*one.redirects, *redirects)))
            return
        if words:
            raise Unreadable("words behind a redirection are not understood here")
        if body is not None:
            self.visit(body, depth + 1)
        self._add(Segment(redirects=tuple(redirects)))

    def _lost_dash(self, at: int, child: Node) -> list[Word]:
        """``- <<EOF``: the grammar drops the dash."""
        if child.type == "heredoc_redirect" and self._source[at : child.start_byte].strip(b" \t") == b"-":
            return [known("-")]
        self.blank(at, child.start_byte, inline=True)
        return []

    def _heredoc(self, node: Node, depth: int) -> tuple[list[Redirect], list[Word]]:
        words: list[Word] = []
        redirects: list[Redirect] = []
        start = end = ""
        body: Node | None = None
        strips = False
        for child in self.parts(node):
            kind = child.type
            if kind in ("<<", "<<-"):
                strips = kind == "<<-"
            elif kind == "heredoc_start":
                start = self.text(child)
            elif kind == "heredoc_body":
                body = child
            elif kind == "heredoc_end":
                end = self.text(child)
            elif kind in ("file_redirect", "herestring_redirect"):
                redirect, more = self._redirect(child, depth + 1)
                redirects.append(redirect)
                words += more
            elif kind in WORDS:
                words.append(self.word(child, depth + 1))
            else:
                self.visit(child, depth + 1)
        self._document(start, end, body, strips, depth)
        return [*redirects, Redirect("<<", known("-"))], words

    def _document(self, start: str, end: str, body: Node | None, strips: bool, depth: int) -> None:
        """A here-document ends where bash would end it, and what bash expands in it has been read."""
        named = _DELIMITER.fullmatch(start)
        delimiter = next((group for group in named.groups() if group), "") if named else ""
        if not named or end.strip(" \t\n") != delimiter:
            raise Unreadable("it is not clear where a here-document ends")
        if body is None:
            return
        if body.end_byte < len(self._source) and self._source[body.start_byte - 1 : body.start_byte] not in (b"\n", b"\t"):
            raise Unreadable("it is not clear where a here-document begins")
        raw = self.text(body)
        lines = [line.lstrip("\t") if strips else line for line in raw.split("\n")]
        if delimiter in lines:
            raise Unreadable("it is not clear where a here-document ends")
        if named[1] is None:  # a quoted delimiter: nothing is expanded
            return
        if any(line.endswith("\\") for line in lines):
            raise Unreadable("a here-document with continued lines is not understood; quote its delimiter")
        inner = [child for child in body.children if child.type != "heredoc_content"]
        self._covered(body, inner)
        for child in inner:
            self._expanding(child, self.text(child), depth + 1)


def _parted(source: bytes, at: int) -> bool:
    """Whether bash sees a border at a place where there is no blank."""
    return source[at - 1] in _META or source[at] in _META


def _unescaped(text: str, sign: str) -> bool:
    at = text.find(sign)
    while at >= 0:
        slashes = len(text[:at]) - len(text[:at].rstrip("\\"))
        if slashes % 2 == 0:
            return True
        at = text.find(sign, at + 1)
    return False


def _count_unescaped(text: str, sign: str) -> int:
    count, escaped = 0, False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            count += char == sign
    return count


def _count_nodes(node: Node, kinds: frozenset[str]) -> int:
    return (node.type in kinds) + sum(_count_nodes(child, kinds) for child in node.children)


_HANDLERS = {
    "command": _Reader.command,
    "variable_assignment": _Reader.assignment,
    "subscript": _Reader.subscript,
    "declaration_command": _Reader.declaration,
    "unset_command": _Reader.declaration,
    "function_definition": _Reader.function,
    "for_statement": _Reader.loop,
    "test_command": _Reader.test,
    "compound_statement": _Reader.compound,
    "c_style_for_statement": _Reader.compound,
    "redirected_statement": _Reader.redirected,
    "file_redirect": _Reader._lone_redirect,
}
