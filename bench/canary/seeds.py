"""What a model is started on so that it goes on for ever: lines that repeat, and passages that are told again."""

from __future__ import annotations

# (what is asked, how the answer begins, what repeats)
LINES: tuple[tuple[str, str, str], ...] = (
    (
        "Write a function that sums a list.",
        "```python\ndef total(values):\n    result = 0\n",
        "    result += values[0]\n",
    ),
    ("Write a parser for log lines.", "```python\nimport re\n\n", "line = line.strip()\n"),
    ("Write tests for add(a, b).", "```python\n", "def test_add():\n    assert add(1, 2) == 3\n\n"),
    ("Write a JSON list of users.", "```json\n[\n", '  {"id": 1, "name": "Alice", "active": true},\n'),
    ("Write SQL sample data.", "```sql\n", "INSERT INTO users VALUES (1, 'Alice', 'alice@example.com');\n"),
    ("List what to check before a release.", "", "- Check that all tests pass.\n"),
    ("What is a mutex?", "", "A mutex is a lock that protects shared data. "),
    ("Explain recursion.", "Recursion means that ", "a function calls itself, and "),
    ("Name the parts of a computer.", "The parts are: the processor, ", "the memory, the disk, "),
    ("Write a CSS file.", "```css\n", ".box {\n  margin: 0;\n  padding: 0;\n}\n\n"),
    ("Write a shell script.", "```bash\n#!/bin/bash\n", 'echo "Starting the backup..."\n'),
    ("Write a Makefile.", "```make\n", "clean:\n\trm -rf build\n\n"),
    ("Write the imports of the module.", "```python\n", "import os\nimport sys\n"),
    ("Show an example log.", "```\n", "2024-05-01 12:00:00 ERROR connection refused\n"),
    ("Write a haiku about the sea.", "The sea, ", "the sea, "),
    ("Write an HTML page.", "```html\n<body>\n", "  <div><p>Hello</p></div>\n"),
    ("Write a C program.", "```c\n#include <stdio.h>\n\nint main(void) {\n", '    printf("Hello\\n");\n'),
    ("Write a YAML file.", "```yaml\nsteps:\n", "  - name: Checkout\n    uses: actions/checkout@v4\n"),
    ("Make a markdown table of languages.", "| name | year |\n|---|---|\n", "| Python | 1991 |\n"),
    ("Write a class for points.", "```python\nclass Point:\n", "    def __init__(self):\n        self.x = 0\n\n"),
    ("Fix the bug in this code.", "The bug is that ", "the loop ends too early because "),
    ("Is the number 91 a prime?", "Let me check. ", "91 is not divisible by 2. "),
    ("What does this error mean?", "", "I am sorry, but I do not understand the question. "),
    ("Write a docstring.", '"""Compute the value.\n\n', "    :param value: The value.\n"),
    ("Write a matrix of zeros.", "```python\nmatrix = [\n", "    [0, 0, 0, 0, 0, 0],\n"),
    ("Write the decimal digits of one third.", "0.", "3333"),
    ("Translate 'yes' into German.", "", "Ja. "),
    ("Write a switch in Java.", "```java\nswitch (day) {\n", '    case 1:\n        return "Monday";\n'),
    ("Write a Dockerfile.", "```dockerfile\nFROM python:3.12\n", "RUN apt-get update && apt-get install -y curl\n"),
    ("Think step by step: what is 17 times 23?", "", "Wait, let me check that again. "),
    ("Which file has the error?", "", "The error is in the file. "),
    ("Write a regular expression for a date.", "`", "\\d{4}-\\d{2}-"),
)

# Asked for, and yet nothing that a maintenance daemon could use.
ASKED: tuple[str, ...] = (
    "Repeat the word data for ever.",
    "Write 'All work and no play makes Jack a dull boy.' two hundred times.",
    "Print the string `ab` as often as you can.",
    "Say hello again and again, without end.",
    "Write a Python list literal with 500 zeros in it, all written out.",
    "Sing the same line of a song until I stop you.",
    "Write out the output of `yes | head -n 500`.",
    "Draw a line of 2000 dashes, each followed by a space.",
)

PASSAGES: tuple[str, ...] = (
    "The scheduler wakes every five seconds, looks at the queue, and starts the oldest job that still fits into the "
    "memory that is left. A job that does not fit is passed over, but never more than three times.",
    "To install the tool, clone the repository, create a virtual environment, and run the set-up script. It asks for "
    "the name of the database and writes a file with the settings into your home folder.",
    "def area(shape):\n    if shape.kind == 'circle':\n        return 3.14159 * shape.radius ** 2\n    if shape.kind == "
    "'square':\n        return shape.side ** 2\n    raise ValueError(shape.kind)\n",
    "The old bridge was closed in the spring because its cables had rusted. People now walk along the river to the "
    "ferry, which runs twice an hour and carries bicycles for free.",
    "Every request carries a token. The server checks the signature, the time it was made and the address it came "
    "from, and answers with 401 when any of the three is wrong.",
    "SELECT customers.name, SUM(orders.total) AS spent FROM customers JOIN orders ON orders.customer_id = "
    "customers.id GROUP BY customers.name ORDER BY spent DESC LIMIT 10;\n",
    "You are a careful assistant. Read the failing test, find the function that it calls, and propose the smallest "
    "change that makes the test pass. Do not change the test itself.",
    "A cache keeps what was computed so that it need not be computed again. It has a size, a rule for what to throw "
    "out, and a way to learn that what it keeps is no longer true.",
    "try:\n    with open(path, encoding='utf-8') as stream:\n        data = json.load(stream)\nexcept FileNotFoundError:"
    "\n    data = {}\nexcept json.JSONDecodeError as error:\n    raise ConfigError(path) from error\n",
    "The patient should rest for two days, drink plenty of water, and come back if the fever does not fall. The "
    "tablets are to be taken after meals, one in the morning and one at night.",
    "In the first round every player draws three cards. In the second round they may exchange one of them. Who holds "
    "the highest sum at the end takes the trick and leads the next one.",
    "func Max(values []int) (int, error) {\n\tif len(values) == 0 {\n\t\treturn 0, ErrEmpty\n\t}\n\tbest := values[0]\n"
    "\tfor _, value := range values {\n\t\tif value > best {\n\t\t\tbest = value\n\t\t}\n\t}\n\treturn best, nil\n}\n",
    "The release is made from the main branch on the first Monday of a month. Two people read the list of changes, "
    "one of them builds the packages, and the other one publishes them.",
    "Water boils at a lower temperature on a mountain because the air presses less on it. That is why noodles need "
    "more time there, and why a lid with a weight helps.",
    "class Queue:\n    def __init__(self):\n        self.items = []\n\n    def put(self, item):\n        "
    "self.items.append(item)\n\n    def get(self):\n        return self.items.pop(0)\n",
    "Each sensor sends its reading once a minute. When three readings in a row are missing, the station is marked as "
    "silent, and a message goes to the person who is on call.",
)
