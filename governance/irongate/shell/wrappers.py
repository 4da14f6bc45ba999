"""Commands that run another command, e.g. ``env`` or ``xargs``. One whose inner command is unknown is refused."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from governance.irongate.shell.words import Unreadable, Word
from governance.irongate.tables import word_set

ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
UNKNOWN = Word("...", None)
"""A word that a wrapper adds while it runs."""


@dataclass(frozen=True, slots=True)
class WrappedCommand:
    """What a wrapper runs: either words, or text that a shell reads. Nothing of either: it runs nothing."""

    words: tuple[Word, ...] = ()
    script: str | None = None
    assigned: tuple[tuple[str, Word], ...] = ()


@dataclass(frozen=True, slots=True)
class WrapperForm:
    """How a wrapper is called: options without a value, options with one, words before the command, assignments."""

    flags: frozenset[str] = frozenset()
    valued: frozenset[str] = frozenset()
    operands: int = 0
    assigns: bool = False
    silent: frozenset[str] = frozenset()  # options with which nothing is run
    digits: bool = False  # ``-10`` is an option


def _form(flags: str = "", valued: str = "", silent: str = "--help --version", **more: Any) -> WrapperForm:
    return WrapperForm(flags=word_set(flags), valued=word_set(valued), silent=word_set(silent), **more)


FORMS: Mapping[str, WrapperForm] = {
    "env": _form("-i --ignore-environment -v --debug -", "-u --unset", assigns=True),
    "nohup": _form(),
    "timeout": _form("--foreground --preserve-status -v --verbose", "-k --kill-after -s --signal", operands=1),
    "nice": _form("", "-n --adjustment", digits=True),
    "ionice": _form("-t --ignore", "-c --class -n --classdata"),
    "stdbuf": _form("", "-i --input -o --output -e --error"),
    "setsid": _form("-c --ctty -f --fork -w --wait"),
    "time": _form("-p -v --verbose", "-f --format", assigns=True),
    "chronic": _form("-v -e"),
    "command": _form("-p", silent="-v -V"),
    "builtin": _form(silent=""),
    "exec": _form("-c -l", "-a", silent=""),
}
_XARGS = _form(
    "-0 -r -t -x --null --no-run-if-empty --verbose",
    "-n -P -L -s -d -E -a -I --max-args --max-procs --max-lines --delimiter --arg-file --max-chars",
)
UNREAD_PROGRAMS = word_set(
    """
    parallel flock script strace ltrace gdb lldb setarch linux32 linux64 chrt prlimit numactl unbuffer expect faketime
    fakeroot proot run-parts entr runcon daemonize dbus-run-session xvfb-run start-stop-daemon rlwrap perf cgexec choom
    taskset coproc busybox toybox watch ld.so firejail catchsegv screen tmux alias enable fc complete compgen csh tcsh
    fish zsh ksh mksh pwsh xonsh nu elvish at sem systemd-inhibit vim vi nvim emacs ed ex nano hash history pee ifne
    mispipe lckdo zrun eatmydata torsocks proxychains tini dumb-init gosu su-exec chpst setuidgid envdir softlimit
    cpulimit hyperfine nodemon watchexec i386 i486 i586 i686 x86_64 uname26
    """
)
"""Run something else in a way that is not read here, or change what words mean."""
SHELLS = frozenset({"sh", "bash", "dash", "ash", "rbash"})
KEYWORDS = word_set(
    """
    { } ! [[ ]] if then elif else fi case esac for select while until do done in function ;; ( )
    """
)
LOADER = re.compile(r"ld-linux.*|ld-musl.*|ld(?:-.*)?\.so.*")
_SHELL_FLAGS = re.compile(r"-[abefhklmnpruvxBCEPT]*(c?)[abefhklmnpruvxBCEPT]*")
_RECALLS = frozenset({"history", "histexpand"})
_FIND_VALUED = word_set(
    """
    -name -iname -path -ipath -wholename -regex -iregex -type -xtype -size -mtime -mmin -atime -amin -ctime -cmin -newer
    -maxdepth -mindepth -perm -user -group -lname -ilname -links -inum -samefile -printf -regextype -newermt -used
    -fstype
    """
)
FIND_EXEC = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


def find_wrapped(name: str, words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    """What the command ``words`` (called ``name``) runs besides itself. Raises ``Unreadable`` where that is open."""
    if name in UNREAD_PROGRAMS or LOADER.fullmatch(name):
        raise Unreadable(f"what {name} does is not read here")
    if name in SHELLS:
        return _shell(name, words[1:])
    special = _SPECIAL.get(name)
    if special is not None:
        return special(words[1:])
    form = FORMS.get(name)
    return () if form is None else _find_by_form(name, form, words[1:])


def known_text(word: Word, why: str) -> str:
    """The value of a word. Raises ``Unreadable`` when it is unknown before the command runs."""
    if word.text is None:
        raise Unreadable(f"{why} is only known when it runs: {word.raw[:60]}")
    return word.text


def _find_by_form(name: str, form: WrapperForm, words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    assigned: list[tuple[str, Word]] = []
    operands, at = form.operands, 0
    while at < len(words):
        text = known_text(words[at], f"a word of {name}")
        at += 1
        if text == "--":
            break
        if text in form.silent:
            return ()
        if text in form.valued:
            at += 1
        elif text in form.flags or (form.digits and re.fullmatch(r"-\d+", text)) or _is_attached_value(text, form):
            continue
        elif text.startswith("-"):
            raise Unreadable(f"the option {text[:40]} of {name} is not known here")
        else:
            at -= 1
            break
    while at < len(words) and (operands or (form.assigns and _is_assignment(words[at]))):
        if operands:
            known_text(words[at], f"a word of {name}")
            operands -= 1
        else:
            found = ASSIGNMENT.match(words[at].text or words[at].raw)
            if found:
                assigned.append((found[1], Word(found[2], None if words[at].text is None else found[2])))
        at += 1
    return (WrappedCommand(words=words[at:], assigned=tuple(assigned)),)


def _is_attached_value(text: str, form: WrapperForm) -> bool:
    """``-n5``, ``--signal=KILL``."""
    long, equals, _ = text.partition("=")
    if text.startswith("--"):
        return bool(equals) and long in form.valued
    return text[:2] in form.valued and len(text) > 2


def _is_assignment(word: Word) -> bool:
    return bool(ASSIGNMENT.match(word.text if word.text is not None else word.raw))


def _shell(name: str, words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    """``bash -c TEXT`` is read; a script is a file of the workspace; what comes through a pipe is not known."""
    at, takes_text = 0, False
    while at < len(words):
        text = known_text(words[at], f"a word of {name}")
        if text in ("--version", "--help"):
            return ()
        if text in ("--norc", "--noprofile", "--posix", "--login", "-l"):
            at += 1
        elif re.fullmatch(r"[-+][a-bd-zA-GI-Z]*[oO]", text):
            _check_history_options((words[at + 1],) if at + 1 < len(words) else ())
            at += 2
        elif re.fullmatch(r"-[a-zA-Z]*[oO][a-zA-Z]*", text):
            raise Unreadable(f"the options {text[:40]} of {name} are not known here")
        elif found := _SHELL_FLAGS.fullmatch(text.replace("l", "", 1)):
            takes_text = takes_text or bool(found[1])
            at += 1
            if text == "-":
                break
        elif text == "--":
            at += 1
            break
        elif text.startswith(("-", "+")):
            raise Unreadable(f"the option {text[:40]} of {name} is not known here")
        else:
            break
    if at >= len(words):
        raise Unreadable(f"{name} would run what comes through its input")
    operand = known_text(words[at], f"what {name} runs")
    if takes_text:
        return (WrappedCommand(script=operand),)
    _is_file(operand, name)
    return ()


def _is_file(path: str, name: str) -> None:
    """A script is a file of the workspace: the content of a device or a pipe is unknown before it runs."""
    parts = [part for part in posixpath.normpath(path).split("/") if part not in ("", "..")]
    leaves = path.startswith("/") or ".." in path.split("/")
    if leaves and parts[:1] in (["dev"], ["proc"]):
        raise Unreadable(f"{name} would run what comes through its input")


def _check_history_options(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    """``set`` and ``shopt``: with a history, bash replaces ``!`` by an earlier command."""
    for word in words:
        if word.text is None and not word.raw.startswith('"'):
            raise Unreadable(f"how commands are read is only known when it runs: {word.raw[:60]}")
        if word.text in _RECALLS:
            raise Unreadable("a history makes other commands of what is written")
        if word.text == "--":
            break
    return ()


def _set(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    if words and re.match(r"-[a-zA-Z]*H", words[0].text or ""):
        raise Unreadable("a history makes other commands of what is written")
    return _check_history_options(words)


def _eval(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    texts = [known_text(word, "what eval reads") for word in words]
    return (WrappedCommand(script=" ".join(texts[1:] if texts[:1] == ["--"] else texts)),) if texts else ()


def _source(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    texts = [known_text(word, "what is sourced") for word in words[:2]]
    if texts[:1] == ["--"]:
        del texts[0]
    if not texts or texts[0].startswith("-"):
        raise Unreadable("it would read commands that are only known when it runs")
    _is_file(texts[0], "source")
    return ()


def _trap(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    """``trap ACTION SIGNAL...``; one word alone is a signal, and ``-l`` and ``-p`` only show."""
    texts = [known_text(word, "what trap runs") for word in words[:2]]
    if texts[:1] == ["--"]:
        return _trap(words[1:])
    if len(texts) < 2 or texts[0] in ("", "-", "-l", "-p"):
        return ()
    return (WrappedCommand(script=texts[0]),)


def _jobs(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    if any(re.match(r"-[a-z]*x", known_text(word, "a word of jobs")) for word in words):
        raise Unreadable("the option -x of jobs is not read here")
    return ()


def _split(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    """``--filter`` is a command for a shell."""
    for index, word in enumerate(words):
        if word.braced or (word.text is None and word.raw.startswith("-")):
            raise Unreadable(f"a word of split is only known when it runs: {word.raw[:60]}")
        long, equals, value = (word.text or "").partition("=")
        if len(long) > 2 and "--filter".startswith(long):
            if not equals:
                value = known_text(words[index + 1], "what split runs") if index + 1 < len(words) else ""
            return (WrappedCommand(script=value),)
    return ()


def _cmake(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    """``-E`` precedes a command; most have the name of a system's command."""
    at = next((index for index, word in enumerate(words) if word.text == "-E"), None)
    return () if at is None else (WrappedCommand(words=words[at + 1 :]),)


