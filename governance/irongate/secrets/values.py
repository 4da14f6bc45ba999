"""Values that are secrets by their surroundings: a keyword, an address, a header."""

from __future__ import annotations

import base64
import binascii
import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

from governance.irongate.secrets.patterns import START

LEAST_ENTROPY = 3.5  # bits a character; English words in camel case stay below it at these lengths
LEAST_OF_HEX = 2.8  # hex digits have four bits at most
LEAST_LENGTH = 16
JUDGED = 160
MOST_TURNS = 0.4  # between kinds of characters, for each of them, in what a person names
SHORTEST = 6  # of a password that a person made up

_PERSONAL = r"passw(?:or)?d|passphrase|pwd|passwrd|contrasena"
_WORDS = (
    rf"{_PERSONAL}|secret|token|api[-_. ]?key|access[-_. ]?key|auth[-_. ]?key|private[-_. ]?key|signing[-_. ]?key|"
    r"encryption[-_. ]?key|client[-_. ]?key|account[-_. ]?key|shared[-_. ]?key|fernet[-_. ]?key|master[-_. ]?key|"
    r"license[-_. ]?key|app(?:lication)?[-_. ]?key|service[-_. ]?key|consumer[-_. ]?key|integration[-_. ]?key|"
    r"storage[-_. ]?key|deploy[-_. ]?key|write[-_. ]?key|credential|bearer|session[-_]?id|sessionid|sessid|"
    r"connect\.sid|_auth\b|webhook[-_]?key|cipher[-_]?key|crypt[-_]?key|salt"
)
WORD = re.compile(rf"(?i)(?:{_WORDS})")
PERSONAL = re.compile(rf"(?i)(?:{_PERSONAL}|secret|credential)")
_MARK = r"\\{0,31}[\"'`]"
# How these words begin: to look for plain texts is much quicker than to try an expression at every character.
_BEGIN = (
    *("passw", "passphrase", "pwd", "contrasena", "secret", "token", "api", "access", "auth", "private", "signing"),
    *("encryption", "client", "account", "shared", "fernet", "master", "license", "app", "service", "consumer"),
    *("integration", "storage", "deploy", "write", "credential", "bearer", "sess", "connect.sid", "_auth", "webhook"),
    *("cipher", "crypt", "salt"),
)
# Between the keyword and its value: the rest of the name, quotes and brackets, an annotation, a sign, and
# the end of a line where a value that is continued may begin on the next one (with the marks of a diff before it).
_SIGN = (
    rf"(?P<rest>[\w.\-]{{0,24}})(?:\[\d{{0,4}}\])?(?:{_MARK})?[\])]?\s{{0,4}}(?::\s*(?:str|bytes|SecretStr)\s*(?==))?"
    r"(?P<sign>=>|:=|===?|!==?|=|:|,|>)[^\S\n]{0,4}(?:(?:[|>][-+]?|\\{1,8})(?:\r?\n|\\{1,4}n)[E+\-|>#\s]{1,40})?"
)
QUOTED = re.compile(
    rf"{_SIGN}[rbuf]{{0,2}}(?P<quote>{_MARK})(?P<value>[^\"'`\s\\]{{6,512}}(?:\\[^\"'`\s\\n][^\"'`\s\\]{{0,512}}){{0,8}})"
)
BARE = re.compile(_SIGN + r"(?P<value>[^\s\"'`<>,;\\]{6,2048})")
SPACED = re.compile(r"[^\S\n]{1,4}[\"']?(?P<value>[^\s\"'`,;<>]{6,512})")  # --password x; machine h login u password x

