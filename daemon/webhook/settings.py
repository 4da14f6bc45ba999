"""Settings of the webhook endpoint: apart from it, because every command reads settings and few listen."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class WebhookSettings(Frozen):
    """``[webhook]``: who listens, whose signature counts, and how much a stranger may cost."""

    port: int = Field(0, ge=0, le=65_535, description="Port of the endpoint; 0: nobody listens.")
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; a tunnel or proxy brings the rest.")
    github_secrets: tuple[str, ...] = Field(
        (),
        max_length=4,
        description="Names of environment variables with the secrets of GitHub's webhooks: the one in use, and the one "
        "before while it is changed.",
    )
    standard_secrets: tuple[str, ...] = Field(
        (), max_length=4, description="The same for Standard Webhooks (`whsec_` and base64)."
    )
    window_s: int = Field(300, ge=1, le=3_600, description="A Standard Webhook may be this old, either way.")
    body_bytes: int = Field(1024 * 1024, ge=1_024, le=32 * 1024 * 1024, description="A longer body is refused.")
    connections: int = Field(
        32,
        ge=1,
        le=1_000,
        description="Connections at the same time; a further one ends the one that has idled longest.",
    )
    request_s: float = Field(10.0, gt=0, le=120, description="Seconds for a whole request; there is one a connection.")
