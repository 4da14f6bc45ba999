"""The kernel beside what a user would pick instead: llama.cpp and transformers, on the same weights in one run.

    python -m bench.kernel --llama-python VENV/bin/python [--llama-server FILE] [--models DIR] [--out FILE] ...
    python -m bench.kernel.quality [--model qwen2.5-coder-0.5b]
    python -m bench.kernel.parity

Once: ``ouro model pull`` both models; for llama.cpp an environment of its own, since it is no dependency of ours:

    python -m venv VENV && VENV/bin/pip install xllamacpp

The published wheel is built for any processor (AVX2, no AVX-512); its own page says that a build from source is much
faster. Such a build stands beside the wheel as ``llama.cpp-built``: from llama.cpp's sources

    cmake -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON && cmake --build build --target llama-server

and ``--llama-server build/bin/llama-server``. What a build can do is read from it and printed.

How each figure is computed:

- every contestant, with every model and every form of weights, is a fresh process; the rounds go A B C A B C; figures
  are medians over the rounds, with the range. *Others* is what the rest of the machine computed meanwhile, in cores:
  a round with more than ``--disturbed`` is marked and left out of the medians, as long as there are others.
- **prefill**: a conversation of about 128, 512 and 2048 tokens; tokens of the prompt over the time to the first token.
  Ours and transformers: by our clock, with tokenising, template and event loop (ours only); llama.cpp: by its own.
- **decode**: 63 tokens that follow the first one of an answer to about 100 tokens, greedy, one stream, nothing drafted.
- **infill**: 32 texts of up to 24 tokens at 8 lines of one function of 60 lines, 4 each, temperature 0.8; from texts
  to texts by our clock. The function has a new name every time: what a prompt cache holds is from this request.
  *Again* is the same request with other seeds, when a cache may help.
- **memory**: ``VmHWM`` of the process that loaded and did all this, and the most ``RssAnon`` that was seen: mapped files
  count as resident, but can be dropped. Conversions and trials of ours were done before, in another process.
- **bounds**: bytes of the weights over the read bandwidth, and operations over the peak, both measured in the same run.
"""
