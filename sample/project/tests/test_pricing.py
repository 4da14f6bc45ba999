import pytest
from shop.pricing import apply_discount, bulk_percent, shipping, split_evenly, with_tax


@pytest.mark.parametrize("amount, percent, expected", [(1000, 10, 900), (999, 50, 499), (0, 30, 0), (500, 100, 0)])
def test_apply_discount(amount, percent, expected):
    assert apply_discount(amount, percent) == expected


@pytest.mark.parametrize("percent", [-1, 101])
def test_discount_out_of_range(percent):
    with pytest.raises(ValueError):
        apply_discount(1000, percent)


def test_with_tax():
    assert with_tax(1000) == 1200
    assert with_tax(999, 7) == 1069


def test_shipping():
    assert shipping(4999) == 490
    assert shipping(5000) == 0
    assert shipping(5000, express=True) == 900
    assert shipping(100, express=True) == 1390


@pytest.mark.parametrize("quantity, percent", [(1, 0), (9, 0), (10, 5), (49, 5), (50, 10), (99, 10), (100, 15)])
def test_bulk_percent(quantity, percent):
    assert bulk_percent(quantity) == percent


def test_split_evenly():
    assert split_evenly(100, 4) == [25, 25, 25, 25]
    assert split_evenly(101, 3) == [34, 34, 33]
    assert sum(split_evenly(1000, 7)) == 1000
    with pytest.raises(ValueError):
        split_evenly(100, 0)
