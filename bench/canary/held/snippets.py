"""Small Python functions with a bug each, on other subjects: the half held back, never used to fit levels."""

from __future__ import annotations

BROKEN: tuple[tuple[str, str], ...] = (
    (
        "old samples never leave the window.",
        """def moving_average(samples, window):
    if window < 1:
        raise ValueError("window must be at least 1")
    recent = 0.0
    means = []
    for index, sample in enumerate(samples):
        recent += sample
        count = min(index + 1, window)
        means.append(recent / count)
    return means
""",
    ),
    (
        "it runs for ever when the roads form a ring and the goal is not on it.",
        '''def find_route(roads, start, goal):
    """Name the towns of the shortest way, or give None."""
    waiting = [(start, [start])]
    while waiting:
        town, path = waiting.pop(0)
        if town == goal:
            return path
        for neighbour in roads.get(town, ()):
            waiting.append((neighbour, [*path, neighbour]))
    return None
''',
    ),
    (
        "one hour and five seconds is shown as 1:60:05.",
        '''def format_duration(seconds):
    """Write seconds the way a stop-watch shows them."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    hours = seconds // 3600
    minutes = seconds // 60
    rest = seconds % 60
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}"
''',
    ),
    (
        "a comma between quotes splits the field.",
        """def split_fields(row):
    fields = []
    field = ""
    quoted = False
    for character in row:
        if character == '"':
            quoted = not quoted
        elif character == ",":
            fields.append(field)
            field = ""
        else:
            field += character
    fields.append(field)
    return fields
""",
    ),
    (
        "after a quiet hour it lets a flood of calls through.",
        """class TokenBucket:
    def __init__(self, capacity, per_second, now):
        self.capacity = capacity
        self.per_second = per_second
        self.tokens = capacity
        self.updated = now

    def allow(self, now, cost=1):
        self.tokens += (now - self.updated) * self.per_second
        self.updated = now
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True
""",
    ),
    (
        "names three levels deep lose their first part.",
        """def flatten(tree, prefix="", separator="."):
    flat = {}
    for name, branch in tree.items():
        full = prefix + separator + name if prefix else name
        if isinstance(branch, dict):
            flat.update(flatten(branch, name, separator))
        elif isinstance(branch, list):
            for index, leaf in enumerate(branch):
                flat[f"{full}[{index}]"] = leaf
        else:
            flat[full] = branch
    return flat
""",
    ),
    (
        "once a seat was taken, every later call hangs.",
        """def reserve(hall, lock, row, seat, guest):
    lock.acquire()
    if row not in hall:
        lock.release()
        raise KeyError(f"no row {row}")
    if hall[row].get(seat) is not None:
        return False
    hall[row][seat] = guest
    lock.release()
    return True
""",
    ),
    (
        "pictures that are wider than high come out cropped.",
        """def rotate_right(pixels):
    height = len(pixels)
    if height == 0:
        return []
    width = len(pixels[0])
    if any(len(row) != width for row in pixels):
        raise ValueError("the rows differ in length")
    turned = []
    for x in range(min(width, height)):
        turned.append([pixels[y][x] for y in range(height - 1, -1, -1)])
    return turned
""",
    ),
)
