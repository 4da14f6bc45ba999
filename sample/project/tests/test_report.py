import pytest
from shop.cart import Cart
from shop.report import average, best_sellers, group_by, growth, median, running_total


def cart(**quantities):
    made = Cart()
    for sku, quantity in quantities.items():
        made.add(sku, 100, quantity)
    return made


def test_best_sellers():
    orders = [cart(tea=3, cup=1), cart(tea=1, pot=2), cart(cup=1)]
    assert best_sellers(orders) == ["tea", "cup", "pot"]
    assert best_sellers(orders, count=1) == ["tea"]


def test_average():
    assert average([1, 2, 6]) == 3
    assert average([]) == 0


def test_median():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 3, 2]) == 2.5


def test_growth():
    assert growth(100, 150) == 50
    assert growth(200, 100) == -50
    with pytest.raises(ValueError):
        growth(0, 10)


def test_group_by():
    assert group_by([1, 2, 3, 4], key=lambda n: n % 2) == {1: [1, 3], 0: [2, 4]}


def test_running_total():
    assert running_total([1, 2, 3]) == [1, 3, 6]
