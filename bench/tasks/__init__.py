"""Our own repair tasks: faults planted in packages that are fetched when the tasks are built.

    python -m bench.tasks build FOLDER            the tasks of both halves, for `ouro bench repair FOLDER/open`
    python -m bench.tasks choose FOLDER HALF      draw a half anew (an hour; only when `packages.toml` changes)

What is drawn stands in ``open.toml`` and ``held.toml``: which text becomes which, and which test functions the repairer
does not see. Needs a package index. Code of the packages is run without walls: it is what anybody runs who installs them.
"""
