"""Changes to the owner's repository: apply, roll back, commit, undo, and recovery after a crash.

No other part of Ouroboros writes to the owner's files, branches or index.
"""