BEARER = re.compile(
    rf"(?i){START}(?:bearer|token|apikey|aws4-hmac-sha256)\s{{1,2}}(?P<value>[a-z0-9._\-+/=~]{{20,4096}})"
)
BASIC = re.compile(
    rf"(?i){START}(?:basic|_?auth)(?:{_MARK})?\s{{0,2}}[:=]?\s{{0,2}}(?:{_MARK})?"
    r"(?P<value>[a-z0-9+/_\-]{8,1024}={0,2})"
)
DIGEST = re.compile(rf"(?i){START}(?:response|cnonce|signature)=(?:{_MARK})?(?P<value>[a-z0-9+/=]{{16,256}})")
COOKIE = re.compile(r"(?i)cookie[\"']?\s{0,3}[:=,]\s{0,3}(?P<value>[^\n]{8,4096})")
CRUMB = re.compile(r"[\w.\-]{1,64}=(?P<value>[^;\s\"'\\]{8,1024})")
IN_URL = re.compile(
    r"\b[a-z][a-z0-9+.\-]{1,20}://(?P<user>[^\s/:@'\"]{0,100}):(?P<value>(?:[^\s/:@'\"{}$<>%]|%[0-9A-Fa-f]{2}){3,200})@"
)
PORT = re.compile(r":(?:\d{4,5}|\*):")
PGPASS = re.compile(
    r"(?<![\w.\-*:\[@])[\w.\-*]{1,100}:(?:\d{4,5}|\*):[\w.\-*]{1,64}:[\w.\-*]{1,64}:"
    r"(?P<value>[^\s:\"'\\]{6,128})"
)
USER_OPTION = re.compile(r"(?:\s-u|\s--user|\s--proxy-user)[\s=][\"']?[\w.@\-]{1,64}:(?P<value>[^\s\"':/\\]{6,128})")
FILE_OF_USERS = re.compile(
    rf"(?i){START}machine\s+\S{{1,200}}\s+login\s+\S{{1,100}}\s+password\s+(?P<value>[^\s\"'\\]{{4,128}})"
)
HARMLESS = re.compile(
    r"(?i)example|change.?me|your[-_ ]|x{4}|\*{3}|<|\$\{|\{\{|%\(|\bnone\b|null|d[u]mmy|fake|sample|redacted|insert|"
    r"os\.environ|getenv|\{[a-z_][^{}]{0,60}\}|test[-_]|[-_]test|not[-_ ]?a|abcdef|123456|placeholder|undefined|"
    r"\[a-z0-9]-|\(\?"
)
_UUID = re.compile(r"(?i)(?:[a-z]{2,12}[-_])?[0-9a-f]{8}(?:-[0-9a-f]{1,12}){2,4}")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
# A name, a number, an attribute, a call, a path, a format: what code has in place of a literal.
_CODE = re.compile(r"[A-Za-z_]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)*(?:[(\[].*)?|-?\d[\d_.]*|[~.]{0,2}(?:/[\w.\-]+)+/?")
_PLACE = re.compile(r"://|:\d{1,5}$")
_OPENED = re.compile(r"[(\[{]")
_WORDY = re.compile(r"[A-Za-z]*\d{0,6}")
_REST = re.compile(r"s?(?:[_\-.\d][\w.\-]*)?")  # of a name that a word for a password begins or ends
_LOWER = {ord(c): c.lower() for c in string.ascii_uppercase}
_STRONG = frozenset("!@#$%^&?")


def entropy(text: str) -> float:
    """Shannon entropy in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def is_telling(value: str) -> bool:
    """Whether a value beside a keyword looks generated. Its beginning decides."""
    value = value[:JUDGED].rstrip(".\u2026")
    if len(value) < LEAST_LENGTH or HARMLESS.search(value):
        return False
    least = LEAST_OF_HEX if _HEX.fullmatch(value) or _UUID.fullmatch(value) else LEAST_ENTROPY
    if not any(c.isdigit() for c in value) or not any(c.isalpha() for c in value):
        return False
    return entropy(value) >= min(least, math.log2(len(value)) - 0.6)


def is_wordy(value: str) -> bool:
    """Words, joined by marks: a name of something, a path, a title."""
    return all(_WORDY.fullmatch(part) for part in re.split(r"[_.\-/:()\[\]{}=&+ ]", value[:JUDGED]))


def is_made_up(value: str) -> bool:
    """Whether a value beside a word for a password looks like one that a person made up."""
    if not SHORTEST <= len(value) <= 128 or HARMLESS.search(value) or _OPENED.search(value):
        return False
    strong = sum(c in _STRONG for c in value)
    has_digit, has_alpha = any(c.isdigit() for c in value), any(c.isalpha() for c in value)
    return has_alpha and (has_digit or strong > 0)


def lower_ascii(text: str) -> str:
    """With the small letters of ASCII: every character stays at its place."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def find_occurrences(text: str, words: Iterable[str]) -> list[int]:
    """Indexes in ``text`` of any of ``words``, sorted."""
    found = set()
    for word in words:
        at = text.find(word)
        while at >= 0:
            found.add(at)
            at = text.find(word, at + 1)
    return sorted(found)


def find_assigned(text: str, lower: str, *, guesses: bool) -> Iterator[tuple[int, int]]:
    """Places of values that a keyword names; with ``guesses`` also of what a person may have made up."""
    end = 0
    for at in find_occurrences(lower, _BEGIN):
        word = WORD.match(text, at) if at >= end else None
        if word is None:
            continue
        end = word.end()
        personal = guesses and text[at - 1 : at] != ":" and PERSONAL.fullmatch(word[0]) is not None
        quoted = QUOTED.match(text, end)
        bare = BARE.match(text, end) if quoted is None else None
        if quoted is not None:
            if _is_quoted_secret(quoted, personal=personal):
                yield quoted.span("value")
        elif bare is not None:
            value = bare["value"].rstrip(").]}:")
            if _is_bare_secret(bare, value, word[0], personal=personal):
                yield bare.start("value"), bare.start("value") + len(value)
        elif personal and text.startswith("--", max(at - 2, 0)):
            spaced = SPACED.match(text, end)
            if spaced is not None and (is_telling(spaced["value"]) or is_made_up(spaced["value"])):
                yield spaced.span("value")


