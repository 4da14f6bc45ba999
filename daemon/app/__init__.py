"""The composition root: every part of a boot is built here, in frozen stages, each by one function.

``core`` has what is cheap: ledger, settings, git, router, inbox. Nothing in it starts a process, and the control socket
answers with it. ``runtime`` has what is slow to load or to find: sandbox, test environment, all phases and gates. Where
tests cannot be run, the runtime has the reason; looking again builds another runtime from the same core, and the life
cycle replaces the old one. ``sensing`` has the sensors, which stay when the runtime is replaced.
"""
