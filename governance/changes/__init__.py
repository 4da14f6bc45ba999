"""Changing the owner's repository: apply, roll back, commit, undo, and recovery after a crash.

Nothing else in Ouroboros writes to the owner's files, branches or index.
"""
