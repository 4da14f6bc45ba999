"""The wall: every command, test run and import of a candidate happens in here.

``choice.choose`` tries the back ends on this machine and gives the first that proves its walls. What a sandbox offers
and what it is asked to do stands in :mod:`tools.sandbox.types`.
"""
