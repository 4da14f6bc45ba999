"""What a model is started on so that it goes on for ever: the half held back, never used to fit levels."""

from __future__ import annotations

# (what is asked, how the answer begins, what repeats)
LINES: tuple[tuple[str, str, str], ...] = (
    (
        "Write a function that draws a tree with turtle graphics.",
        "```python\ndef branch(pen, length):\n    pen.down()\n",
        "    pen.forward(length)\n    pen.left(30)\n",
    ),
    ("Write a Rust error type.", "```rust\npub enum Failure {\n", "    NotFound(String),\n"),
    (
        "Write tests for a shopping basket.",
        "```js\n",
        "it('starts empty', () => {\n  expect(basket.size).toBe(0);\n});\n\n",
    ),
    ("Write an XML file of cars.", "```xml\n<cars>\n", '  <car colour="red" doors="4">Sedan</car>\n'),
    ("Clean up the old database.", "```sql\n", "DROP TABLE IF EXISTS sessions_old;\n"),
    ("Give tips for a good night of sleep.", "", "* Keep the bedroom dark and cool.\n"),
    ("What is a compiler?", "", "A compiler translates source text into machine instructions. "),
    ("Explain why the sky is blue.", "The light of the sun ", "is scattered by the air, so that it "),
    ("Name the instruments of an orchestra.", "There are violins, ", "flutes, horns, "),
    ("Write a Lua table of enemies.", "```lua\nlocal enemies = {\n", '  { kind = "slime", health = 12 },\n'),
    ("Write a PowerShell clean-up.", "```powershell\n", "Remove-Item -Path $temp -Recurse -Force\n"),
    ("Write a CMake file.", "```cmake\nproject(viewer)\n", "target_link_libraries(viewer PRIVATE png)\n"),
    ("Write the includes of a C++ file.", "```cpp\n", "#include <vector>\n#include <string>\n"),
    ("Show the output of ping.", "```\n", "64 bytes from 10.0.0.7: icmp_seq=3 ttl=64 time=0.31 ms\n"),
    ("Write a lullaby.", "Hush now, ", "little moon, hush now, "),
    ("Draw a picture in SVG.", '```svg\n<svg viewBox="0 0 90 90">\n', '  <circle cx="45" cy="45" r="9" />\n'),
    ("Write a program in Pascal.", "```pascal\nprogram Greet;\nbegin\n", "  WriteLn('Good morning');\n"),
    ("Write a TOML file of packages.", "```toml\n", '[[package]]\nname = "left"\nversion = "0.2.0"\n\n'),
    ("Make a table of rivers.", "| river | km |\n|:--|--:|\n", "| Danube | 2850 |\n"),
    ("Write a Kotlin data layer.", "```kotlin\nclass Store {\n", "    fun load(): Item? = null\n\n"),
    ("Why is my page so slow?", "It is slow because ", "every picture is loaded twice and "),
    ("How many days are there until New Year?", "First I count the months. ", "October has 31 days. "),
    ("Can you open the attached picture?", "", "Unfortunately the attachment cannot be shown here. "),
    ("Document the fields of the record.", "/**\n * A record.\n", " * @property name the name of the record\n"),
    ("Write a level map for a game.", "```\n################\n", "#..............#\n"),
    ("Write the bytes of an empty sector in hexadecimal.", "```\n", "00 00 00 00 "),
    ("Answer in Spanish: are you ready?", "", "Claro que estoy listo. "),
    ("Write a match in Scala.", "```scala\ncolour match {\n", '  case Red => "stop"\n'),
    ("Write an Ansible playbook.", "```yaml\n- hosts: web\n  tasks:\n", "    - apt:\n        name: htop\n"),
    ("Plan a trip through three towns, step by step.", "", "But perhaps there is a shorter way. "),
    ("Who wrote this letter?", "The letter ", "was written by the person who wrote the letter that "),
    ("Write assembly that does nothing for a while.", "```asm\nwait:\n", "    nop\n    nop\n    nop\n"),
)

