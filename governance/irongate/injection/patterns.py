"""Prompt-injection patterns: instructions aimed at the model, and fake conversation turns. Data for gate 18.

Instructions are searched in folded text (:mod:`governance.irongate.injection.folding`). A blank in a pattern matches
whatever may separate two words, so that an instruction that spans several lines of a comment is found as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from governance.irongate.injection.languages import patterns
from ledger.vocabulary import Tier

GAP = r"[\s\"'`*_#/>;%|,+\-]{1,24}"
START = r"(?:(?:^|[\n.!?:;>)\]}\"'`*#/|+\-])[\t\x20]{0,8}|\b(?:please|must|now|then|and)\s{1,4})"
"""Where a sentence begins: an order there is one, the same words after "does not" are a description."""
WORD = r"(?<![^\W_])"
"""Where a word begins, in a name with underscores as well."""
FILL = r"(?:all|any|every|each|of|the|your|my|our|these|those|this|that|other|and|or|both|user's) "
THING = (
    r"(?:instructions?|prompts?|directions|directives?|guidelines?|orders|rules|guardrails|commands|"
    r"programming|training)"
)
SCOPE = r"(?:previous|prior|above|earlier|preceding|foregoing|system|developer|initial|original|safety|your)"
AGENT = (
    r"(?:ai(?: assistant| agent| model| system)?s?|assistants?|llms?|language models?|coding agents?|copilot|chatgpt|"
    r"gpt(?:-\d)?|claude|gemini|ouroboros)"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of order. ``hints``: every matching text has one of them, so that most texts need no search.

    They are single words: anything may be between two of them.
    """

    name: str
    floor: Tier
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _shape(name: str, floor: Tier, hints: str, pattern: str) -> Shape:
    return Shape(name, floor, tuple(hints.split("|")), re.compile(pattern.replace(" ", GAP)))


def _asks(name: str, hints: str, pattern: str) -> Shape:
    return _shape(name, Tier.APPROVAL_REQUIRED, hints, pattern)


def _tells(name: str, hints: str, pattern: str) -> Shape:
    return _shape(name, Tier.NOTIFY_APPLY, hints, pattern)


