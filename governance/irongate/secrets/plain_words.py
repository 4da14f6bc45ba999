"""Passwords that are plain words, found by their surroundings: a name for a password, a command line, a file of users.

Such a value has no shape of its own, so a form is looked for that holds a literal value and no code: a quoted text, a
line of settings, a connection string. Enough to blot one out, too little to refuse a change for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from governance.irongate.secrets.patterns import START, compiled

SHORTEST = 3
LONGEST_NAME = 120  # of a setting, with the line before it
_NAME = r"(?:passw(?:or)?d|passwrd|passphrase|passwort|kennwort|pwd|mot_de_passe|contrase\u00f1a|contrasena|senha)"
_SHORT = r"(?:pass|pw|secret)"  # also ordinary words: they count where they end a longer name, or are a key in quotes
_END = r"(?![A-Za-z])\d{0,3}"
_VALUE = rf"(?P<value>[^\s\"'`<>;&,|\\(){{}}\[\]]{{{SHORTEST},128}})"
_TEXT = r"(?P<quote>\\?[\"'])(?P<value>(?:(?!(?P=quote))[^\n\\]|\\(?!(?P=quote))[^\n]){3,128})(?P=quote)"
_CLOSED = r"(?:\\?[\"'`])?[\])]?"
_LONG = (
    rf"(?:{_NAME}|(?<=[A-Za-z0-9][_.\-]){_SHORT}|(?<=[\"']){_SHORT}(?=\\?[\"'])"
    rf"|(?:(?<![\w.])|(?<=\\n)){_SHORT}(?=\s*=\s*\\?[\"']))"
)

# A quoted text after a name; a line ``name: value`` or ``name=value`` of settings; ``NAME=value`` for a shell.
QUOTED = re.compile(
    rf"(?i){_LONG}{_END}{_CLOSED}\s{{0,4}}(?::\s*(?:str|String|bytes)\s*(?==))?(?:=>|:=|={{1,3}}|!==?|:|>)\s{{0,4}}"
    rf"[rbuf]?{_TEXT}"
)
DEFAULT = re.compile(rf"(?i){_NAME}{_END}\\?[\"']\s*[,)\]]+\s*(?:or\s+)?{_TEXT}")
READS = re.compile(
    r"(?i)(?:define|get|getenv|env|environ|setdefault|config|setting|option)\w*[(\[]\s*\\?[\"'][\w.\-]*$"
)
SETTING = re.compile(
    rf"(?i){_NAME}{_END}[\"']?(?P<sign>\s{{0,4}}:[^\S\n]{{1,8}}|=){_VALUE}[^\S\n]*(?:#[^\n]*)?(?=\\n|\r|\n|$)"
)
SHORT_SETTING = re.compile(
    rf"(?:(?<=[a-z0-9][_.\-])|(?<![\w.\-])|(?<=\\n)){_SHORT}(?P<sign>:[^\S\n]{{1,8}}|=){_VALUE}[^\S\n]*(?=\\n|\r|\n|$)"
)
OF_A_SHELL = re.compile(rf"(?:PASSW(?:OR)?D|PASSPHRASE|PWD|(?<=_)PASS|(?<=_)PW|(?<=_)SECRET)\d{{0,2}}={_VALUE}")
IN_A_STRING = re.compile(
    rf"(?i)(?:(?<![\w.])|(?<=\\n)){_NAME}=(?:(?P<quote>')(?P<value>[^'\n]{{3,128}})'|(?P<bare>[^\s\"'`<>;&,\\(){{}}\[\]]{{3,128}})"
    r"(?=;|&|\s|[\"'\\]|$))"
)
BESIDE_IT = re.compile(r"(?i)(?<![\w.])(?:host|server|user|user id|uid|username|dbname|database|data source)=")
OPTION = re.compile(rf"(?i)--[\w\-]{{0,30}}(?:{_NAME}|pass|secret)(?:[^\S\n]{{1,4}}|=)[\"']?(?!-){_VALUE}")
ELEMENT = re.compile(rf"(?i){_NAME}{_END}>(?P<value>[^<>\n]{{3,128}})</")
ATTRIBUTE = re.compile(rf"(?i){_NAME}{_END}\\?[\"']\s+value=\\?[\"'](?P<value>[^\"'\\\n]{{3,128}})")
SENTENCE = re.compile(
    rf"(?i){_NAME}(?:[^\S\n]+(?:is|was|for[^\S\n]+\S{{1,60}}:)[^\S\n]+|[^\S\n]{{1,8}})"
    r"(?:(?P<quote>[\"'])(?P<value>[^\"'\n]{3,128})(?P=quote)|(?P<bare>[^\s\"'`<>;,]{6,128}))"
)
UNLESS_SET = re.compile(r"\$\{\w{0,40}PASS\w{0,40}:?[-=](?P<value>[^}\s$]{3,128})\}")
# What has to occur in a text (in small letters) for an expression to be tried, and the expression.
COMMANDS = tuple(
    (hint, shape.replace(r"\b", START, 1) if shape.startswith((r"\b", r"(?i)\b")) else shape)
    for hint, shape in (
        ("mysql", r"\bmysql\w*\b[^\n|;&]{0,200}?\s-p[\"']?(?P<value>[^\s\"'|;&\-][^\s\"'|;&]{2,127})"),
        ("mariadb", r"\bmariadb[\w\-]*[^\n|;&]{0,200}?\s-p[\"']?(?P<value>[^\s\"'|;&\-][^\s\"'|;&]{2,127})"),
        ("sshpass", r"\bsshpass\s+-p\s*[\"']?(?P<value>[^\s\"']{3,128})"),
        (" login", r"\blogin\b[^\n|;&]{0,200}?\s-p\s+[\"']?(?P<value>[^\s\"'\-][^\s\"']{2,127})"),
        ("zip", r"\bzip\b[^\n|;&]{0,200}?\s-P\s*[\"']?(?P<value>[^\s\"']{3,128})"),
        ("7z", r"\b7z\w?\s[^\n|;&]{0,200}?\s-p(?P<value>[^\s\"']{3,128})"),
        ("openssl", r"\bopenssl\b[^\n|;&]{0,200}?\s-k\s+[\"']?(?P<value>[^\s\"']{3,128})"),
        ("pass:", r"\s-pass(?:in|out)?\s+[\"']?pass:(?P<value>[^\s\"']{3,128})"),
        ("pass ", r"\s-(?:store|key|srcstore|deststore)pass\s+[\"']?(?P<value>[^\s\"'\-][^\s\"']{2,127})"),
        ("curl", r"\bcurl\b[^\n|;]{0,300}?\s(?:-u|--user)[\s=][\"']?[\w.@\-]{1,64}:(?P<value>[^\s\"':/\\]{3,128})"),
        ("chpasswd", r"[\w.\-]{1,40}:(?P<value>[^\s\"':]{3,128})[\"']?\s*\|\s*(?:sudo\s+)?chpasswd"),
        ("passwd", r"\becho\s+(?:-n\s+)?[\"']?(?P<value>[^\s\"']{3,128})[\"']?\s*\|\s*(?:sudo\s+)?passwd\b"),
        ("net use", r"(?i)\bnet use\b[^\n]{0,200}?/user:\S{1,80}\s+(?P<value>[^\s\"'/]{3,128})"),
        ("identified by", r"(?i)\bidentified\s+by\s+(?:password\s+)?'(?P<value>[^'\n]{3,128})'"),
        ("requirepass", r"(?i)\brequirepass\s+[\"']?(?P<value>[^\s\"']{3,128})"),
        ("masterauth", r"(?i)\bmasterauth\s+[\"']?(?P<value>[^\s\"']{3,128})"),
        ("basicauth", r"BasicAuth\(\s*\\?[\"'][^\"'\n]{0,80}[\"']\s*,\s*\\?[\"'](?P<value>[^\"'\\\n]{3,128})"),
        ("auth", r"\bauth\s*=\s*[(\[]\s*\\?[\"'][^\"'\n]{0,80}[\"']\s*,\s*\\?[\"'](?P<value>[^\"'\\\n]{3,128})"),
        ("jdbc:oracle", r"jdbc:oracle:\w{2,8}:[\w.\-]{1,64}/(?P<value>[^\s@/\"']{3,128})@"),
        (
            "login",
            r"(?i)\b(?:machine\s+\S{1,200}|default)\s+login\s+\S{1,100}\s+"
            r"(?:account\s+\S{1,100}\s+)?password\s+(?P<value>[^\s\"'\\]{2,128})",
        ),
        ("machine", r"(?i)\bmachine\s+\S{1,200}\s+(?:login\s+\S{1,100}\s+)?password\s+(?P<value>[^\s\"'\\]{2,128})"),
    )
)
_HINTS = ("passw", "passphrase", "pwd", "kennwort", "mot_de_passe", "contrase", "senha", "pass", "pw", "secret")
# What is no password: the name of one, a type, a word of a form or of a manual, a reference, a place to fill in.
_NO_PASSWORD = re.compile(
    r"(?i)passw|passphrase|secret|^pass$|^pwd?$|kennwort|token|credential|example|change.?me|your|dummy|fake|sample|"
    r"redacted|placeholder|undefined|x{4}|\*{3}|^[$%<{@~./\-]|\$\{|\$\(|\{\{|%\(|\{[a-z_][^{}]{0,60}\}|"
    r"^(?:https?|file):|not[-_ ]?a|123456|abcdef|"
    r"(?:^|[_.\-])(?:test|hash|hashed|field|input|label|file|path|key|name|id|url|type)(?:$|[_.\-])"
)
_OF_A_MANUAL = """
    str string strings text bytes int bool boolean any none null nil true false yes no required optional hidden
    missing invalid wrong empty unset set get is was are be must may can and or of for in on to the a an not with
    from by if when at as it value values option options flag argument default stdin prompt char varchar object
    number data self cls user username email login confirm confirmation raw plain plaintext encrypted description
    title admin auth basic oauth env expected actual given provided blank reset update forgot expired changed
    incorrect correct mismatch match matches failed ok error database identifier that this too will has should
    protected authentication policy manager based less only via which requires
