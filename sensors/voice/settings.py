"""Settings of spoken commands."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class VoiceCommandSettings(BaseModel):
    """What is spoken to the daemon."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        True,
        description="Take spoken commands that a speech program of the owner's hands over (`ouro hear`). On: without "
        "such a program it costs nothing, it approves nothing, and a goal without a test waits for the owner's yes.",
    )
    least_bp: int = Field(
        7_000, ge=0, le=10_000, description="Below this confidence (basis points) what changes something is asked back."
    )
    unstated_bp: int = Field(
        0, ge=0, le=10_000, description="Confidence that counts where the speech program states none."
    )
    repeat_s: float = Field(5.0, ge=0, description="The same words within this time are one command.")
