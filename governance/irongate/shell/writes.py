"""Files that well-known commands write. Those of other commands are found after the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from governance.irongate.shell.words import Redirect, Unreadable, Word
from governance.irongate.tables import word_set

WRITE_ALL_OPERANDS = word_set(
    """
    touch mkdir rmdir rm unlink tee truncate mkfifo chmod gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd dos2unix
    unix2dos shred sponge link
    """
)
"""Programs that write all files among their operands."""
WRITE_OUTPUT_OPTION = frozenset({"gcc", "cc", "g++", "c++", "clang", "clang++", "ld", "as", "rustc", "pandoc", "dot"})
WRITING = frozenset({">", ">>", ">|", "&>", "&>>", "<>", ">&", "<&"})
HARMLESS = re.compile(r"/dev/(?:null|stdout|stderr|fd/[0-9]|zero|tty)|-|[0-9]+-?")
TAR_RUNS = word_set(
    """
    --checkpoint-action --to-command --use-compress-program --info-script --new-volume-script --rsh-command
    --rmt-command
    """
)


class RefusedWrite(Exception):
    """A way to write that is always refused; the message gives the reason."""


def find_targets(name: str, words: tuple[Word, ...]) -> Iterator[Word]:
    """Files that a command writes. Raises ``Unreadable`` for one that is unknown, and ``RefusedWrite``."""
    if name in WRITE_ALL_OPERANDS:
        yield from _operands(words)
    elif handler := _SPECIAL.get(name):
        yield from handler(words)
    elif name in WRITE_OUTPUT_OPTION:
        yield from _output(words)


def find_redirect_target(redirect: Redirect) -> Iterator[Word]:
    """The file that a redirection writes, if it does."""
    if redirect.op not in WRITING:
        return
    if redirect.target.text is None:
        raise Unreadable(f"the target of {redirect.op} is only known when it runs: {redirect.target.raw[:60]}")
    if redirect.op == "<&" or HARMLESS.fullmatch(redirect.target.text):
        return
    yield redirect.target


def _known(word: Word) -> Word:
    if word.text is None:
        raise Unreadable(f"what is written is only known when it runs: {word.raw[:60]}")
    return word


def _operands(words: tuple[Word, ...]) -> list[Word]:
    """Words that are no options. One that could turn out to be an option is not known either."""
    found: list[Word] = []
    ended = False
    for word in words[1:]:
        text = _known(word).text or ""
        if not ended and text == "--":
            ended = True
        elif ended or not text.startswith("-"):
            found.append(word)
        elif "=" in text:
            found.append(_value(text))
    return [word for word in found if word.text and not HARMLESS.fullmatch(word.text)]


def _value(text: str) -> Word:
    value = text.partition("=")[2]
    return Word(value, value)


def _valued(words: tuple[Word, ...], letters: str, *longs: str) -> Iterator[Word]:
    """Values of options, however they are given: ``-o x``, ``-uox``, ``--output x``, ``--outp=x``."""
    for index, word in enumerate(words[1:], start=1):
        text = word.text or ""
        long, equals, value = text.partition("=")
        if text.startswith("--"):
            if len(long) < 3 or not any(name.startswith(long) for name in longs):
                continue
        elif short := re.match(f"-[a-zA-Z0-9]*?[{letters}]", text):
            value = text[short.end() :]
            equals = value
        else:
            continue
        if equals:
            yield Word(value, value)
        else:
            yield _known(words[index + 1]) if index + 1 < len(words) else word


def _move(words: tuple[Word, ...]) -> Iterator[Word]:
    yield from _valued(words, "t", "--target-directory")
    yield from _operands(words)


def _into(words: tuple[Word, ...]) -> Iterator[Word]:
    """cp, install: into the last operand, or into what ``-t`` names."""
    yield from _valued(words, "t", "--target-directory")
    if any(re.match(r"-[a-zA-Z]*s|--s[ym]", word.text or "") for word in words[1:]) and words[0].text == "cp":
        raise RefusedWrite("links are not taken into a change")
    known_options = [word for word in words[1:] if word.text is None or not word.text.startswith("-")]
    if known_options:
        folders = any(re.match(r"-[a-zA-Z]*d|--d", word.text or "") for word in words[1:])
        if folders and (words[0].text or "").endswith("install"):
            yield from _operands(words)
        yield _known(known_options[-1])


def _link(words: tuple[Word, ...]) -> Iterator[Word]:
    if any(re.match(r"-[a-zA-Z]*s|--s", word.text or "") for word in words[1:]):
        raise RefusedWrite("links are not taken into a change")
    yield from _move(words)


def _sed(words: tuple[Word, ...]) -> Iterator[Word]:
    """``-i``: every file after the script."""
    in_place = scripted = False
    files: list[Word] = []
    at = 1
    while at < len(words):
        text = words[at].text
        at += 1
        if text is None:
            files.append(words[at - 1])
        elif text in ("-e", "-f", "--expression", "--file"):
            scripted, at = True, at + 1
        elif text.startswith("--"):
            in_place = in_place or (len(text) > 3 and "--in-place".startswith(text.partition("=")[0]))
            scripted = scripted or text.startswith(("--expression=", "--file="))
        elif text.startswith("-") and len(text) > 1:
            letters = re.match(r"-([a-df-hj-zA-Z]*)([ief]?)", text)
            kind = letters[2] if letters else ""
            in_place = in_place or kind == "i"
            scripted = scripted or kind in ("e", "f")
            at += kind in ("e", "f") and letters is not None and letters.end() == len(text)
        else:
            files.append(words[at - 1])
    if in_place:
        for word in files if scripted else files[1:]:
            yield _known(word)


def _perl(words: tuple[Word, ...]) -> Iterator[Word]:
    """``-i``: every file; the code after ``-e`` is none."""
    texts = [word.text or "" for word in words]
    if not any(re.match(r"-[a-zA-Z0]*i", text) for text in texts[1:]):
        return
    for index, word in enumerate(words[1:], start=1):
        behind_code = re.fullmatch(r"-[a-zA-Z0]*[eE]", texts[index - 1]) is not None
        if not behind_code and not texts[index].startswith("-"):
            yield _known(word)


def _output(words: tuple[Word, ...]) -> Iterator[Word]:
    """Compilers: ``-o FILE`` or ``-oFILE``; ``-foo`` is another option."""
    for index, word in enumerate(words[1:], start=1):
        text = word.text or ""
        if text in ("-o", "--output"):
            yield _known(words[index + 1]) if index + 1 < len(words) else word
        elif text.startswith("--output="):
            yield _value(text)
        elif text.startswith("-o"):
            yield Word(text[2:], text[2:])


def _sort(words: tuple[Word, ...]) -> Iterator[Word]:
    longs = [(word.text or word.raw).partition("=")[0] for word in words[1:]]
    if any(len(long) > 3 and "--compress-program".startswith(long) for long in longs):
        raise Unreadable("sort --compress-program runs a program that is not read here")
    yield from _valued(words, "o", "--output")


def _output_option(words: tuple[Word, ...]) -> Iterator[Word]:
    """shuf, iconv, csplit, 7z: into what an option names."""
    yield from _valued(words, "of", "--output", "--prefix")


def _second(words: tuple[Word, ...]) -> Iterator[Word]:
    """split, uniq, xxd: the operand after the input file."""
    known = [word for word in words[1:] if word.text is None or not word.text.startswith("-")]
    if len(known) > 1:
        yield _known(known[-1])


def _dd(words: tuple[Word, ...]) -> Iterator[Word]:
    for word in words[1:]:
        text = _known(word).text or ""
        if text.startswith("of=") and not HARMLESS.fullmatch(text[3:]):
            yield _value(text)


def _tar(words: tuple[Word, ...]) -> Iterator[Word]:
    writes = any(re.match(r"-?[a-zA-Z]*[cru]", word.text or "") for word in words[1:2]) or any(
        word.text in ("-c", "-r", "-u", "--create", "--append", "--update") for word in words[1:]
    )
    for index, word in enumerate(words[1:], start=1):
        text = _known(word).text or ""
        following = words[index + 1] if index + 1 < len(words) else word
        cluster = re.match(r"-[a-zA-Z]+" if index > 1 else r"-?[a-zA-Z]+", text)
        attached = re.match(r"-[a-zA-Z]*?([Cfg])(.+)", text, re.DOTALL)
        if text.startswith("--") and any(long.startswith(text.partition("=")[0]) for long in TAR_RUNS if len(text) > 4):
            raise Unreadable(f"tar {text.partition('=')[0]} runs a program that is not read here")
        if cluster and any(letter in cluster[0] for letter in "IFP"):
            raise RefusedWrite(f"tar {text} runs a program or writes outside of the folder")
        if text.startswith("--absolute"):
            raise RefusedWrite(f"tar {text} writes outside of the folder")
        if attached and (attached[1] in "Cg" or writes):
            yield Word(attached[2], attached[2])
        if text.startswith(("--directory=", "--one-top-level=", "--listed-incremental=")) or (
            text.startswith("--file=") and writes
        ):
            yield _value(text)
        elif (
            text in ("--directory", "--listed-incremental")
            or (cluster and ("C" in cluster[0] or cluster[0][-1:] == "g"))
            or (text == "--file" and writes)
            or (cluster and text.endswith("f") and writes)
        ):
            yield _known(following)


def _unzip(words: tuple[Word, ...]) -> Iterator[Word]:
    for word in words[1:]:
        _known(word)
    yield from _valued(words, "d")


def _zip(words: tuple[Word, ...]) -> Iterator[Word]:
    if any((word.text or "").startswith(("-T", "--unzip-command", "-m")) for word in words[1:]):
        raise Unreadable("zip -T runs a program that is not read here")
    yield from _operands(words)[:1]


def _patch(words: tuple[Word, ...]) -> Iterator[Word]:
    yield from _valued(words, "dor", "--directory", "--output", "--reject-file")
    for word in words[1:]:
        if not (_known(word).text or "").startswith("-"):
            yield word


def _find(words: tuple[Word, ...]) -> Iterator[Word]:
    for index, word in enumerate(words[1:], start=1):
        if word.text in ("-fprint", "-fprint0", "-fprintf", "-fls") and index + 1 < len(words):
            yield _known(words[index + 1])


_SPECIAL: Mapping[str, Callable[[tuple[Word, ...]], Iterator[Word]]] = {
    **dict.fromkeys(("cp", "install"), _into),
    "mv": _move,
    "ln": _link,
    **dict.fromkeys(("sed", "gsed"), _sed),
    "perl": _perl,
    "dd": _dd,
    **dict.fromkeys(("tar", "bsdtar"), _tar),
    "unzip": _unzip,
    "zip": _zip,
    "patch": _patch,
    "find": _find,
    "sort": _sort,
    **dict.fromkeys(("shuf", "iconv", "csplit", "7z"), _output_option),
    **dict.fromkeys(("split", "uniq", "xxd"), _second),
}
