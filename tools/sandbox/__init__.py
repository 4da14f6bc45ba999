"""The sandbox in which every command, test run and import of a candidate happens.

``choice.choose`` tries the back ends on this machine and returns the first that proves its walls. Interface and jobs:
:mod:`tools.sandbox.types`.
"""
