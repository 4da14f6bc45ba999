"""The owner's tests, run by the owner's interpreter, in a sandbox, on an isolated copy: what they say is believed only
when the report is whole."""

from tools.testing.environment import TestEnvironment, detect
from tools.testing.localise import Suspicion, rank
from tools.testing.runner import TestRunner
from tools.testing.scope import affected
from tools.testing.settings import TestSettings

__all__ = ["Suspicion", "TestEnvironment", "TestRunner", "TestSettings", "affected", "detect", "rank"]
