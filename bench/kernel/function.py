"""One function of 60 lines and the eight lines of it that are to be written again. Standard library only."""

from __future__ import annotations

HOLES = (10, 15, 21, 27, 33, 41, 45, 56)  # lines, from 0

FUNCTION = '''\
def NAME(invoices, payments, *, today, grace_days=14, fee_rate=Decimal("0.015")):
    """Match payments to open invoices and say what every customer still owes.

    A payment names its invoice, or is used for the oldest open ones of its customer. An invoice that is open longer
    than `grace_days` after its due date costs a fee. Returns balances by customer, and what could not be matched.
    """
    by_number = {}
    by_customer = defaultdict(list)
    for invoice in sorted(invoices, key=lambda i: (i.due, i.number)):
        if invoice.amount <= 0:
            raise ValueError(f"invoice {invoice.number} has no amount")
        if invoice.number in by_number:
            raise ValueError(f"invoice {invoice.number} stands twice")
        by_number[invoice.number] = invoice
        by_customer[invoice.customer].append(invoice)
    open_amount = {number: invoice.amount for number, invoice in by_number.items()}

    unmatched = []
    credit = defaultdict(Decimal)
    for payment in sorted(payments, key=lambda p: p.received):
        rest = payment.amount
        if payment.invoice is not None:
            invoice = by_number.get(payment.invoice)
            if invoice is None or invoice.customer != payment.customer:
                unmatched.append(payment)
                continue
            used = min(rest, open_amount[invoice.number])
            open_amount[invoice.number] -= used
            rest -= used
        for invoice in by_customer[payment.customer]:
            if rest <= 0:
                break
            used = min(rest, open_amount[invoice.number])
            open_amount[invoice.number] -= used
            rest -= used
        if rest > 0:
            credit[payment.customer] += rest

    fees = defaultdict(Decimal)
    overdue = defaultdict(int)
    for number, amount in open_amount.items():
        invoice = by_number[number]
        days_late = (today - invoice.due).days
        if amount > 0 and days_late > grace_days:
            months = 1 + (days_late - grace_days - 1) // 30
            fee = (amount * fee_rate * months).quantize(CENT, ROUND_HALF_UP)
            fees[invoice.customer] += fee
            overdue[invoice.customer] = max(overdue[invoice.customer], days_late)

    balances = {}
    for customer, own in by_customer.items():
        owed = sum((open_amount[invoice.number] for invoice in own), Decimal())
        balances[customer] = Balance(
            owed=owed,
            fees=fees[customer],
            credit=credit[customer],
            total=owed + fees[customer] - credit[customer],
            days_overdue=overdue[customer],
        )
    return balances, unmatched
'''


def spans(name: str) -> list[tuple[str, str]]:
    """What stands before and behind each hole of the function called ``name``; the indentation is before it."""
    lines = FUNCTION.replace("NAME", name).splitlines(keepends=True)
    found = []
    for at in HOLES:
        line = lines[at]
        indent = line[: len(line) - len(line.lstrip())]
        found.append(("".join(lines[:at]) + indent, "\n" + "".join(lines[at + 1 :])))
    return found
