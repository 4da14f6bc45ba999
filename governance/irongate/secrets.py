"""Shapes of keys and passwords, and how they are blotted out.

A table of own shapes, and for values without a shape an entropy test that only runs beside a telling keyword.
"""

from __future__ import annotations

import bisect
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_TAIL = r"(?![A-Za-z0-9])"
# name, texts of which one must occur (so that most shapes cost next to nothing), shape
_TABLE: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("aws-access-key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}" + _TAIL),
    ("github-token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    ("github-token", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{22,255}"),
    ("gitlab-token", ("gl",), r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[A-Za-z0-9_\-.]{20,255}"),
    ("gitlab-token", ("GR1348941",), r"GR1348941[A-Za-z0-9_\-]{20,255}"),
    ("slack-token", ("xox",), r"xox[abeoprs]-[A-Za-z0-9\-]{10,255}"),
    ("slack-token", ("xapp-",), r"xapp-\d-[A-Za-z0-9\-]{10,255}"),
    ("slack-webhook", ("hooks.slack",), r"hooks\.slack\.com/services/T\w{6,40}/B\w{6,40}/\w{16,60}"),
    ("anthropic-key", ("sk-ant-",), r"sk-ant-[A-Za-z0-9]{2,12}-[A-Za-z0-9_\-]{20,255}"),
    ("openai-key", ("sk-",), r"sk-(?:proj|svcacct|admin|service)-[A-Za-z0-9_\-]{20,255}"),
    ("openai-key", ("sk-",), r"sk-[A-Za-z0-9]{32,64}" + _TAIL),
    ("huggingface-token", ("hf_", "api_org_"), r"(?:hf|api_org)_[A-Za-z0-9]{30,64}" + _TAIL),
    ("google-key", ("AIza",), r"AIza[0-9A-Za-z_\-]{35}" + _TAIL),
    ("google-oauth", ("ya29.",), r"ya29\.[0-9A-Za-z_\-]{20,255}"),
    ("google-oauth", ("GOCSPX-",), r"GOCSPX-[0-9A-Za-z_\-]{28}" + _TAIL),
    ("stripe-key", ("k_live_", "k_test_"), r"[rs]k_(?:live|test)_[0-9A-Za-z]{16,255}"),
    ("stripe-webhook", ("whsec_",), r"whsec_[0-9A-Za-z+/=]{24,255}"),
    ("sendgrid-key", ("SG.",), r"SG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{16,64}"),
    ("twilio-key", ("SK",), r"SK[0-9a-f]{32}" + _TAIL),
    ("npm-token", ("npm_",), r"npm_[A-Za-z0-9]{36}" + _TAIL),
    ("pypi-token", ("pypi-",), r"pypi-[A-Za-z0-9_\-]{50,512}"),
    ("digitalocean-token", ("_v1_",), r"do[opr]_v1_[0-9a-f]{64}" + _TAIL),
    ("databricks-token", ("dapi",), r"dapi[0-9a-f]{32}" + _TAIL),
    ("telegram-token", (":AA",), r"\d{8,10}:AA[A-Za-z0-9_\-]{32,34}" + _TAIL),
    ("discord-token", (".",), r"[MNO][A-Za-z\d_\-]{23,25}\.[A-Za-z\d_\-]{6}\.[A-Za-z\d_\-]{27,38}" + _TAIL),
    ("mailchimp-key", ("-us",), r"[0-9a-f]{32}-us\d{1,2}" + _TAIL),
    ("square-key", ("sq0",), r"sq0(?:csp|atp|idp)-[0-9A-Za-z_\-]{22,43}" + _TAIL),
    ("artifactory-key", ("AKC",), r"AKC[a-zA-Z0-9]{40,255}"),
    ("azure-key", ("AccountKey=",), r"AccountKey=[A-Za-z0-9+/]{86}=="),
    ("age-key", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[0-9A-Z]{58}" + _TAIL),
    ("jwt", (".eyJ",), r"eyJ[A-Za-z0-9_\-]{8,2048}\.eyJ[A-Za-z0-9_\-]{8,4096}\.[A-Za-z0-9_\-]{8,1024}"),
)
SHAPES = tuple((name, hints, re.compile("(?<![A-Za-z0-9])" + shape)) for name, hints, shape in _TABLE)
KEY_HEAD = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
PUTTY = re.compile(r"PuTTY-User-Key-File-\d:(?s:.{0,16384}?)(?:\nPrivate-(?:MAC|Hash): \w+|\Z)")
KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,60}-----")
_WORDS = (
    r"passw(?:or)?d|passphrase|pwd|secret|token|api_?key|access_?key|auth_?key|private_?key|signing_?key|"
    r"encryption_?key|client_?key|credential|bearer"
)
# name = "value", name: "value", "name": "value", name => "value"
QUOTED = re.compile(
    rf"(?i)(?:{_WORDS})[a-z0-9_\-]{{0,24}}[\"']?\]?\s{{0,4}}(?::\s*str\s*)?(?:=>|:=|==|=|:|,)\s{{0,4}}[rbu]{{0,2}}[\"']"
    r"(?P<value>[^\"'\s]{12,512})[\"']"
)
# NAME=value or name: value on a line of its own, as in an environment file or YAML. Three digits at least: else the
# names of types in annotations would count.
BARE = re.compile(
    rf"(?im)^[^\S\n]{{0,80}}(?:export[^\S\n]{{1,8}})?[\w.\-]{{0,40}}(?:{_WORDS})[\w.\-]{{0,24}}(?:=|:\s)"
    r"(?P<value>(?=(?:[^\d\n]{0,512}\d){3})[^\s\"'()\[\]{},;]{16,512})[^\S\n]{0,80}$"
)
BEARER = re.compile(r"(?i)\bbearer\s+(?P<value>[a-z0-9._\-+/=]{20,512})")
IN_URL = re.compile(r"\b[a-z][a-z0-9+.\-]{1,20}://(?P<user>[^\s/:@'\"]{0,100}):(?P<value>[^\s/:@'\"{}$<>%]{3,100})@")
HARMLESS = re.compile(
    r"(?i)example|change.?me|your[-_ ]|x{4}|\*{3}|<|\$\{|\{\{|\bnone\b|null|d[u]mmy|fake|sample|redacted|insert|"
    r"os\.environ|getenv|test[-_]|[-_]test|not[-_ ]?a|abcdef|123456"
)
LEAST_ENTROPY = 3.5  # bits a character; English words in camel case stay below it at these lengths
LEAST_LENGTH = 16
MOST_ROUNDS = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret's place in a text. The secret itself is never copied."""

    rule: str
    start: int
    end: int


