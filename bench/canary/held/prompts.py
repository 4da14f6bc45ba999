"""Prompts whose answers are to be clean, on other subjects: the half held back, never used to fit levels."""

from __future__ import annotations

from bench.canary.held.snippets import BROKEN
from bench.canary.prompts import ASK, about

PROMPTS: dict[str, tuple[str, ...]] = {
    "function": (
        f"Write a Python function that finds the longest common prefix of a list of strings. {ASK}",
        f"Write a Python class for a traffic light with states, a step method and a list of listeners. {ASK}",
        f"Write a Kotlin function that groups a list of photos by camera model and sorts each group by size. {ASK}",
        f"Write a Go worker pool that takes jobs from a channel and collects results and failures. {ASK}",
        f"Write a TypeScript event emitter with on, once, off and emit. {ASK}",
        f"Write C functions to create, fill, read and destroy a ring buffer of bytes. {ASK}",
    ),
    "imports": (
        f"Write the import block of a FastAPI router module that needs about fifteen names. {ASK}",
        f"Write the imports of a PyTorch training script: layers, optimisers, data loaders, transforms, metrics. {ASK}",
        f"Write the `use` lines at the top of a Rust network server built with tokio, serde and tracing. {ASK}",
        f"Write the using directives of a large C# controller (ASP.NET, Entity Framework, JSON, threading). {ASK}",
        f"Write the #include lines of a C++ game engine core: standard library, SDL, OpenGL and own headers. {ASK}",
    ),
    "table": (
        "Make a markdown table of ten chemical elements: symbol, atomic number, melting point, main use.",
        "Make a markdown table that compares five text editors: licence, plug-ins, start-up time, platforms.",
        "Make a markdown table of the file permission modes from 400 to 777 that matter, each with its meaning.",
        "Draw an ASCII timetable with borders of +, - and | that shows six trains: number, from, to, leaves, platform.",
        "Write the multiplication table from 1 to 9 as a markdown table.",
    ),
    "csv": (
        "Write a CSV file with 20 rows of library loans: loan id, reader, title, lent on, due on, returned.",
        "Write a CSV file with 15 rows of marathon results: place, bib, runner, country, half time, finish time.",
        "Write 20 lines of CSV with airports: code, city, country, latitude, longitude, runways.",
        "Write a CSV file of 25 machine parts in a warehouse: part number, shelf, count, weight, supplier.",
    ),
    "list": (
        "List twenty things to pack for a week of hiking in the mountains. Short bullet points.",
        "List fifteen keyboard shortcuts of vim with one line of explanation each.",
        "Give me a numbered list of 20 invented company names, each with a street and a town.",
        "List the layers of the OSI model and three protocols for each, as nested bullets.",
        "Write the step by step list for changing a bicycle tyre, with a warning after every third step.",
    ),
    "json": (
        "Write a JSON array of eight recipes: title, minutes, servings, ingredients, steps.",
        "Write a tsconfig.json and an .eslintrc.json with many options for a strict project.",
        "Write a JSON schema for a hotel booking with guests, rooms, nights and payment.",
        "Write an example of a webhook payload in JSON for a merged pull request with four reviewers and six files.",
        "Write a Terraform state like JSON document with five resources and their attributes.",
    ),
    "sql": (
        "Write SQL to create the tables of a hospital: patients, doctors, wards, appointments, prescriptions.",
        "Write 15 SQL INSERT statements for a table tracks(id, title, artist, seconds, genre, released).",
        "Write a recursive SQL query that prints a tree of categories with their depth and full path.",
        "Write SQL that creates six indexes, three views and a trigger for a forum database.",
    ),
    "tests": (
        f"Write pytest tests for a function `parse_duration('1h30m')` that returns seconds: ten small functions. {ASK}",
        f"Write a parametrised pytest test for `is_valid_ipv4(text)` with twenty cases. {ASK}",
        f"Write unittest tests for a PriorityQueue class with insert, pop_min, change and len. {ASK}",
        f"Write Vitest tests for a function `formatMoney(amount, currency)`, at least ten cases. {ASK}",
        f"Write Rust unit tests for `fn gcd(a: u64, b: u64) -> u64`, twelve assertions in several tests. {ASK}",
        f"Write RSpec examples for a Ruby class Thermometer that converts between three scales. {ASK}",
    ),
    "prose": (
        "Explain in three paragraphs how a database index speeds up reads and what it costs on writes.",
        "Explain what public key encryption is to someone who has only ever used a door key.",
        "Write a friendly note to the neighbours about a noisy renovation, with the dates and a way to reach you.",
        "Describe the advantages and disadvantages of static types for a team that maintains old scripts.",
        "Tell a short story about a baker whose oven predicts the weather.",
        "Summarise how a vaccine teaches the body to recognise a virus.",
    ),
    "docstring": (
        "Write a long Google style docstring for `def render(scene, camera, width, height, samples, denoise, out)`.",
        "Write a NumPy style docstring for `def interpolate(x, y, at, kind, fill, bounds)` with examples.",
        "Write JSDoc comments for a class AudioPlayer with eight methods.",
        "Write Doxygen comments for a C header of a small matrix library with six functions.",
    ),
    "shell": (
        f"Write a bash script that watches disk usage on several hosts over ssh and warns above a limit. {ASK}",
        f"Write a justfile with recipes for setup, serve, migrate, seed, coverage, docs and deploy. {ASK}",
        f"Write a PowerShell script that creates user accounts from a spreadsheet export. {ASK}",
        f"Write a shell script that converts a folder of WAV recordings to FLAC in parallel and checks each one. {ASK}",
    ),
    "config": (
        "Write a GitLab CI file with lint, unit, integration, image and deploy stages for two environments.",
        "Write an HAProxy configuration with two front ends, three back ends and health checks.",
        "Write Kubernetes manifests for a deployment, a service, an ingress, a config map and an autoscaler.",
        "Write a Prometheus configuration with four scrape jobs and a file of six alert rules.",
        "Write an ssh client configuration for seven hosts behind two jump hosts.",
    ),
    "log": (
        "Show 20 lines of a mail server log in which one message is deferred and later delivered.",
        "Show the boot messages of a small Linux computer, about 20 lines, with a disk that is slow to answer.",
        "Show the output of cargo build for a project with ten crates and two warnings.",
        "Show an example of `ps aux` on a busy server.",
    ),
    "literal": (
        f"Write a Rust enum with the twelve notes of an octave, and a match that gives the pitch of each in Hz. {ASK}",
        f"Write a Python dict that maps 25 file extensions to MIME types. {ASK}",
        f"Write a JavaScript object with the NATO spelling alphabet for all letters. {ASK}",
        f"Write a Python IntFlag with sixteen permissions and three combined roles. {ASK}",
        f"Write a SCSS map of twelve breakpoints and spacings, and a mixin that reads it. {ASK}",
        f"Write a C array with the 8 by 8 bitmaps of the digits 0 to 4, one row per line. {ASK}",
        f"Write a Python list of lists for a 9 by 9 sudoku with about thirty given digits and 0 for empty cells. {ASK}",
    ),
    "switch": (
        f"Write a C function with a switch that returns the name of each of twenty signals. {ASK}",
        f"Write a PHP match expression that maps fifteen currency codes to symbols, and one for decimal places. {ASK}",
        f"Write an SVG bar chart by hand with eight labelled bars and two axes. {ASK}",
        f"Write a Vue component with a settings panel of seven toggles and a save button. {ASK}",
        f"Write a Python interpreter loop for a stack machine, one branch for each of twelve instructions. {ASK}",
    ),
    **about(BROKEN),
}