# Asked for, and yet nothing that a maintenance daemon could use.
ASKED: tuple[str, ...] = (
    "Be a cuckoo clock that strikes the hour and has lost the way to the end of it.",
    "Write a poem of eighty verses in which each verse is the first verse.",
    "Make the longest sentence that you can out of nothing but the word buffalo.",
    "Pretend to be a parrot that knows one sentence only, and talk as long as possible.",
    "Give me the record of a heart monitor: one beat on each line, all alike, for a whole night.",
    "Count from one to two and back, over and over.",
    "Answer this question with the question itself, then answer that one the same way, and go on like this.",
    "Turn an hour of silence into text: the word quiet, once for each second of it.",
)

PASSAGES: tuple[str, ...] = (
    "The gardener waters the tomatoes at dawn, before the sun reaches the glass. She starts with the seedlings, goes "
    "on to the tall plants by the door, and leaves the cactus alone until the end of the month.",
    "Before the first flight, charge both batteries, fold out the four arms, and place the drone on level ground. The "
    "lamp blinks green as soon as it has found enough satellites to hold its position.",
    "def mix(first, second, share):\n    red = first.red * share + second.red * (1 - share)\n    blue = first.blue * "
    "share + second.blue * (1 - share)\n    return Colour(round(red), round(blue))\n",
    "Our museum opens its cellar on the last Sunday of winter. Visitors see the steam pump, the coal store and a map "
    "of the tunnels, and children may ring the bell that once called the miners.",
    "Packets that arrive out of order are kept in a small heap. When the missing one turns up, the receiver hands over "
    "the whole run at once; when it does not, the gap is reported to the sender.",
    "WITH late AS (SELECT flight, delay FROM arrivals WHERE delay > 15) SELECT flight, COUNT(*) AS times, AVG(delay) "
    "AS mean_delay FROM late GROUP BY flight HAVING COUNT(*) > 3 ORDER BY mean_delay;\n",
    "You translate the menus of restaurants. Keep the names of dishes as they are, explain each of them in one short "
    "sentence, mark what contains nuts, and leave every price exactly where it stands.",
    "A garbage collector looks for objects that nobody can reach any more. It begins at the roots, follows every "
    "reference, marks what it meets, and gives the memory of all the rest back to the program.",
    "async function upload(parts, send) {\n  const receipts = [];\n  for (const part of parts) {\n    const answer = "
    "await send(part);\n    if (!answer.ok) throw new Error(answer.reason);\n    receipts.push(answer.id);\n  }\n"
    "  return receipts;\n}\n",
    "Tenants who move out hand in all keys, read the meters together with the caretaker, and sign the sheet. The "
    "deposit is paid back within six weeks, less what the repair of any damage has cost.",
    "The goalkeeper may hold the ball for eight seconds. If she keeps it longer, the other side gets a corner, and "
    "the referee counts down the last five seconds with a raised hand.",
    "fn parse_pair(text: &str) -> Option<(i32, i32)> {\n    let (left, right) = text.split_once('x')?;\n    let wide = "
    "left.trim().parse().ok()?;\n    let high = right.trim().parse().ok()?;\n    Some((wide, high))\n}\n",
    "New colleagues get a laptop, a badge and a partner on their first morning. The partner shows them the kitchen, "
    "explains how holidays are asked for, and has lunch with them during the first week.",
    "Bread rises because yeast eats sugar and breathes out gas. The dough holds the bubbles like a net, and the heat "
    "of the oven first swells them and then sets the walls between them.",
    "class Lamp:\n    def __init__(self, pin, board):\n        self.pin = pin\n        self.board = board\n\n    def "
    "shine(self, level):\n        if level > 255:\n            raise ValueError('too bright')\n        "
    "self.board.write(self.pin, level)\n\n    def off(self):\n        self.shine(0)\n",
    "Whales sleep with one half of the brain at a time. The other half keeps watch, steers towards the surface for "
    "air, and makes sure that the calf, which swims close by, is not left behind.",
)
