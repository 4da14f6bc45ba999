"""Lines of the log, whoever writes them and however they look: without secrets."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from daemon.lifecycle.logs import LogSettings, RedactingFormatter
from tests.secret_corpus import corpus

SECRETS = corpus()


@pytest.fixture(params=["console", "json"])
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(RedactingFormatter(LogSettings(format=request.param)))
    root = logging.getLogger()
    root.addHandler(handler)
    yield written
    root.removeHandler(handler)


def test_no_secret_is_logged_as_a_message_an_argument_or_an_error(stream: io.StringIO) -> None:
    for secret in SECRETS:
        logging.getLogger("somebody").error("said %s", secret.text)
        try:
            raise ValueError(secret.text)
        except ValueError:
            logging.getLogger("somebody").exception("it failed")
    text = stream.getvalue()
    assert text.count("[redacted:") >= 2 * len(SECRETS) - 40
    assert [s.name for s in SECRETS if any(piece in text for piece in s.windows())] == []
