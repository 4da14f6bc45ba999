"""A command's syntax tree as segments. What is not understood to the last byte is not read at all.

The tree comes from tree-sitter; its grammar is wider than bash's and now and then drops or moves a byte. So every byte
between two nodes must be a blank, every node's kind must be known here, and quotes, comments and here-documents are
checked against bash's own rules. Any other difference would be a command that bash runs and no gate has judged.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from governance.irongate.shell.expand import DEEPEST, Script, WordReader
from governance.irongate.shell.words import (
    Redirect,
    Segment,
    Unreadable,
    Word,
    literal_word,
    read_unquoted,
)
from governance.irongate.tables import word_set

if TYPE_CHECKING:
    from tree_sitter import Language, Node

LONGEST = 16_384
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_BEFORE_COMMENT = frozenset(b" \t\n;&|()")
_BEHIND_ARRAY = frozenset({b"", b" ", b"\t", b"\n", b";", b"&", b"|", b")"})
_DELIMITER = re.compile(r"([A-Za-z0-9_.-]+)|'([A-Za-z0-9_.-]+)'|\"([A-Za-z0-9_.-]+)\"", re.ASCII)
_PLAIN_SUBSCRIPT = re.compile(r"[A-Za-z_]\w*\[(?:\d+|@|\*)\]", re.ASCII)
_COMPARES = re.compile(r"-(?:eq|ne|lt|le|gt|ge|v)\b", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
JOINT = word_set(
    """
    binary_expression unary_expression parenthesized_expression ternary_expression postfix_expression
    """
)

THROUGH = word_set(
    """
    program list pipeline subshell negated_command if_statement elif_clause else_clause while_statement do_group
    case_statement case_item process_substitution binary_expression unary_expression parenthesized_expression
    ternary_expression postfix_expression array variable_assignments
    """
)
"""Kinds of nodes of which only the parts matter."""
WORDS = word_set(
    """
    word number raw_string ansi_c_string string translated_string concatenation simple_expansion expansion
    command_substitution process_substitution arithmetic_expansion brace_expression array
    """
)


def parse(command: str) -> Script:
    """Read a whole command. Raises ``Unreadable``."""
    if len(command) > LONGEST:
        raise Unreadable(f"it is longer than {LONGEST} characters")
    strange = _CONTROL.search(command)
    if strange:
        raise Unreadable(f"it holds the character U+{ord(strange[0]):04X}")
    from tree_sitter import Parser

    source = command.encode()
    root = Parser(_language()).parse(source).root_node
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
def _language() -> Language:
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())


class _Reader(WordReader):
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
        if start and self.source[start - 1] not in _BEFORE_COMMENT:
            raise Unreadable("it is not clear where a comment begins")
        if start > 1 and self.source[start - 2 : start] == b"\\\n":
            raise Unreadable("it is not clear where a comment begins")

    def _pattern(self, node: Node) -> None:
        text = self.text(node)
        if any(sign in text for sign in ("`", "$", "<(", ">(", "'", '"', "\\", "\n", ";", "#")):
            raise Unreadable(f"the pattern {text[:40]!r} is not understood")

    def command(self, node: Node, depth: int) -> None:
        self.add(self._simple(node, depth))

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
            return literal_word(text) if text != "$" else Word(text, None)
        raise Unreadable(f"{text!r} is not understood in a command")

    def _assignment(self, node: Node, depth: int) -> tuple[str, Word]:
        name, value, at = "", literal_word(""), node.start_byte
        for child in self.parts(node, joint=True):
            if child.start_byte != at:
                raise Unreadable("an assignment stands apart")
            at = child.end_byte
            if child.type == "subscript":
                name = self.text(child).partition("[")[0]
                self.subscript(child, depth + 1)
            elif child.type == "variable_name" and not name:
                name = self.text(child)
            elif child.is_named:
                value = self.word(child, depth + 1)
                if child.type == "array" and self.source[child.end_byte : child.end_byte + 1] not in _BEHIND_ARRAY:
                    raise Unreadable("it is not clear where an array ends")
        if not _NAME.fullmatch(name):
            raise Unreadable(f"{name[:40]!r} is no variable")
        return name, value

    def assignment(self, node: Node, depth: int) -> None:
        self.add(Segment(assigned=(self._assignment(node, depth),)))

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
        self.add(Segment(tuple(words), tuple(assigned)))

    def function(self, node: Node, depth: int) -> None:
        first = len(self.script.segments)
        name = ""
        for child in self.parts(node):
            if child.type == "word" and not name:
                name = read_unquoted(self.text(child)).text or ""
            elif child.type == "file_redirect":
                self._lone_redirect(child, depth + 1)
            else:
                self.visit(child, depth + 1)
        self.script.functions.append((name, first, len(self.script.segments)))
        self.add(Segment())

    def loop(self, node: Node, depth: int) -> None:
        for child in self.parts(node):
            if child.type == "variable_name":
                self.add(Segment(assigned=((self.text(child), Word(self.text(child), None)),)))
            else:
                self.visit(child, depth + 1)

    def test(self, node: Node, depth: int) -> None:
        raw = self.text(node)
        if _COMPARES.search(raw) or raw.startswith("(("):
            self.script.evaluates = True
        self.add(Segment())
        for child in self.parts(node):
            self.visit(child, depth + 1)

    def compound(self, node: Node, depth: int) -> None:
        """``{ ...; }``, ``((...))`` and ``for ((...))``."""
        raw = self.text(node)
        counts = raw.startswith("((") or node.type == "c_style_for_statement"
        if counts:
            self.script.evaluates = True
            self.add(Segment())
            if any(sign in raw.partition("))")[0] for sign in "'\"\\\n`"):
                raise Unreadable("quotes inside of ((...)) are not understood")
        for child in self.parts(node):
            self.visit(child, depth + 1)

    def _redirect(self, node: Node, depth: int) -> tuple[Redirect, list[Word]]:
        """The redirection, and the words of the command that follow its target."""
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
            return Redirect(op, literal_word("-")), []
        if op in (">&", "<&") and found[0].raw.startswith("-") and found[0].raw != "-":
            raise Unreadable("bash ends a redirection behind the dash")
        return Redirect(op, found[0]), found[1:]

    def _lone_redirect(self, node: Node, depth: int) -> None:
        redirect, more = self._redirect(node, depth)
        if more:
            raise Unreadable("words behind a redirection are not understood here")
        self.add(Segment(redirects=(redirect,)))

    def redirected(self, node: Node, depth: int) -> None:
        words: list[Word] = []
        redirects: list[Redirect] = []
        body: Node | None = None
        at = node.start_byte
        for child in node.children:
            if child.start_byte != at:
                words += self._lost_dash(at, child)
            elif at > node.start_byte:
                self.clear(at, "it is not clear where a redirection begins")
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
            self.add(Segment((*one.words, *words), one.assigned, (*one.redirects, *redirects)))
            return
        if words:
            raise Unreadable("words behind a redirection are not understood here")
        if body is not None:
            self.visit(body, depth + 1)
        self.add(Segment(redirects=tuple(redirects)))

    def _lost_dash(self, at: int, child: Node) -> list[Word]:
        """``- <<EOF``: the grammar drops the dash."""
        if child.type == "heredoc_redirect" and self.source[at : child.start_byte].strip(b" \t") == b"-":
            return [literal_word("-")]
        self.blank(at, child.start_byte, inline=True)
        return []

    def _heredoc(self, node: Node, depth: int) -> tuple[list[Redirect], list[Word]]:
        words: list[Word] = []
        redirects: list[Redirect] = []
        start = end = ""
        body: Node | None = None
        strips = False
        at = node.start_byte
        for child in self.parts(node):
            kind = child.type
            if kind not in ("heredoc_body", "heredoc_end"):
                self.blank(at, child.start_byte, inline=True)
            at = child.end_byte
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
        return [*redirects, Redirect("<<", literal_word("-"))], words

    def _document(self, start: str, end: str, body: Node | None, strips: bool, depth: int) -> None:
        """A here-document ends where bash would end it, and what bash expands in it has been read."""
        named = _DELIMITER.fullmatch(start)
        delimiter = next((group for group in named.groups() if group), "") if named else ""
        if not named or end.strip(" \t\n") != delimiter:
            raise Unreadable("it is not clear where a here-document ends")
        if body is None:
            return
        if body.end_byte < len(self.source) and self.source[body.start_byte - 1 : body.start_byte] not in (
            b"\n",
            b"\t",
        ):
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
        self.covered(body, inner)
        for child in inner:
            self.expanding(child, self.text(child), depth + 1)


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
