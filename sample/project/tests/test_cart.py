import pytest
from shop.cart import Cart


def test_add_and_total():
    cart = Cart()
    cart.add("tea", 350, 2)
    cart.add("cup", 900)
    assert cart.total() == 1600


def test_same_article_raises_quantity():
    cart = Cart()
    cart.add("tea", 350)
    cart.add("tea", 350, 3)
    assert len(cart.lines) == 1
    assert cart.count() == 4


def test_quantity_must_be_positive():
    with pytest.raises(ValueError):
        Cart().add("tea", 350, 0)


def test_remove():
    cart = Cart()
    cart.add("tea", 350)
    cart.add("cup", 900)
    assert cart.remove("tea").sku == "tea"
    assert [line.sku for line in cart.lines] == ["cup"]
    with pytest.raises(KeyError):
        cart.remove("tea")


def test_total_with_discount():
    cart = Cart(discount_percent=10)
    cart.add("pot", 10000)
    assert cart.total() == 9000


def test_carts_do_not_share_lines():
    first, second = Cart(), Cart()
    first.add("tea", 350)
    assert second.count() == 0
