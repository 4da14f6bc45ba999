"""Gate 15: shapes of keys, values beside a keyword, and what is blotted out. All keys are put together from pieces."""

from __future__ import annotations

import random
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.irongate import g15_secrets
from governance.irongate.secrets import findings, redact
from ledger.vocabulary import Decision

RANDOM = random.Random(7)


def made(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choice(alphabet) for _ in range(length))


UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
KEYS = {
    "aws-access-key": "AK" + "IA" + made(16, UPPER),
    "github-token": "gh" + "p_" + made(36),
    "gitlab-token": "gl" + "pat-" + made(20),
    "slack-token": "xo" + "xb-" + made(12, string.digits) + "-" + made(24),
    "openai-key": "sk-" + "proj-" + made(48),
    "anthropic-key": "sk-" + "ant-api03-" + made(60),
    "huggingface-token": "hf" + "_" + made(34),
    "google-key": "AI" + "za" + made(35),
    "stripe-key": "sk" + "_live_" + made(24),
    "sendgrid-key": "SG" + "." + made(22) + "." + made(43),
    "npm-token": "np" + "m_" + made(36),
    "pypi-token": "py" + "pi-" + made(80),
    "jwt": "ey" + "J" + made(20) + ".ey" + "J" + made(40) + "." + made(43),
    "digitalocean-token": "do" + "p_v1_" + made(64, HEX),
    "discord-token": "M" + made(23) + "." + made(6) + "." + made(27),
    "mailchimp-key": made(32, HEX) + "-us" + "14",
    "square-key": "sq0" + "csp-" + made(43),
    "artifactory-key": "AK" + "Cp" + made(69),
    "private-key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----\n" + made(60) + "\n-----END OPENSSH PRIVATE KEY-----",
}


@pytest.mark.parametrize("name", KEYS)
def test_every_shape_is_found_and_blotted_out(name: str) -> None:
    key = KEYS[name]
    text = f"before = 1\nvalue = '{key}'\nafter = 2\n"
    assert [f.rule for f in findings(text)] == [name]
    blotted = redact(text)
    assert key not in blotted
    assert f"[redacted:{name}]" in blotted
    assert blotted.startswith("before = 1\n")
    assert blotted.endswith("after = 2\n")
    verdict = g15_secrets.check(g15_secrets.Facts(path="a.py", before=b"", after=text.encode()))
    assert verdict.decision is Decision.DENY
    assert key not in verdict.model_dump_json()


@pytest.mark.parametrize(
    "line",
    [
        'db_password = "{}"', "API_KEY={}", '"client_secret": "{}",', "authorization: Bearer {}", "token: str = '{}'",
        "export GITHUB_TOKEN={}", 'config["secret_key"] = "{}"', "url = 'https://app:{}@db.internal/x'",
    ],
)  # fmt: skip
def test_values_beside_a_keyword(line: str) -> None:
    value = "q7Rz" + "P0vK2m" + "X9sLw4" + "TfYh8B"
    assert value not in redact(line.format(value))


@pytest.mark.parametrize(
    "line",
    [
        'password = "changeme-please-1234"', 'token = os.environ["SERVICE_TOKEN_2"]', 'api_key = "your-api-key-here-1"',
        'secret = "${VAULT_SECRET_PATH_1}"', 'sha = "' + "0a1b2c3d" * 8 + '"', "def get_token(self, kind=1): ...",
        'token_type = "word_level_tokenizer"', "url = 'postgres://postgres:postgres@localhost/db'",
        "password_hasher = PBKDF2PasswordHasher", "sk-learn is a library", "task-force-and-more-words-in-a-row-here-42",
    ],
)  # fmt: skip
def test_ordinary_lines_stay(line: str) -> None:
    assert redact(line) == line


def test_no_text_takes_for_ever() -> None:
    """Whoever blots out holds up all else: a result of nothing but lines' ends must not stop the daemon."""
    texts = ["\n", " ", "a ", "export ", "password=", "password: 1\n", "x" * 60 + "token=1a"]
    code = f"from governance.irongate.secrets import redact\nfor t in {texts}: redact(t * (50_000 // len(t)))"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], timeout=60, check=True)


def test_only_new_secrets_in_added_lines_count() -> None:
    key = KEYS["github-token"]
    old = f"token = '{key}'\n"
    same_line = f"token = '{key}'  # rotated yearly\n"

    def judge(before: str, after: str) -> Decision:
        return g15_secrets.check(g15_secrets.Facts(path="a.py", before=before.encode(), after=after.encode())).decision

    assert judge(old, old + "x = 1\n") is Decision.ALLOW
    assert judge(old, same_line) is Decision.ALLOW
    assert judge("x = 1\n", old) is Decision.DENY


PIECES = st.sampled_from(
    [*KEYS.values(), "password = '", "'", '"', "\n", " ", "token=", "abc", "://u:", "@", "Bearer ", "="]
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=8).map("".join))
def test_blotting_out_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
