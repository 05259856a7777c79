from cq.utils.names import counted


def test_one_is_singular():
    assert counted(1, "book", "books") == "1 book"
    assert counted(2000, "book", "books") == "2,000 books"
