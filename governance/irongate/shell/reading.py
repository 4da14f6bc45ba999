"""A command as the gate judges it: every simple command in it, unwrapped, and what each of them does."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from governance.irongate.shell import programs, writes
from governance.irongate.shell.expand import Script
from governance.irongate.shell.parse import parse
from governance.irongate.shell.words import Redirect, Segment, Unreadable, Word
from governance.irongate.shell.wrappers import KEYWORDS, WrappedCommand, find_wrapped
from governance.irongate.tables import word_set

MOST_SEGMENTS = 400
DEEPEST = 8
MOST_FOLDERS = 16
MOST_NAMES = 10_000
DECIDES = word_set(
    """
    PATH BASH_ENV ENV SHELLOPTS BASHOPTS PROMPT_COMMAND PS0 PS1 PS2 PS4 IFS PAGER MANPAGER EDITOR VISUAL BROWSER
    LESSOPEN LESSCLOSE PERL5OPT PERL5LIB RUBYOPT PYTHONSTARTUP PYTHONHOME NODE_OPTIONS SHELL HOME TMPDIR CDPATH FPATH
    GLOBIGNORE PWD OLDPWD BASH_CMDS BASH_ALIASES EXECIGNORE POSIXLY_CORRECT JAVA_TOOL_OPTIONS GCONV_PATH LOCPATH
    HOSTALIASES COMMAND_MODE SSH_ASKPASS SUDO_ASKPASS XDG_CONFIG_HOME XDG_STATE_HOME TAR_OPTIONS ZIPOPT UNZIP UNZIPOPT
    """
)
"""Variables that decide what other words of a command mean, or which programs run beside it."""
DECIDING = ("GIT_", "LD_", "BASH_FUNC", "DYLD_", "OURO", "MALLOC_", "PIP_", "NPM_CONFIG", "npm_config")
NAMING = word_set(
    """
    export declare typeset local readonly read mapfile readarray printf getopts let unset wait test [
    """
)
"""Builtins whose words are names of variables, which bash reads as arithmetic where they hold a subscript."""


@dataclass(frozen=True, slots=True)
class CommandFinding:
    """A reason against. ``segment`` is the simple command that it is about; empty where it is about the whole."""

    rule: str
    reason: str
    segment: str = ""


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file that is written (or read), as it is named, and the folders from which it may be meant."""

    path: str
    folders: tuple[str, ...]
    segment: str


@dataclass(slots=True)
class CommandReading:
    """All that is known of a command before it runs."""

    findings: list[CommandFinding] = field(default_factory=list)
    commands: list[tuple[Word, ...]] = field(default_factory=list)  # wrappers and what they wrap alike
    segments: list[str] = field(default_factory=list)  # the same as text
    certain: list[bool] = field(default_factory=list)  # whether every word of it is known
    written: list[FileTarget] = field(default_factory=list)
    named: list[FileTarget] = field(default_factory=list)  # words that may be files
    unread: list[str] = field(default_factory=list)  # code that is run and was not read, by what runs it


@functools.lru_cache(maxsize=512)
def read(command: str) -> CommandReading:
    """Pure: what ``command`` would do. Never raises; what is not understood is a finding. Not to be changed."""
    reader = _CommandReader()
    reader.script(command, 0)
    reading = reader.reading
    if sum(len(target.folders) for target in (*reading.written, *reading.named)) > MOST_NAMES:
        reader.deny("unparsable", f"it could mean more than {MOST_NAMES} files")
        reading.written, reading.named = [], []
    return reading


class _CommandReader:
    def __init__(self) -> None:
        self.reading = CommandReading()
        self.folders: list[str] = [""]

    def deny(self, rule: str, reason: str, segment: str = "") -> None:
        self.reading.findings.append(CommandFinding(rule, reason, segment))

    def script(self, text: str, depth: int) -> None:
        if depth > DEEPEST:
            self.deny("unparsable", "commands are nested too deeply")
            return
        try:
            script = parse(text)
        except (Unreadable, RecursionError) as error:
            why = str(error) if isinstance(error, Unreadable) else "it is nested too deeply"
            self.deny("unparsable", f"the command cannot be read: {why}")
            return
        if len(self.reading.segments) + len(script.segments) > MOST_SEGMENTS:
            self.deny("unparsable", f"there are more than {MOST_SEGMENTS} commands in it")
            return
        for segment in script.segments:
            self.segment(segment, depth)
        self._recursion(script)
        if script.evaluates and any("$(" in quoted or "`" in quoted for quoted in script.quoted):
            self.deny("computed", "quoted text holds a substitution that arithmetic could run")

    def segment(self, segment: Segment, depth: int) -> None:
        self.assignments(segment.assigned, segment.shown)
        for redirect in segment.redirects:
            self.redirect(redirect, segment.shown)
        if segment.words:
            self.words(segment.words, depth, 0)

    def assignments(self, assigned: Iterable[tuple[str, Word]], shown: str) -> None:
        for name, value in assigned:
            if name in DECIDES or name.startswith(DECIDING):
                self.deny("environment", f"the variable {name} decides what other words mean or run", shown)
            if value.text is not None:
                self._name(value, shown)
                if value.text.startswith(("/dev/tcp/", "/dev/udp/")):
                    self.deny("network", f"{value.text[:60]} is a connection to another machine", shown)

    def redirect(self, redirect: Redirect, shown: str) -> None:
        text = redirect.target.text
        if text is not None and redirect.op not in ("<<", "<<<"):
            if posixpath.normpath(text).startswith(("/dev/tcp", "/dev/udp")):
                self.deny("network", f"{text[:60]} is a connection to another machine", shown)
                return
            self._name(redirect.target, shown)
        try:
            for word in writes.find_redirect_target(redirect):
                self._write(word, shown)
        except Unreadable as error:
            self.deny("computed", str(error), shown)

    def words(self, words: tuple[Word, ...], depth: int, layer: int) -> None:
        """Judge one simple command, then what it wraps."""
        shown = " ".join(word.shown for word in words)
        self.reading.commands.append(words)
        self.reading.segments.append(shown)
        self.reading.certain.append(all(word.text is not None for word in words))
        first = words[0].text
        if not first:
            self.deny("computed", f"which program runs is only known when it runs: {words[0].raw[:60]}", shown)
            return
        name = first.rpartition("/")[2]
        if name in KEYWORDS or layer > DEEPEST or not name:
            self.deny("unparsable", f"the command cannot be read: {first[:40]!r} stands where a program should", shown)
            return
        for word in words[1:]:
            if word.text is not None:
                self._name(word, shown)
        try:
            for rule, reason in programs.judge(name, words):
                self.deny(rule, reason, shown)
            self._naming(name, words, shown)
            self._folder(name, words, shown)
            for word in writes.find_targets(name, words):
                self._write(word, shown)
            wrapped = find_wrapped(name, words)
        except Unreadable as error:
            self.deny("computed", str(error), shown)
            return
        except writes.RefusedWrite as error:
            self.deny("outside", str(error), shown)
            return
        unread = programs.find_unread_code(name, words)
        if unread and unread not in self.reading.unread:
            self.reading.unread.append(unread)
        for one in wrapped:
            self._wrapped(one, shown, depth, layer)

    def _wrapped(self, one: WrappedCommand, shown: str, depth: int, layer: int) -> None:
        self.assignments(one.assigned, shown)
        if one.script is not None:
            self.script(one.script, depth + 1)
        elif one.words:
            self.words(one.words, depth, layer + 1)

    def _naming(self, name: str, words: tuple[Word, ...], shown: str) -> None:
        """Names of variables that a builtin is given."""
        if name not in NAMING:
            return
        for word in words[1:]:
            said = word.text if word.text is not None else word.raw
            variable = said.partition("=")[0].partition("[")[0].rstrip("+")
            if name not in ("test", "[", "printf", "wait") and (variable in DECIDES or variable.startswith(DECIDING)):
                self.deny("environment", f"the variable {variable} decides what other words mean or run", shown)
            if "[" in said and ("$(" in said or "`" in said):
                self.deny("computed", f"{name} would run what stands in {said[:60]}", shown)
        if name in ("export", "declare", "typeset", "local", "readonly", "unset", "read"):
            for word in words[1:]:
                if word.text is None and "=" not in word.raw:
                    self.deny("computed", f"which variable is set is only known when it runs: {word.raw[:60]}", shown)
        if name in ("declare", "typeset", "local") and any(re.match(r"-[a-zA-Z]*n", w.text or "") for w in words):
            self.deny("environment", f"{name} -n makes a second name for a variable", shown)
        option = {"printf": "-v", "wait": "-p"}.get(name)
        for at, word in enumerate(words):
            if option and word.text is not None and word.text.startswith(option):
                variable = word.text[2:] or (words[at + 1].text if at + 1 < len(words) else None) or "PATH"
                if variable in DECIDES or variable.startswith(DECIDING):
                    self.deny("environment", f"the variable {variable} decides what other words mean or run", shown)

    def _folder(self, name: str, words: tuple[Word, ...], shown: str) -> None:
        """``cd``: from here on, paths may be meant from there as well."""
        if name not in ("cd", "pushd", "popd", "chdir"):
            return
        operands = [word for word in words[1:] if word.text is None or not word.text.startswith("-")]
        if name == "popd":
            return
        if not operands or operands[0].text is None or any(word.text == "-" for word in words[1:]):
            raise Unreadable(f"where {name} goes is only known when it runs")
        path = operands[0].text
        self.reading.written.append(FileTarget(path, tuple(self.folders), shown))
        if path.startswith("/"):
            return
        for folder in tuple(self.folders):
            there = posixpath.normpath(posixpath.join(folder, path))
            if there not in self.folders and len(self.folders) < MOST_FOLDERS:
                self.folders.append("" if there == "." else there)
        self.folders = list(dict.fromkeys(self.folders))
        if len(self.folders) >= MOST_FOLDERS:
            raise Unreadable("the folder is changed too often")

    def _write(self, word: Word, shown: str) -> None:
        self.reading.written.append(FileTarget(word.text or "", tuple(self.folders), shown))

    def _name(self, word: Word, shown: str) -> None:
        text = word.text or ""
        for part in (text, text.partition("=")[2]) if "=" in text else (text,):
            if part and len(part) < 1024:
                self.reading.named.append(FileTarget(part, tuple(self.folders), shown))

    def _recursion(self, script: Script) -> None:
        """A function that starts itself can start without end."""
        for name, first, last in script.functions:
            body = script.segments[first:last]
            if any(segment.words and segment.words[0].text == name for segment in body):
                self.deny("process_control", f"the function {name} starts itself")
