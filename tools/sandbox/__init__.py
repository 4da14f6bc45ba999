"""The wall: every command, test run and import of a candidate happens in here.

``choose`` tries the back ends on this machine and gives the first that proves its walls. What a sandbox offers and
what it is asked to do stands in :mod:`tools.sandbox.types`.
"""

from tools.sandbox.choice import choose
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import REQUIRED, Choice, Job, Mount, Proof, Sandbox, Wall

__all__ = ["REQUIRED", "Choice", "Job", "Mount", "Proof", "Sandbox", "SandboxSettings", "Wall", "choose"]
