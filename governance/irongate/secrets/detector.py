"""The detector of another project (detect-secrets) beside our own shapes: its shapes follow the providers.

The plugins that know a shape are used. Not used are its entropy tests, its keywords and its addresses, which
fire on almost every line, and nothing is ever verified over the network. It is loaded with the first line that holds a
hint of a key, and looks at a bounded number of such lines, from both ends of a text.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from governance.irongate.secrets.values import find_occurrences, is_telling, lower_ascii

if TYPE_CHECKING:
    from detect_secrets.plugins.base import RegexBasedDetector

MOST_LINES = 400
LONGEST_LINE = 1_000
STEP = LONGEST_LINE // 4  # of a longer line every so many characters begin a piece that is looked at

# module and class of a plugin, and what a line (in small letters) must contain for it to be used
PLUGINS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("artifactory", "ArtifactoryDetector", ("akc",)),
    ("aws", "AWSKeyDetector", ("akia", "asia", "abia", "acca", "a3t", "aws_", "aws-")),
    ("azure_storage_key", "AzureStorageKeyDetector", ("accountkey=",)),
    ("cloudant", "CloudantDetector", ("cloudant", "cl_")),
    ("discord", "DiscordBotTokenDetector", ("discord",)),
    ("github_token", "GitHubTokenDetector", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    (
        "gitlab_token",
        "GitLabTokenDetector",
        ("glpat", "gldt", "glft", "glsoat", "glrt", "glcbt", "gr1348941", "glimt", "glptt", "glagent", "gloas-"),
    ),
    ("ibm_cloud_iam", "IbmCloudIamDetector", ("ibm",)),
    ("ibm_cos_hmac", "IbmCosHmacDetector", ("secret_access_key", "secret-access-key", "cos_", "cos-")),
    ("mailchimp", "MailchimpDetector", ("-us",)),
    ("openai", "OpenAIDetector", ("t3blbkfj",)),
    ("pypi_token", "PypiTokenDetector", ("pypi-age",)),
    ("sendgrid", "SendGridDetector", ("sg.",)),
    ("slack", "SlackDetector", ("xox", "hooks.slack")),
    ("softlayer", "SoftlayerDetector", ("softlayer", "sl_")),
    ("square_oauth", "SquareOAuthDetector", ("sq0csp",)),
    ("stripe", "StripeDetector", ("k_live_",)),
    ("telegram_token", "TelegramBotTokenDetector", ("telegram",)),
    ("twilio", "TwilioKeyDetector", ("twilio",)),
)
_HINTS = sorted({hint for _, _, hints in PLUGINS for hint in hints})
_LINE = re.compile(rf"[^\n]{{1,{LONGEST_LINE}}}")


@cache
def load(module: str, name: str) -> RegexBasedDetector:
    """A plugin. The first call takes a quarter of a second."""
    found: RegexBasedDetector = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)()
    return found


def run_detector(text: str, lower: str) -> Iterator[tuple[int, int]]:
    """Places of what the plugins find in lines that hold a hint."""
    for start, line in _hinted(text, lower):
        hinted = lower_ascii(line)
        for module, name, hints in PLUGINS:
            if any(hint in hinted for hint in hints):
                for value in load(module, name).analyze_string(line):
                    at = line.find(value) if is_telling(value) else -1
                    if at >= 0:
                        yield start + at, start + at + len(value)


def _hinted(text: str, lower: str) -> list[tuple[int, str]]:
    """Lines with a hint and where they begin, at most :data:`MOST_LINES` from each end."""
    found: dict[int, str] = {}
    spots = find_occurrences(lower, _HINTS)
    for at in spots if len(spots) <= 2 * MOST_LINES else spots[:MOST_LINES] + spots[-MOST_LINES:]:
        begin = text.rfind("\n", 0, at) + 1
        begin += max(0, (at - begin) // STEP - 1) * STEP
        line = _LINE.match(text, begin)
        if line is not None:
            found[begin] = line[0]
    return list(found.items())
