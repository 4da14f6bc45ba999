"""What a customer is about to buy. Money is in cents."""

from dataclasses import dataclass, field

from shop.pricing import apply_discount


@dataclass
class Line:
    """One article in the cart."""

    sku: str
    unit_price: int
    quantity: int = 1

    def subtotal(self):
        """Price of the line without discounts."""
        return self.unit_price * self.quantity


@dataclass
class Cart:
    """Lines in the order in which they were added."""

    lines: list = field(default_factory=list)
    discount_percent: int = 0

    def add(self, sku, unit_price, quantity=1):
        """Add an article; the same article again raises its quantity."""
        if quantity < 1:
            raise ValueError("quantity must be at least 1")
        for line in self.lines:
            if line.sku == sku:
                line.quantity += quantity
                return line
        line = Line(sku, unit_price, quantity)
        self.lines.append(line)
        return line

    def remove(self, sku):
        """Take an article out; an unknown one is a KeyError."""
        for index, line in enumerate(self.lines):
            if line.sku == sku:
                return self.lines.pop(index)
        raise KeyError(sku)

    def count(self):
        """Number of pieces in the cart."""
        return sum(line.quantity for line in self.lines)

    def total(self):
        """Price of everything after the discount."""
        subtotal = sum(line.subtotal() for line in self.lines)
        return apply_discount(subtotal, self.discount_percent)
