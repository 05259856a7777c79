from cq.utils.names import counted, is_text


def test_one_is_singular():
    assert counted(1, "book", "books") == "1 book"
    assert counted(2000, "book", "books") == "2,000 books"


def test_bytes_that_are_no_text_are_told_from_names():
    assert is_text("pröjekt 💰")
    assert not is_text("o\udcff")