def entropy(text: str) -> float:
    """Shannon entropy in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def _telling(value: str) -> bool:
    """Whether a value beside a keyword looks made by a machine."""
    if len(value) < LEAST_LENGTH or HARMLESS.search(value):
        return False
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value) and entropy(value) >= LEAST_ENTROPY


def _private_keys(text: str) -> Iterator[Finding]:
    """Key blocks, to their end line where there is one."""
    ends = [m.end() for m in KEY_END.finditer(text)] if "PRIVATE KEY" in text else []
    for head in KEY_HEAD.finditer(text) if "PRIVATE KEY" in text else ():
        after = bisect.bisect(ends, head.end())
        yield Finding("private-key", head.start(), ends[after] if after < len(ends) else head.end())
    for key in PUTTY.finditer(text) if "PuTTY-User-Key" in text else ():
        yield Finding("private-key", key.start(), key.end())


def findings(text: str) -> tuple[Finding, ...]:
    """Every secret in ``text``, by place; overlapping finds are one, named by the first shape in the table."""
    found = list(_private_keys(text))
    for name, hints, shape in SHAPES:
        if any(hint in text for hint in hints):
            found += [Finding(name, m.start(), m.end()) for m in shape.finditer(text)]
    for rule, shape in (("keyword", QUOTED), ("keyword", BARE), ("bearer", BEARER)):
        found += [
            Finding(rule, m.start("value"), m.end("value")) for m in shape.finditer(text) if _telling(m.group("value"))
        ]
    for m in IN_URL.finditer(text):
        value = m.group("value")
        if value != m.group("user") and not HARMLESS.search(value) and not re.fullmatch(rf"(?i){_WORDS}", value):
            found.append(Finding("url-password", m.start("value"), m.end("value")))
    merged: list[Finding] = []
    for item in sorted(found, key=lambda f: (f.start, -f.end)):
        if merged and item.start < merged[-1].end:
            merged[-1] = Finding(merged[-1].rule, merged[-1].start, max(merged[-1].end, item.end))
        else:
            merged.append(item)
    return tuple(merged)


def redact(text: str) -> str:
    """``text`` with every secret replaced by ``[redacted:<rule>]``. Doing it again changes nothing."""
    for _ in range(MOST_ROUNDS):  # a key that was glued to another one has a boundary only when that one is gone
        found = findings(text)
        if not found:
            break
        out, at = [], 0
        for item in found:
            out += [text[at : item.start], f"[redacted:{item.rule}]"]
            at = item.end
        text = "".join([*out, text[at:]])
    return text
