import pytest
from shop.cart import Cart
from shop.receipt import initials, money, receipt, shorten, slug


@pytest.mark.parametrize("cents, text", [(12345, "123.45"), (5, "0.05"), (0, "0.00"), (-250, "-2.50"), (100, "1.00")])
def test_money(cents, text):
    assert money(cents) == text


def test_slug():
    assert slug("Earl Grey, 50 Bags!") == "earl-grey-50-bags"
    assert slug("  ") == ""


def test_initials():
    assert initials("ada lovelace") == "AL"
    assert initials("Jean Luc de la Tour") == "JLDLT"


def test_shorten():
    assert shorten("short", 10) == "short"
    assert shorten("exactly ten", 11) == "exactly ten"
    assert shorten("a rather long name", 10) == "a rathe..."


def test_receipt():
    cart = Cart()
    cart.add("tea", 350, 2)
    cart.add("pot", 2450)
    assert receipt(cart, width=20) == "2 x tea         7.00\n1 x pot        24.50\ntotal          31.50"
