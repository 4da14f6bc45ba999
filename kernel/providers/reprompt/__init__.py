"""The re-prompt loop: a model that does not loop by itself is asked again, with its last answer to check.

``goals`` says which questions are worth it, ``words`` is what is said, ``confidence`` and ``course`` judge the answers,
``provider`` is the loop itself. Everything but the last is pure.
"""

from kernel.providers.reprompt.provider import Reprompted

__all__ = ["Reprompted"]
