"""What was typed that no request can hold, as a sentence. Nothing heavy is imported before it is needed."""

from __future__ import annotations

from ledger.errors import ControlError, OuroError


def slip_of(error: ValueError) -> OuroError | None:
    """What to say when something was typed that no request can hold; None for any other error."""
    from pydantic import ValidationError

    if not (isinstance(error, ValidationError) and error.title.endswith(("Request", "Ref", "Utterance"))):
        return None
    first = error.errors(include_url=False, include_context=False)[0]
    name = " ".join(str(part).replace("_", "-") for part in first["loc"]) or "that"
    told = first["msg"].removeprefix("Value error, ").replace("String should", "it should")
    typed = first["input"] if len(str(first["input"])) <= 40 else f"{str(first['input'])[:37]}..."
    return ControlError(f"{name} cannot be {typed!r}: {told}.", remedy="The command's --help shows an example.")
