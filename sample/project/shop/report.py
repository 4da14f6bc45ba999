"""Figures about many orders."""

from collections import Counter


def best_sellers(orders, count=3):
    """The articles sold most, ties by name."""
    sold = Counter()
    for order in orders:
        for line in order.lines:
            sold[line.sku] += line.quantity
    ranked = sorted(sold, key=lambda sku: (-sold[sku], sku))
    return ranked[:count]


def average(values):
    """Mean of the values; nothing gives 0."""
    values = list(values)
    if not values:
        return 0
    return sum(values) / len(values)


def median(values):
    """Middle value, or the mean of the two in the middle."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def growth(before, after):
    """Percent by which ``after`` is more than ``before``."""
    if before == 0:
        raise ValueError("growth from nothing is not a number")
    return 100 * (after - before) / before


def group_by(items, key):
    """Lists of items by what ``key`` says of them."""
    groups = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def running_total(values):
    """Sums of all values so far."""
    totals, total = [], 0
    for value in values:
        total += value
        totals.append(total)
    return totals