def _is_quoted_secret(found: re.Match[str], *, personal: bool) -> bool:
    value = found["value"]
    if is_telling(value):
        return True
    named = personal and _REST.fullmatch(found["rest"]) and found.string.startswith(found["quote"], found.end())
    if not named or not is_made_up(value) or is_reference(value):
        return False
    return found["sign"] != "," or not is_wordy(value)


def _is_bare_secret(found: re.Match[str], value: str, word: str, *, personal: bool) -> bool:
    start = found.start("value")
    if is_literal(value, of_a_variable=word.isupper() and found.string[start - 1] == "="):
        return True
    closed = found["sign"] != ">" or found.string.startswith("</", start + len(value))
    named = personal and closed and found["sign"] != "," and _REST.fullmatch(found["rest"])
    return bool(named) and is_made_up_bare(value)


def is_literal(value: str, *, of_a_variable: bool = False) -> bool:
    """Whether an unquoted value is a machine-made one and no code, of which there is none in ``NAME=value``."""
    if not is_telling(value) or _OPENED.search(value):
        return False
    if _HEX.fullmatch(value) or _UUID.fullmatch(value):
        return True
    value = value[:JUDGED]
    return (of_a_variable or _turns(value) >= 3 or _is_shuffled(value)) and not is_wordy(value)


def _turns(value: str) -> int:
    """How often digits and other characters take turns."""
    return sum(a.isdigit() != b.isdigit() for a, b in pairwise(value))


def _is_shuffled(value: str) -> bool:
    """Whether digits, small and capital letters take turns more often than in any name."""
    kinds = [(c.isdigit(), c.isupper()) for c in value]
    return sum(a != b for a, b in pairwise(kinds)) >= MOST_TURNS * len(value)


def is_reference(value: str) -> bool:
    """Whether a quoted value names something instead of being it: a variable, a path, an address."""
    return value.startswith(("$", "/", "./", "-", "%", "http:", "https:", "file:")) or bool(_PLACE.search(value))


def is_made_up_bare(value: str) -> bool:
    """The same for a value without quotes, which may be code as well."""
    if not is_made_up(value) or is_reference(value) or _CODE.fullmatch(value):
        return _is_mixed(value)
    return True


def _is_mixed(value: str) -> bool:
    """A plain word that no one would name a variable."""
    return len(value) >= 8 and value.isalnum() and not HARMLESS.search(value) and _is_shuffled(value)


def holds_user_and_password(value: str) -> bool:
    """Whether a text in base64 decodes to ``user:password``; also for one that was cut."""
    value = value.rstrip("=")
    value = value[: len(value) - (len(value) % 4 == 1)]
    try:
        data = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_" if set(value) & set("-_") else None)
        text = data.decode("utf-8")
    except (binascii.Error, ValueError):
        return False
    return ":" in text[1:] and text.isprintable()


def find_beside_keywords(text: str, lower: str, *, guesses: bool) -> Iterator[tuple[str, int, int]]:
    """Rule and place of every value that its surroundings give away."""
    yield from (("keyword", start, end) for start, end in find_assigned(text, lower, guesses=guesses))
    if any(word in lower for word in ("bearer", "token ", "apikey", "aws4-")):
        yield from (("bearer", *m.span("value")) for m in BEARER.finditer(text) if is_literal(m["value"]))
    if "basic" in lower or "auth" in lower:
        yield from (("basic", *m.span("value")) for m in BASIC.finditer(text) if holds_user_and_password(m["value"]))
    if "digest" in lower or "signature=" in lower:
        yield from (("digest", *m.span("value")) for m in DIGEST.finditer(text) if is_telling(m["value"]))
    if "cookie" in lower:
        for line in COOKIE.finditer(text):
            for crumb in CRUMB.finditer(text, line.start("value"), line.end("value")):
                if is_telling(crumb["value"]) and not is_wordy(crumb["value"]):
                    yield "cookie", *crumb.span("value")
    if "://" in text:
        for m in IN_URL.finditer(text):
            value = m["value"]
            names_it = value in (m["user"], "pass", "Pass", "pw") or WORD.fullmatch(value)
            if not names_it and not HARMLESS.search(value):
                yield "url-password", *m.span("value")
    if guesses:
        yield from _in_files(text, lower)


def _in_files(text: str, lower: str) -> Iterator[tuple[str, int, int]]:
    """Passwords in lines of ``.pgpass`` and ``.netrc``, and in a user that is given to curl."""
    if PORT.search(text):
        yield from (("password", *m.span("value")) for m in PGPASS.finditer(text) if is_made_up_bare(m["value"]))
    if " -u" in text or "-user" in text:
        yield from (("password", *m.span("value")) for m in USER_OPTION.finditer(text) if is_made_up_bare(m["value"]))
    if "machine" in lower and "login" in lower:
        yield from (("password", *m.span("value")) for m in FILE_OF_USERS.finditer(text) if is_made_up(m["value"]))
