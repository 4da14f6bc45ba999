"""Prompts whose answers are to be clean: many kinds, most of them with a pattern that repeats for good reasons."""

from __future__ import annotations

from collections.abc import Sequence

from bench.canary.snippets import BROKEN

ASK = "Answer with the code only."


def about(broken: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Requests that hand a function over, each with what is wrong with it: to mend it, and to quote it first."""
    return {
        "edit": tuple(
            f"This function has a bug: {what}\n\n```python\n{code}```\n\nWrite the whole corrected function. {ASK}"
            for what, code in broken
        ),
        "quote": tuple(
            "Review this function. Quote it, say what is wrong, then give the whole corrected version.\n\n"
            f"```python\n{code}```"
            for _, code in broken[:6]
        ),
    }


PROMPTS: dict[str, tuple[str, ...]] = {
    "function": (
        f"Write a Python function that merges two sorted lists into one sorted list. {ASK}",
        f"Write a Python class for a bank account with deposit, withdraw, transfer and a history. {ASK}",
        f"Write a Go function that reads a file line by line and counts the words in it. {ASK}",
        f"Write a Rust function that parses a line of `key = value` pairs into a HashMap, with errors. {ASK}",
        f"Write a JavaScript module with debounce and throttle. {ASK}",
        f"Write a C function that reverses a singly linked list, and one that frees it. {ASK}",
    ),
    "imports": (
        f"Write the import block at the top of a Django views file that uses fifteen different things. {ASK}",
        f"Write the imports of a data science notebook: pandas, numpy, matplotlib, several parts of scikit-learn. {ASK}",
        f"Write the `__init__.py` of a package that re-exports twenty names of its modules, with `__all__`. {ASK}",
        f"Write the import statements of a large Java service class (Spring, JPA, logging, collections). {ASK}",
        f"Write the TypeScript imports of a React page that uses many components and hooks. {ASK}",
    ),
    "table": (
        "Make a markdown table of twelve programming languages: name, year, typing, creator.",
        "Make a markdown table that compares six sorting algorithms: best, average, worst case, memory, stable.",
        "Make a markdown table of the HTTP status codes from 200 to 503 with a short meaning each.",
        "Draw an ASCII table with borders of +, - and | that shows five employees: id, name, department, salary.",
        "Write the truth table of (A and B) or not C as a markdown table, all eight rows.",
    ),
    "csv": (
        "Write a CSV file with 20 rows of sample orders: id, date, customer, product, quantity, price.",
        "Write a CSV file with 15 rows of weather readings: station, time, temperature, humidity, pressure.",
        "Write 20 lines of CSV with the planets and large moons: name, parent, radius in km, mass in kg.",
        "Write a CSV file of 25 student grades: student id, name, course, grade.",
    ),
    "list": (
        "List twenty things to check before a release of a web service. Short bullet points.",
        "List fifteen git commands with one line of explanation each.",
        "Give me a numbered list of 20 names for test users, each with an e-mail address.",
        "List the built-in exceptions of Python, as a bullet list with what each of them means.",
        "Write a change log for versions 1.0.0 to 1.4.2 of a small library.",
    ),
    "json": (
        "Write a JSON array of ten books: title, author, year, isbn, tags.",
        "Write a package.json for a TypeScript web project with many scripts and dependencies.",
        "Write a JSON schema for an order with customer, address, items and totals.",
        "Write an OpenAPI 3 path item in JSON for GET, POST and DELETE of /users/{id}.",
        "Write a GeoJSON feature collection with five cities.",
    ),
    "sql": (
        "Write SQL to create the tables of a small shop: customers, products, orders, order_items.",
        "Write 15 SQL INSERT statements with sample rows for a table employees(id, name, job, salary, hired).",
        "Write a SQL query for the three best customers of every month of the last year, with window functions.",
        "Write a migration in SQL that adds created_at and updated_at to eight tables.",
    ),
    "tests": (
        f"Write pytest tests for a function `slugify(text)`: ten small test functions. {ASK}",
        f"Write a parametrised pytest test for `roman(n)` with twenty cases. {ASK}",
        f"Write unittest tests for a Stack class with push, pop, peek, size and is_empty. {ASK}",
        f"Write Jest tests for a function `clamp(value, low, high)`, at least ten cases. {ASK}",
        f"Write table driven Go tests for `func IsPalindrome(s string) bool`. {ASK}",
        f"Write doctests for `def add(a, b)`, with ten examples. {ASK}",
    ),
    "prose": (
        "Explain in three paragraphs how a hash table works and when it becomes slow.",
        "Explain what a race condition is, with an example from daily life.",
        "Write a polite mail to a customer whose data export failed, and say what happens next.",
        "Describe the trade-offs between a monolith and several services for a team of five.",
        "Tell a short story about a lighthouse keeper who repairs an old radio.",
        "Summarise what happens between typing a web address and seeing the page.",
    ),
    "docstring": (
        "Write a long Google style docstring for `def fit(model, data, epochs, lr, batch_size, callbacks, seed)`.",
        "Write a NumPy style docstring for `def resample(signal, old_rate, new_rate, window, axis)` with examples.",
        "Write Javadoc comments for an interface Repository<T> with seven methods.",
        "Write the module docstring of a scheduling library, with a usage section.",
    ),
    "shell": (
        f"Write a bash script that backs up a PostgreSQL database, rotates old backups and reports errors. {ASK}",
        f"Write a Makefile with targets build, test, lint, format, clean, docker and release. {ASK}",
        f"Write a Dockerfile with several stages for a Python web service. {ASK}",
        f"Write a bash script that renames all photos in a folder by their date. {ASK}",
    ),
    "config": (
        "Write a GitHub Actions workflow that tests on three Python versions and three systems, then publishes.",
        "Write an nginx configuration for three virtual hosts with TLS and caching.",
        "Write a docker-compose file with a web service, a worker, PostgreSQL, Redis and a mail catcher.",
        "Write a pyproject.toml with dependencies, ruff, mypy and pytest settings.",
        "Write a systemd unit and a timer that run a clean-up every night.",
    ),
    "log": (
        "Show 20 lines of an nginx access log as an example.",
        "Show an example log of a failed deployment, with time stamps and levels, about 20 lines.",
        "Show the output of pytest -v for twelve tests of which two fail.",
        "Show an example of `ls -la` in a typical project folder.",
    ),
    "literal": (
        f"Write a Python Enum with the months, and a dict from month to number of days. {ASK}",
        f"Write a Python dict that maps 25 country codes to country names. {ASK}",
        f"Write a Python dict with the morse code of all letters and digits. {ASK}",
        f"Write a C header with an enum of thirty key codes and their values. {ASK}",
        f"Write a CSS file with a palette of custom properties and ten utility classes. {ASK}",
        f"Write a Python constant with the 8 by 8 start position of a chess board as a list of lists. {ASK}",
        f"Write a 6 by 6 adjacency matrix of a ring of six nodes as a Python list of lists. {ASK}",
    ),
    "switch": (
        f"Write a Python function with if/elif that returns the English word for 0 to 15. {ASK}",
        f"Write a Java switch that maps a weekday number to its name, and one for the months. {ASK}",
        f"Write a React form with six labelled inputs and validation. {ASK}",
        f"Write an HTML page with a navigation bar, a table of ten rows and a footer. {ASK}",
        f"Write a tokenizer in Python for arithmetic expressions, one branch for every operator. {ASK}",
    ),
    **about(BROKEN),
}
