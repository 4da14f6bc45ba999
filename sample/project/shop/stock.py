"""What lies on the shelves."""


class OutOfStock(Exception):
    """More was asked for than there is."""


class Stock:
    """Quantities by article."""

    def __init__(self, quantities=None):
        self.quantities = dict(quantities or {})
        self.reserved = {}

    def available(self, sku):
        """Pieces that are neither sold nor reserved."""
        return self.quantities.get(sku, 0) - self.reserved.get(sku, 0)

    def reserve(self, sku, quantity):
        """Set pieces aside for an order."""
        if quantity > self.available(sku):
            raise OutOfStock(sku)
        self.reserved[sku] = self.reserved.get(sku, 0) + quantity

    def release(self, sku, quantity):
        """Give reserved pieces back; never below zero."""
        left = self.reserved.get(sku, 0) - quantity
        self.reserved[sku] = max(left, 0)

    def ship(self, sku, quantity):
        """Reserved pieces leave the house."""
        if quantity > self.reserved.get(sku, 0):
            raise ValueError("only reserved pieces can be shipped")
        self.reserved[sku] -= quantity
        self.quantities[sku] -= quantity

    def low(self, threshold=3):
        """Articles with fewer pieces than the threshold, by name."""
        return sorted(sku for sku in self.quantities if self.available(sku) < threshold)