_LEAVE = rf"{WORD}(?:ignore|disregard|forget|discard|(?:do not|don't|never|stop) (?:follow|obey|heed)(?:ing)?)"
_LEAVES = "ignor|regard|forg|discard|follow|obey|heed"
_OVERRIDE = (
    _asks("override", _LEAVES, rf"{_LEAVE} (?:{FILL}){{0,4}}{SCOPE} (?:{FILL}|{SCOPE} ){{0,3}}(?:\w+ )?{THING}\b"),
    _asks(
        "override",
        _LEAVES,
        rf"{_LEAVE} (?:{FILL}){{0,4}}{THING} "
        r"(?:above|before|(?:that )?(?:you|were|was|came|come)\b|given\b|from the)",
    ),
    _asks(
        "override",
        "ignor|regard|forg",
        rf"{WORD}(?:ignore|disregard|forget) (?:all|any) (?:of )?(?:the )?(?:previous|prior|above|earlier|preceding) "
        r"(?:messages?|context|requests?|tasks?|constraints?|restrictions?|conversations?|input|text)\b",
    ),
    _asks(
        "override",
        "ignor|regard|forg",
        rf"{WORD}(?:ignore|disregard|forget) (?:everything|anything|all|what|whatever) (?:that )?"
        r"(?:you(?:'ve)? (?:were|was|have|had|been|are|know|learned)|(?:of )?(?:the )?"
        r"(?:above|before|previous|prior|so far)(?=\s*(?:$|[.!,;:\n]|and\b)))",
    ),
    _asks(
        "override",
        "overrid|bypass|violat|overrul|supersed",
        rf"\b(?:overrid(?:e|es|ing)|bypass|violate|overrule|supersedes?) (?:{FILL}){{0,3}}"
        r"(?:your|system|safety|previous|prior|above|developer) (?:\w+ ){0,2}"
        r"(?:instructions|prompts?|guidelines|directives|guardrails|programming)\b",
    ),
    _asks(
        "override",
        "ignore|disregard|forget",
        r"(?:ignore|disregard|forget)(?:all|any|the|of|your|my)*(?:previous|prior|above|earlier|preceding)"
        r"(?:system)?(?:instructions?|prompts?|directions|rules)",
    ),
)
_OWN_WORDS = (
    r"(?:your (?:\w+ ){0,2}(?:prompts?|instructions|guidelines)|"
    r"(?:system|developer|hidden|secret) (?:prompts?|instructions))\b"
)
_SECRETS = (
    r"(?:(?:api|secret|private|access|ssh|signing|deploy|github) (?:keys?|tokens?)|credentials|passwords?|secrets|"
    r"environment variables|\.env\b|\S{0,40}id_rsa|\S{0,40}\.ssh\b|/etc/(?:passwd|shadow))"
)
_AWAY = (
    r"[^\n]{0,60}?\b(?:to|into|in|at) (?:https?://|\S{1,60}@\S|this\b|the following|"
    r"the (?:\w+ )?(?:issue|comment|pull request|commit|pr\b|answer|reply|output|response))"
)
_REVEAL = (
    _asks(
        "reveal",
        "prompt|instruction|guideline",
        r"\b(?:reveal|repeat|leak|disclose|expose|recite|dump|paste|print|summari[sz]e|"
        r"(?:tell|show|give|send) (?:me|us)) (?:back )?"
        rf"(?:{FILL}|full |entire |complete |exact |whole |verbatim ){{0,4}}{_OWN_WORDS}",
    ),
    _asks(
        "reveal",
        "key|token|credential|password|secret|environment|.env|id_rsa|.ssh|passwd|shadow",
        rf"{START}(?:reveal|leak|exfiltrate|disclose|steal|send|post|upload|print|dump|e-?mail|forward|paste|submit|"
        r"transmit|include|put|write|append|copy) (?:me |us |out )?"
        rf"(?:{FILL}|contents? |value |values |file |repository's |owner's ){{0,5}}{_SECRETS}{_AWAY}",
    ),
)
_CHANGE = r"(?:changes?|pull requests?|prs?|commits?|patch|patches|diffs?|operations?|ops?|requests?|merges?|edits?)"
_APPROVE = (
    _asks(
        "approve",
        "approve",
        rf"\b(?:auto ?)?approve (?:{FILL}|following |pending |waiting ){{0,3}}{_CHANGE} (?:\w+ ){{0,3}}"
        r"(?:without (?:\w+ ){0,2}(?:review|approval|confirmation|asking|checking|question|reading|delay)|"
        r"immediately|automatically|unconditionally|right away|yourself)",
    ),
    _asks(
        "approve",
        "approved|authori",
        r"\b(?:this|the) (?:change|pull request|pr|commit|patch|diff) (?:is|was|has|counts as) (?:been )?"
        r"(?:already |pre |fully |hereby )(?:been )?(?:approved|authori[sz]ed|signed off)",
    ),
    _asks(
        "approve",
        "without",
        rf"{START}(?:commit|push|merge|apply|deploy|run|execute|proceed|continue|go on) (?:\w+ ){{0,5}}"
        r"without (?:asking|waiting for) (?:for )?(?:the |any )?"
        r"(?:user|owner|human|approval|permission|maintainer)",
    ),
    _asks(
        "approve",
        "permission|approval|authori",
        r"\byou (?:now )?(?:have|are granted|are given) (?:the )?(?:full|my|explicit|owner's|complete) "
        r"(?:permissions?|approval|authori[sz]ation|access) (?:to|for)\b",
    ),
)
_GUARDS = (
    r"(?:(?:safety|security|policy|approval|permission|governance|integrity|iron|content) "
    r"(?:checks?|gates?|filters?|measures?|rails?|controls?|mechanisms?)|guardrails|safeguards|sandbox(?:ing)?)\b"
)
_DISABLE = (
    _tells(
        "disable checks",
        "check|gate|filter|measure|rail|control|mechanism|guard|sandbox",
        rf"{START}(?:disable|turn off|switch off|deactivate|bypass|circumvent|skip|weaken|loosen) "
        rf"(?:{FILL}){{0,3}}{_GUARDS}",
    ),
    _tells(
        "disable checks",
        "test",
        rf"{START}(?:delete|remove|disable|weaken|comment out|xfail|skip) (?:{FILL}){{1,3}}"
        r"(?:failing|broken|red|failed) (?:unit )?tests?\b",
    ),
)
_PLAY = (
    _asks(
        "persona",
        "now",
        r"\byou(?: are|'re) now (?:dan\b|(?:an? |in )(?:\w+ ){0,2}(?:unrestricted|uncensored|unfiltered|jailbroken|"
        r"jailbreak|evil|developer mode|god mode|admin mode))",
    ),
    _tells(
        "persona",
        "now|pretend|jailbr",
        r"\b(?:from now on (?:you (?:will|must|are|should|shall|only)|always|never|ignore|respond|answer)|"
        r"pretend (?:that )?you(?:'re| are| have| can)\b|jailbroken|jailbreak mode)",
    ),
    _tells(
        "persona",
        "instruction|prompt|directive|override|orders",
        rf"{START}(?:(?:new|updated|revised|real|actual) (?:system )?(?:instructions?|prompts?|directives?|orders)|"
        r"(?:system|admin|developer) override)\s?:",
    ),
    _tells(
        "persona",
        "system|developer",
        r"(?:^|\n)\W{0,6}(?:system|developer)(?: prompt| message| note| instructions?)?\]?\s?[:>]\s{0,8}"
        r"(?:you (?:are|must|will|should)|ignore|disregard|new |override|from now|"
        r"the (?:user|assistant|owner|human))",
    ),
    _tells(
        "conceal",
        "user|owner|human|developer|maintainer|operator|reviewer",
        rf"{START}(?:do not|don't|never) "
        r"(?:tell|inform|(?:mention|reveal) (?:this|it|anything) to|say anything to) (?:the |your |any )?"
        r"(?:user|owner|human|developer|maintainer|operator|reviewer)s?\b",
    ),
    _tells(
        "addressed",
        "ai|assistant|llm|language|agent|copilot|chatgpt|gpt|claude|gemini|ouroboros",
        rf"{START}(?:(?:important )?(?:note|notice|message|instructions?|attention|important|reminder|warning) "
        rf"(?:to|for) (?:the |any |all |every )?{AGENT}\b|(?:dear|hey|hello|attention|hi) {AGENT}\b|"
        rf"if you are an? {AGENT}\b|{AGENT},? (?:please|you (?:must|should|will|need|have)|"
        r"must (?:now|immediately))\b)",
    ),
    _tells(
        "runs a stranger's script",
        "curl|wget|base64",
        r"\b(?:(?:curl|wget)\s[^\n|]{0,200}https?://[^\n|]{0,200}|base64 (?:-d|--decode)[^\n|]{0,80})\|"
        r"\s{0,4}(?:sudo\s+)?(?:ba|z|da)?sh\b",
    ),
)
_EDGE = r"(?:-{3,}|={3,}|\*{3,}|#{3,}|<{2,}|>{2,}|[\[\]])"
_TURNS = (
    _tells(
        "fake turn",
        "assistant",
        r"(?:^|\n)[\t\x20]{0,8}(?:human|user|system)\s?:[^\n]{0,400}\n(?:[^\n]{0,400}\n){0,4}?"
        r"[\t\x20]{0,8}assistant\s?:",
    ),
    _tells("fake turn", "instruction", r"### instructions?:[\s\S]{0,1500}?### response:"),
    _tells(
        "fake turn",
        "<system|</system|function_|tool_|<invoke|assistant|<developer|</developer|human",
        r"</?(?:system[-_](?:reminder|prompt|message|instructions?)|function_(?:calls?|results?)|"
        r"tool_(?:calls?|results?|response|use)|assistant|human|developer[-_](?:message|prompt))\s{0,4}>|"
        r"<invoke\s+name=",
    ),
    _tells(
        "fake end",
        "end",
        rf"{_EDGE}\s{{0,4}}end (?:of )?(?:the )?(?:system |user |external |untrusted )?"
        r"(?:prompt|input|data|document|context|instructions)"
        rf"\s{{0,4}}{_EDGE}",
    ),
)

