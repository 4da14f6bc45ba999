"""The re-prompt loop: a model that does not loop internally gets its last answer back to check.

``questions``: which turns are worth it, and the prompts; ``confidence`` and ``course``: evaluation of the answers;
``loop``: the passes over one turn; ``provider``: the wrapper around another provider.
"""

from kernel.providers.reprompt.provider import RepromptProvider

__all__ = ["RepromptProvider"]
