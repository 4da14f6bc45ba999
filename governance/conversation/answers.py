"""Parsing a model's answer: JSON objects inside prose. Pure."""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


def json_objects(text: str) -> list[str]:
    """Every balanced top-level ``{...}`` in ``text`` that is valid JSON, in order."""
    found, decoder, at = [], json.JSONDecoder(), 0
    while (start := text.find("{", at)) >= 0:
        try:
            _, end = decoder.raw_decode(text, start)
        except ValueError:
            at = start + 1
            continue
        except RecursionError:  # nested too deeply, and so is every object inside it
            break
        found.append(text[start:end])
        at = end
    return found


def parse_answer(text: str, model: type[M]) -> tuple[M | None, str]:
    """The last object in ``text`` that fits ``model``; else None and why the first object did not."""
    problem = "there is no JSON object in the answer"
    for candidate in reversed(json_objects(text)):
        try:
            return model.model_validate_json(candidate), ""
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None, problem
