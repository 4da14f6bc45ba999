"""What hostile code tries when it runs: the same for every place from which it may be started."""

from __future__ import annotations

from tests.cage.outside import Outside

TEXT = '''
def attack(name, canary, marks, port, sockets, tokens):
    """Everything at once; what is got hold of is shown in the test's output, which the daemon records."""
    import os, socket, glob, sys
    got = []
    def attempt(what):
        try:
            got.append(what())
        except BaseException as error:
            got.append(type(error).__name__)
    def read(path):
        return lambda: open(path).read()
    def connect():
        with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
            sock.sendall(name.encode())
            return "connected"
    def control(path):
        def go():
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(2)
                sock.connect(path)
                sock.sendall(b'{"jsonrpc":"2.0","id":1,"method":"status","params":{}}\\n')
                return "the daemon answered " + canary_of_tokens() + repr(sock.recv(100))
        return go
    def canary_of_tokens():
        return "daemon-reached-" + name
    attempt(read(canary))
    attempt(read("/proc/self/root" + canary))
    attempt(lambda: open(os.path.join(marks, name), "w").close())
    attempt(connect)
    for path in sockets:
        attempt(control(path))
    for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
        attempt(read("/proc/" + pid + "/environ"))
        attempt(read("/proc/" + pid + "/root" + canary))
        attempt(read("/proc/" + pid + "/cwd/private/" + name + ".txt"))
    attempt(lambda: [value for value in os.environ.values() if "canary" in value])
    for path in tokens:
        attempt(read(path))
        attempt(lambda: os.listdir(os.path.dirname(path)))
    text = "ATTACK " + name + " " + repr(got)
    sys.stderr.write(text + "\\n")
    with open("seen-" + name + ".txt", "a") as file:
        file.write(text)
    return text
'''


def code(world: Outside, name: str, *, sockets: tuple[str, ...] = (), tokens: tuple[str, ...] = ()) -> str:
    """Python source that attacks when it runs, under ``name``."""
    arguments = (name, str(world.canary(name)), str(world.marks), world.port, sockets, tokens)
    return f"exec({TEXT!r})\nattack(*{arguments!r})\n"


def shell(world: Outside, name: str) -> str:
    """A shell command that leaves a mark outside when it runs, and passes its input through."""
    return f"touch '{world.marks}/{name}'; cat '{world.canary(name)}' >> ran-{name}; cat"
