"""Receipts and names as text."""

import re


def money(cents):
    """12345 as ``123.45``; negative amounts keep their sign."""
    sign = "-" if cents < 0 else ""
    euros, rest = divmod(abs(cents), 100)
    return f"{sign}{euros}.{rest:02d}"


def slug(name):
    """A name for addresses: lower case, words joined by hyphens."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "-".join(words)


def initials(name):
    """First letters of all words, upper case."""
    return "".join(word[0].upper() for word in name.split())


def shorten(text, width):
    """Cut to ``width`` characters, with an ellipsis when something was cut."""
    if len(text) <= width:
        return text
    return text[: width - 3] + "..."


def receipt(cart, width=32):
    """One line an article and the total, aligned right."""
    rows = []
    for line in cart.lines:
        left = f"{line.quantity} x {line.sku}"
        rows.append(left + money(line.subtotal()).rjust(width - len(left)))
    rows.append("total" + money(cart.total()).rjust(width - len("total")))
    return "\n".join(rows)
