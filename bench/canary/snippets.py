"""Small Python functions with a bug each: what an edit copies for most of its length, and rightly so."""

from __future__ import annotations

BROKEN: tuple[tuple[str, str], ...] = (
    (
        "the last page is missing.",
        '''def paginate(items, size):
    """Split items into pages of at most size items."""
    if size <= 0:
        raise ValueError("size must be positive")
    pages = []
    for start in range(0, len(items) - size, size):
        pages.append(items[start : start + size])
    return pages
''',
    ),
    (
        "it never finds the last element.",
        """def binary_search(values, wanted):
    low = 0
    high = len(values) - 1
    while low < high:
        middle = (low + high) // 2
        if values[middle] == wanted:
            return middle
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle - 1
    return -1
""",
    ),
    (
        "the discount is taken twice for members.",
        """def total(cart, member):
    amount = 0
    for item in cart:
        price = item["price"] * item["quantity"]
        if member:
            price = price * 0.9
        amount += price
    if member and amount > 100:
        amount = amount * 0.9
    return round(amount, 2)
""",
    ),
    (
        "an empty line crashes it.",
        """def parse_config(text):
    settings = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if line.startswith("#"):
            continue
        key, value = line.split("=", 1)
        if key in settings:
            raise ValueError(f"line {number}: {key} stands twice")
        settings[key.strip()] = value.strip()
    return settings
""",
    ),
    (
        "the cache grows without end.",
        """class Cache:
    def __init__(self, limit):
        self.limit = limit
        self.entries = {}

    def get(self, key, make):
        if key in self.entries:
            return self.entries[key]
        value = make(key)
        self.entries[key] = value
        return value

    def clear(self):
        self.entries.clear()
""",
    ),
    (
        "leap years are wrong.",
        """def days_in_month(year, month):
    if month in (1, 3, 5, 7, 8, 10, 12):
        return 31
    if month in (4, 6, 9, 11):
        return 30
    if month == 2:
        if year % 4 == 0:
            return 29
        return 28
    raise ValueError(f"no such month: {month}")
""",
    ),
    (
        "retries do not wait longer each time.",
        """def fetch(client, url, attempts=5, wait=0.5):
    for attempt in range(attempts):
        try:
            response = client.get(url, timeout=10)
            if response.status_code < 500:
                return response
        except ConnectionError:
            if attempt == attempts - 1:
                raise
        time.sleep(wait)
    raise RuntimeError(f"{url} did not answer after {attempts} attempts")
""",
    ),
    (
        "words at the end of a line are lost.",
        """def wrap(text, width):
    lines = []
    line = ""
    for word in text.split():
        if len(line) + len(word) + 1 > width:
            lines.append(line)
            line = ""
        else:
            line = line + " " + word if line else word
    if line:
        lines.append(line)
    return lines
""",
    ),
)