def _mapfile(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    if any(re.match(r"-[a-zA-Z]*C", known_text(word, "a word of mapfile")) for word in words):
        raise Unreadable("the option -C of mapfile is not read here")
    return ()


def _xargs(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    """What xargs adds to the command comes from a pipe."""
    at, mark = 0, ""
    while at < len(words):
        text = known_text(words[at], "a word of xargs")
        if text == "-I":
            mark = known_text(words[at + 1], "a word of xargs") if at + 1 < len(words) else ""
        elif text.startswith("-I"):
            mark = text[2:]
        if text in _XARGS.valued:
            at += 2
        elif text in _XARGS.flags or _is_attached_value(text, _XARGS) or re.fullmatch(r"-[0rtx]+|--", text):
            at += 1
        elif text.startswith("-"):
            raise Unreadable(f"the option {text[:40]} of xargs is not known here")
        else:
            break
    rest = words[at:]
    if not rest:
        return ()
    if mark:
        return (WrappedCommand(words=tuple(_mark_unknown(word, mark) for word in rest)),)
    return (WrappedCommand(words=(*rest, UNKNOWN)),)


def _mark_unknown(word: Word, mark: str) -> Word:
    return Word(word.raw, None) if mark in word.raw or mark in (word.text or "") else word


def _find(words: tuple[Word, ...]) -> tuple[WrappedCommand, ...]:
    """``-exec`` and its like, each up to its end; a word that could be such an option is not taken."""
    found: list[WrappedCommand] = []
    at = 0
    while at < len(words):
        text = words[at].text
        if text in FIND_EXEC:
            end = next((i for i in range(at + 1, len(words)) if words[i].text in (";", "+")), None)
            if end is None or end == at + 1:
                raise Unreadable(f"{text} of find has no end")
            found.append(WrappedCommand(words=tuple(_mark_unknown(word, "{}") for word in words[at + 1 : end])))
            at = end + 1
        elif text in _FIND_VALUED:
            at += 2 if at + 1 < len(words) and _is_one(words[at + 1]) else 1
        elif text is None:
            raise Unreadable(f"a word of find is only known when it runs: {words[at].raw[:60]}")
        else:
            at += 1
    return tuple(found)


def _is_one(word: Word) -> bool:
    """Known, quoted, or a pattern of names: not a variable that could become several words, options among them."""
    if word.braced:
        return False
    return word.text is not None or word.raw.startswith('"') or not ("$" in word.raw or "`" in word.raw)


_SPECIAL: Mapping[str, Callable[[tuple[Word, ...]], tuple[WrappedCommand, ...]]] = {
    "eval": _eval,
    ".": _source,
    "source": _source,
    "trap": _trap,
    "set": _set,
    "shopt": _check_history_options,
    "jobs": _jobs,
    "split": _split,
    "cmake": _cmake,
    "mapfile": _mapfile,
    "readarray": _mapfile,
    "xargs": _xargs,
    "find": _find,
}
