import pytest

from cq.sim.refusals import Refusal
from cq.sim.tokens import LENGTH, Key, Tokens, is_token, token
from cq.sim.trading_switches import TradingSwitches
from cq.utils.time import SECOND

KEY = Key("id", "secret", "account")


def tokens(**switches):
    return Tokens((KEY,), TradingSwitches(**switches))


def test_a_token_is_as_long_as_the_recorded_one_and_looks_like_one():
    text = token("x", 0, SECOND)
    assert abs(len(text) - LENGTH) < 8
    assert is_token(text)
    assert text.startswith("eyJ")


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "..", "é.é.é", "a.bnVsbA.c", "a.$.c"])
def test_other_texts_cannot_be_decoded(text):
    assert not is_token(text)


def test_several_tokens_are_good_at_once_and_each_expires_on_its_own():
    found = tokens(token_seconds=10)
    first, second = found.issue(KEY, 0), found.issue(KEY, 5 * SECOND)
    assert first.token != second.token
    for one in (first, second):
        assert found.check(f"Bearer {one.token}", 9 * SECOND) == KEY
    with pytest.raises(Refusal) as refused:
        found.check(f"bearer {first.token}", 10 * SECOND)
    assert refused.value.status == 401
    assert found.check(f"bearer {second.token}", 10 * SECOND) == KEY


def test_a_token_of_another_exchange_is_not_active():
    with pytest.raises(Refusal) as refused:
        tokens().check(f"Bearer {token('other', 0, SECOND)}", 0)
    assert refused.value.status == 401


def test_a_key_needs_both_its_halves():
    assert tokens().key_of("id", "secret") is KEY
    assert tokens().key_of("id", "sécret") is None
    assert tokens().key_of("x", "secret") is None


def test_half_of_a_pair_of_utf_16_is_a_wrong_password():
    assert tokens().key_of("id", "\ud800") is None


def test_secrets_show_in_no_repr():
    found = tokens()
    grant = found.issue(KEY, 0)
    assert "secret" not in repr((found, grant))
    assert grant.token not in repr((found, grant))
