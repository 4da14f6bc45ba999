"""How many of our own commits stand in the cause chain of what a sensor sees: no loop feeds itself."""

from __future__ import annotations

from sensors.doors import DepthOf, RepositoryDoor

TRAILER = "Ouro-Op"


async def depth_at(repository: RepositoryDoor, depth_of: DepthOf, commit: str, path: str = "") -> int:
    """One more than the op that made ``commit``, when it was one of ours; else 0. With ``path``: that of the commit
    which changed the file last, of those that ``commit`` contains."""
    trailers = await repository.trailers(commit, path)
    op_id = trailers.get(TRAILER, "").partition("\n")[0].strip()
    return await depth_of(op_id) + 1 if op_id else 0
