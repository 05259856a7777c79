from decimal import Decimal

import pytest

from cq.errors import ConfigError, UsageError
from cq.sim.holders import LOGIN, PASSWORD, Holder, holders_of

FILE = """
accounts:
  - balances: {BRL: 5000, btc: "0.00000001"}
  - login: watcher
    password: word
    read_only: true
"""


def test_without_a_word_there_is_one_account_with_money():
    assert holders_of() == (Holder(LOGIN, PASSWORD, {"BRL": Decimal(100_000)}),)


def test_options_say_what_is_in_the_account():
    (found,) = holders_of(["BRL=5", "ETH=0.25"])
    assert found.balances == {"BRL": 5, "ETH": Decimal("0.25")}


def test_a_file_says_who_has_what(tmp_path):
    path = tmp_path / "accounts.yaml"
    path.write_text(FILE)
    mine, watcher = holders_of(file=path)
    assert mine == Holder(balances={"BRL": Decimal(5000), "BTC": Decimal("0.00000001")})
    assert (watcher.login, watcher.read_only, watcher.balances) == ("watcher", True, {})
    assert "word" not in repr(watcher)
    with pytest.raises(UsageError, match="one place"):
        holders_of(["BRL=5"], path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accounts: []", "accounts.yaml:1: accounts: "),
        ("{}", "accounts"),
        ("accounts:\n  - balances: {BRL: -5}", "'BRL=-5': an amount is a number"),
        ("accounts:\n  - balances: {BRL: 5, brl: 6}", "two balances of BRL; state it once"),
        ("accounts:\n  - balances: {'': 5}", "a balance is ASSET=AMOUNT"),
        ("accounts:\n  - balances: {BRL: true}", "balances.BRL"),
        ("accounts:\n  - balance: {BRL: 5}", "balance"),
        ("accounts:\n  - password: hidden\n    login: []", "login"),
        ("accounts:\n  - {}\n  - {}", "two accounts with one login"),
    ],
)
def test_a_wrong_file_is_named_and_quotes_no_password(tmp_path, text, said):
    path = tmp_path / "accounts.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as wrong:
        holders_of(file=path)
    assert said in str(wrong.value)
    assert "hidden" not in str(wrong.value)
