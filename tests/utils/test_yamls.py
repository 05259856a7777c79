"""YAML that knows its lines."""

import pytest

from cq.errors import ConfigError
from cq.utils.yamls import Document, nested, parse_scalar, read_yaml


@pytest.fixture
def file(tmp_path):
    return tmp_path / "some.yaml"


def test_every_key_has_its_line_and_an_unknown_one_that_of_its_parent(file):
    file.write_text("a: 1\nb:\n  c: [1, 2]\n  d: {}\n")
    found = read_yaml(file, file.parent)
    assert list(found.leaves()) == [(("a",), 1), (("b", "c"), [1, 2]), (("b", "d"), {})]
    assert found.where(("b", "c")) == "some.yaml:3"
    assert found.where(("b", "x")) == "some.yaml:2"
    assert found.where(("x",)) == "some.yaml"


def test_an_empty_file_says_nothing(file):
    file.write_text("# later\n")
    assert read_yaml(file).value == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [2021-13-45]\n", "some.yaml:2: holds no value: month must be in 1..12"),
        ("a: 1\nb: {c: 1, d: " + "9" * 5000 + "}\n", "some.yaml:2: holds no value: Exceeds"),
        ("a: 1\na: 2\n", "some.yaml:2: a stands here again; line 1 has it already"),
        ("a: [\n", "some.yaml:2: is not YAML"),
        ("a: !!python/name:os.system\n", "some.yaml:1: is not YAML"),
        ("[1]: 2\n", "some.yaml:1: is not YAML: found unhashable key"),
        ("- 1\n", "some.yaml: expected keys with values"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_place(file, text, said):
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(file, file.parent)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["2021-13-45", "2021-01-31", "9" * 5000, "[", "a,b", "{a: 1}"])
def test_what_is_no_number_list_or_null_is_text(text):
    assert parse_scalar(text) == text


def test_numbers_lists_truth_and_null_are_read_as_yaml_does():
    assert [parse_scalar(text) for text in ("3", "[1, a]", "true", "null", "")] == [
        3, [1, "a"], True, None, None,
    ]  # fmt: skip


def test_what_stands_in_quotes_is_the_text_within():
    assert [parse_scalar(text) for text in ('"3"', "'a,b'", '"a\\"b"')] == ["3", "a,b", 'a"b']


def test_values_of_no_file_say_their_place_themselves():
    document = Document.of({"a": 1}, lambda keys: f"--set {'.'.join(keys)}")
    assert document.where(("a",)) == "--set a"


def test_a_dotted_key_is_told_as_it_is_nested():
    assert nested("backtest.fees.taker") == "backtest: {fees: {taker: …}}"
