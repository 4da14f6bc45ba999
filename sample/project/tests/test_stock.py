import pytest
from shop.stock import OutOfStock, Stock


def test_reserve_lowers_what_is_available():
    stock = Stock({"tea": 5})
    stock.reserve("tea", 2)
    stock.reserve("tea", 1)
    assert stock.available("tea") == 2


def test_reserve_all():
    stock = Stock({"tea": 5})
    stock.reserve("tea", 5)
    assert stock.available("tea") == 0


def test_out_of_stock():
    stock = Stock({"tea": 5})
    with pytest.raises(OutOfStock):
        stock.reserve("tea", 6)
    with pytest.raises(OutOfStock):
        stock.reserve("cup", 1)


def test_release_never_goes_below_zero():
    stock = Stock({"tea": 5})
    stock.reserve("tea", 2)
    stock.release("tea", 1)
    assert stock.available("tea") == 4
    stock.release("tea", 10)
    assert stock.available("tea") == 5


def test_ship():
    stock = Stock({"tea": 5})
    stock.reserve("tea", 3)
    stock.ship("tea", 2)
    assert stock.quantities["tea"] == 3
    assert stock.available("tea") == 2
    with pytest.raises(ValueError):
        stock.ship("tea", 2)


def test_low():
    stock = Stock({"tea": 2, "cup": 3, "pot": 10, "milk": 0})
    assert stock.low() == ["milk", "tea"]
    assert stock.low(threshold=1) == ["milk"]
