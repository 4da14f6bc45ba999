"""llama.cpp's server over HTTP: ``python child_server.py MODEL.gguf THREADS CONTEXT``. Needs xllamacpp and nothing else.

Prints its address, and lives until standard input ends.
"""

from __future__ import annotations

import sys

import xllamacpp


def main() -> None:
    path, threads, context = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.verbosity = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_parallel, params.n_ctx = 1, context
    params.use_jinja = True
    params.endpoint_metrics = True
    params.fit_params = False
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
