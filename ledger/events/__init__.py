"""Ledger events: one class for each kind of entry, by subject. Importing the package registers all of them."""

from ledger.events import approval, change, check, grounding, intake, model, op, repair, sensing, session

__all__ = ["approval", "change", "check", "grounding", "intake", "model", "op", "repair", "sensing", "session"]