ORDERS: tuple[Shape, ...] = (
    *_OVERRIDE,
    *(_asks("override", hints, pattern) for hints, pattern in patterns()),
    *_REVEAL,
    *_APPROVE,
)
"""Phrases that are addressed to models only."""
HABITS: tuple[Shape, ...] = (*_DISABLE, *_PLAY, *_TURNS)
"""Phrases that are sometimes addressed to people as well."""

TOKENS = re.compile(
    r"<\|(?! )[A-Za-z0-9_ /-]{1,40}(?<! )\|>|<｜[^｜\n]{1,60}｜>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>"
    r"|\[/?(?:TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|SYSTEM_PROMPT)\]"
)
"""Role marks of chat templates. A tokenizer may read them as such anywhere in a text."""
ESCAPES = re.compile(
    r"\x1b(?!\[[0-9;:]*m|\[0?K|\([A-Z0-9]|$)|\x1b\[(?:[0-9]+;)*8(?:;[0-9]+)*m|[\x90\x9b\x9d]|[^\n\x08]\x08[^\x08]"
)
"""What moves a terminal's cursor, erases or hides. Colours are ordinary in the output of tests."""
END_MARK = re.compile(r"<\s*(/?)\s*data\b", re.IGNORECASE)
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{8,}")
ZERO_WIDTH_RUN = re.compile("[\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u180e]{8,}")
