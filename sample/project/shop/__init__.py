"""A small order desk: carts, discounts, stock, delivery dates, receipts."""