"""
_OF_A_SENTENCE = """
    the is are must your this that field required wrong invalid too short long not enter please cannot may does a
    an of to for missing be will
"""
_PLAIN, _STOP = frozenset(_OF_A_MANUAL.split()), frozenset(_OF_A_SENTENCE.split())
_LINE_END = re.compile(r"\n|\\n")  # also one that was escaped
_WORDS = re.compile(r"[a-z0-9]+(?: [a-z0-9]+)+")


def is_a_value(value: str, *, bare: bool) -> bool:
    """Whether a text in the place of a password is one, and neither a word about passwords nor code."""
    value = value.rstrip(".:!") if value.lower().rstrip(".:!") in _PLAIN else value
    if value.lower() in _PLAIN or _NO_PASSWORD.search(value):
        return False
    if any(c.isspace() for c in value):  # a sentence, or words that were drawn
        return not bare and bool(_WORDS.fullmatch(value)) and not _STOP.intersection(value.split())
    # Without quotes it may be a name of code: one with a capital in it, dots or underscores.
    return not bare or not re.fullmatch(
        r"[A-Z]\w*|[a-z]+(?:[A-Z][a-z]*)+|[A-Za-z]\w*(?:\.\w+)+|[a-z]+(?:_[a-z]+)+", value
    )


def find_plain_passwords(text: str, lower: str) -> Iterator[tuple[str, int, int]]:
    """Rule and place of every such password."""
    for hint, form in COMMANDS:
        if hint in lower:
            for found in compiled(form).finditer(text):
                if not _NO_PASSWORD.search(found["value"]) and found["value"].lower() not in _PLAIN:
                    yield "password", *found.span("value")
    if not any(hint in lower for hint in _HINTS):
        return
    for shape in (QUOTED, ELEMENT, ATTRIBUTE):
        yield from (("password", *m.span("value")) for m in shape.finditer(text) if is_a_value(m["value"], bare=False))
    for found in DEFAULT.finditer(text):
        if READS.search(text, max(0, found.start() - 80), found.start()) and is_a_value(found["value"], bare=False):
            yield "password", *found.span("value")
    for found in SETTING.finditer(text):
        if _is_of_settings(text, found):
            yield "password", *found.span("value")
    for found in SHORT_SETTING.finditer(text):
        telling = any(c.isdigit() for c in found["value"]) and any(c.isalpha() for c in found["value"])
        if (telling or found["sign"] != "=") and len(found["value"]) >= 6 and _is_of_settings(text, found, short=True):
            yield "password", *found.span("value")
    for shape in (OF_A_SHELL, OPTION, UNLESS_SET):
        for found in shape.finditer(text):
            if is_a_value(found["value"], bare=True) and not (shape is OPTION and found["value"].isupper()):
                yield "password", *found.span("value")
    yield from _in_strings(text)
    yield from _in_sentences(text)


def _is_of_settings(text: str, found: re.Match[str], *, short: bool = False) -> bool:
    """Whether a match is a whole line of settings: nothing before its name, and no keyword argument of code."""
    least = max(found.start() - LONGEST_NAME, 0)
    before = _LINE_END.split(text[least : found.start()])[-1]
    is_name = re.fullmatch(r"[+\-]?[ \t]*(?:- )?[\"']?(?:(?:export|set|ENV)[ ])?[A-Za-z0-9_.\-]*", before) is not None
    if not is_name or not is_a_value(found["value"], bare=True):
        return False
    if short and not before.strip(" \t+-"):
        return any(c.isdigit() for c in found["value"])
    return found["sign"] != "=" or not before[:1].isspace() or "." in before


def _in_strings(text: str) -> Iterator[tuple[str, int, int]]:
    """Connection strings: a password among other settings of one line."""
    for found in IN_A_STRING.finditer(text):
        group = "value" if found["value"] is not None else "bare"
        start = max(text.rfind("\n", 0, found.start()) + 1, found.start() - 300)
        end = text.find("\n", found.end(), found.end() + 300)
        around = text[start : end if end >= 0 else found.end() + 300]
        ends = text[found.end() : found.end() + 1]
        mixed = any(c.isdigit() for c in found[group]) and any(c.isalpha() for c in found[group])
        told = BESIDE_IT.search(around) or (mixed and (not ends or ends.isspace()))  # a keyword argument follows
        if told and is_a_value(found[group], bare=group == "bare"):
            yield "password", *found.span(group)


def _in_sentences(text: str) -> Iterator[tuple[str, int, int]]:
    """``the password is hunter22``: with a digit in it, or in quotes."""
    for found in SENTENCE.finditer(text):
        group = "value" if found["value"] is not None else "bare"
        value = found[group].rstrip(".")
        mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
        if (mixed or group == "value") and is_a_value(value, bare=group == "bare"):
            yield "password", found.start(group), found.start(group) + len(value)
