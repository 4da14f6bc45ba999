"""Prices and discounts. Money is in cents."""

TAX_PERCENT = 20
FREE_SHIPPING_FROM = 5000


def apply_discount(amount, percent):
    """The amount after a discount, rounded half up."""
    if not 0 <= percent <= 100:
        raise ValueError("percent must be between 0 and 100")
    discount = (amount * percent + 50) // 100
    return amount - discount


def with_tax(net, percent=TAX_PERCENT):
    """Net price plus tax, rounded half up."""
    return net + (net * percent + 50) // 100


def shipping(amount, express=False):
    """Shipping is free from a certain amount on, except express."""
    cost = 0 if amount >= FREE_SHIPPING_FROM else 490
    if express:
        cost += 900
    return cost


def bulk_percent(quantity):
    """Discount for many pieces: 5 % from 10, 10 % from 50, 15 % from 100."""
    if quantity >= 100:
        return 15
    if quantity >= 50:
        return 10
    if quantity >= 10:
        return 5
    return 0


def split_evenly(amount, people):
    """Shares that add up to the amount; the first ones carry the odd cents."""
    if people < 1:
        raise ValueError("people must be at least 1")
    share, rest = divmod(amount, people)
    return [share + 1 if index < rest else share for index in range(people)]
