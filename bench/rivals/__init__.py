"""What a user would use instead, on the same tasks with the same local model: ``python -m bench.rivals TASKS --out FILE``.

Three rivals: a chat that is asked once to rewrite the function, mini-swe-agent, and aider, both from the package index
with their defaults. They talk to llama.cpp (the xllamacpp wheel, the same GGUF file that ours is made of) over HTTP.

What is done for them: the server is loaded before the clock starts; each is told which tests fail and what these say,
and, where it wants to know, the file or the function that our own localisation thinks the mistake is in; the tests'
interpreter is on the path. They see their task and nothing of the others or of its answer; the network stays open, their
model is there. What they leave is committed for them (files that they made beside it are left out), and judged as ours
is, with tests that they have not seen. `wrong` is a repair with which the failing tests that were shown pass and others
do not; where the shown ones still fail, nothing was resolved.
"""
