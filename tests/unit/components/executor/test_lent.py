"""How many calls may wait beyond the slots."""

from wsaios.components.executor.lent import Lent


def test_the_last_word_counts_for_each_handler_of_each_lane() -> None:
    lent = Lent()
    assert (lent.rows("a", "f"), lent.most("a")) == (0, 0)
    lent.lend("a", "f", 5)
    lent.lend("a", "g", 9)
    lent.lend("b", "f", 2)
    assert (lent.rows("a", "f"), lent.rows("a", "g"), lent.rows("b", "f"), lent.rows("b", "g")) == (5, 9, 2, 0)
    assert (lent.most("a"), lent.most("b")) == (9, 2)
    assert sorted(lent.all()) == [("a", "f", 5), ("a", "g", 9), ("b", "f", 2)]
    lent.lend("a", "g", 0)
    lent.lend("a", "f", 3)
    assert (lent.rows("a", "f"), lent.rows("a", "g"), lent.most("a")) == (3, 0, 3)
    lent.lend("a", "f", 0)
    assert lent.most("a") == 0
