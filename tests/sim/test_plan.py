"""What a fault plan may not say, and how it is told."""

import pytest

from cq.cli.main import run
from cq.errors import ConfigError
from cq.sim import public
from cq.sim.clock import SimClock
from cq.sim.holders import Holder
from cq.sim.plan import ENDPOINTS, read_plan
from cq.sim.private import private_side
from cq.sim.simulation import Simulation
from cq.sim.switches import Switches
from cq.sim.tape import Tape

LISTED = ("BTC-BRL", "ETH-BRL")


def refusal(folder, text):
    path = folder / "plan.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_plan(path, LISTED)
    assert "\n" not in str(refused.value)
    return str(refused.value).replace(str(path), "plan.yaml")


def test_the_endpoints_of_a_rule_are_those_that_are_served():
    tape = Tape.generated(seed=0)
    side = private_side(tape, 0, (Holder(),), Switches(), 0)
    sim = Simulation(tape, SimClock(0, 0.0), exchange=side)
    routes = [*public.routes(sim), *side.routes(sim)]
    assert set(ENDPOINTS) == {one.kwargs["name"] for one in routes} | {"ws"}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("endpoints: candels", "endpoints: no endpoint 'candels'; there is symbols, tickers"),
        ("endpoints: candels", "did you mean candles?"),
        ("symbols: btc", "symbols: no market 'btc'; there is BTC-BRL, ETH-BRL; did you mean BTC"),
        ("symbols: [ETH-BRL, BTCBRL]", "no market 'BTCBRL'; there is BTC-BRL, ETH-BRL; did you"),
        ("symbols: SOL-BRL", "no market 'SOL-BRL'; there is BTC-BRL, ETH-BRL"),
        ("symbols: [3]", "symbols: found 3, expected text"),
        ("at: 5x", "at: found '5x', expected a time such as 500ms, 30s, 2m or 1h"),
        ("until: .nan", "until: found nan, expected a time such as"),
        ("chance: .nan", "chance: found nan, expected a"),
        ("kind: latency, ms: .nan", "ms: found nan, expected a number, or [least, most]"),
        ("kind: latency, ms: fast", "ms: found 'fast', expected a number, or [least, most]"),
        ("kind: latency, ms: [1]", "ms: found [1], expected a number, or [least, most]"),
        ("kind: latency, ms: [2, 1]", "ms: the least (2) is more than the most (1)"),
        ("each: 2.5", "each: found 2.5, expected a whole number"),
        ("status: 502", "drop does not look at status, which is for server_error; leave it out"),
        ("kind: lost, endpoints: trades", "lost does not look at endpoints, which is for latency"),
        ("kind: clock_skew, ms: 5, symbols: BTC-BRL", "clock_skew does not look at symbols"),
        ("kind: clock_skew, ms: [5, 9]", "ms of clock_skew is one number"),
        ("kind: outage, lasts: 20s", "outage: lasts counts from the moments `at`"),
        ("at: 3s, until: 9s", "at says the moments themselves; leave out after and until"),
        ("limit: 0", "limit: found 0, expected at least 1"),
        ("status: 404", "status: found 404, expected at least 500"),
        ("each: true", "each: found true, expected a number"),
        ("limit: true", "limit: found true, expected a number"),
        ("chance: true", "chance: found true, expected a number"),
        ("kind: latency, ms: -500", "ms of latency: found -500, expected at least 0"),
        ("kind: latency, ms: [-1, 5]", "ms of latency: found -1, expected at least 0"),
        ("kind: server_error, endpoints: ws", "server_error never strikes ws; leave that out"),
        ("endpoints: [trades, ws]", "drop never strikes ws; leave that out"),
        (
            "kind: expired_token, endpoints: [trades, balances, candles]",
            "expired_token never strikes trades, candles; leave that out",
        ),
        ("chanse: 1", "chanse: unknown key; did you mean chance?"),
        ("kind: dorp", "kind: found 'dorp'; there is latency"),
        ("kind: dorp", "did you mean drop?"),
    ],
)
def test_a_wrong_rule_is_named_with_line_number_and_kind(tmp_path, rule, said):
    kind = "" if "kind" in rule else "kind: drop, "
    text = f"seed: 1\nfaults:\n  - {{kind: lost}}\n  - {{{kind}{rule}}}\n"
    message = refusal(tmp_path, text)
    assert message.startswith("plan.yaml:4: fault 2 (")
    assert said in message
    assert message.count("plan.yaml") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("faults: {kind: drop}", "plan.yaml:1: faults: found {'kind': 'drop'}, expected a list"),
        ("faults:", "plan.yaml:1: faults: found nothing, expected a list"),
        ("faults: [3]", "plan.yaml:1: fault 1: found 3, expected keys with values"),
        ("faults: [{at: 3}]", "plan.yaml:1: fault 1: kind: is missing"),
        ("seed: -1", "plan.yaml:1: seed: found -1, expected at least 0"),
        ("switches: {sinse: from}", "switches.sinse: unknown key; did you mean since?"),
        ("switches: {oauth2: maybe}", "switches.oauth2: found 'maybe', expected true or false"),
        ("switches: {ws_idle_s: .nan}", "switches.ws_idle_s: found nan, expected"),
        ("faults:\n- kind: drop\n  kind: lost", "kind stands here again; line 2 has it already"),
    ],
)
def test_a_wrong_plan_is_told_in_plain_words(tmp_path, text, said):
    assert said in refusal(tmp_path, text)


def test_every_mistake_of_a_plan_is_told_at_once_each_with_its_line(tmp_path):
    text = """
sead: 3
switches: {since: maybe}
faults:
  - kind: drop
    symbols: [BTC-BRL,
              btc]
    at: [1s, 5x]
  - {kind: lost, each: 0}
"""
    message = refusal(tmp_path, text)
    for said in (
        "plan.yaml:2: sead: unknown key",
        "plan.yaml:3: switches.since: found 'maybe'",
        "plan.yaml:7: fault 1 (drop): symbols: no market 'btc'",
        "plan.yaml:8: fault 1 (drop): at: found '5x'",
        "plan.yaml:9: fault 2 (lost): each: found 0, expected at least 1",
    ):
        assert said in message
    assert message.count("plan.yaml") == 5


def test_without_a_market_a_symbol_is_checked_by_its_form_alone(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("faults: [{kind: lost, symbols: NEW-BRL}]")
    assert read_plan(path).faults[0].symbols == ("NEW-BRL",)
    path.write_text("faults: [{kind: lost, symbols: btc}]")
    with pytest.raises(ConfigError, match=r"'btc' is no symbol.*did you mean BTC-BRL"):
        read_plan(path)


@pytest.mark.parametrize("option", ["--check", "--faults"])
@pytest.mark.parametrize("rule", ["endpoints: candels", "symbols: btc", "symbols: NEW-BRL"])
def test_the_command_refuses_what_would_never_strike(tmp_path, capsys, option, rule):
    path = tmp_path / "plan.yaml"
    path.write_text(f"faults: [{{kind: drop, {rule}}}]")
    assert run(["sim", option, str(path)]) == 2
    message = capsys.readouterr().err
    assert f"{path}:1: fault 1 (drop): {rule.partition(':')[0]}: no " in message
    assert message.count("\n") == 1


def test_sockets_have_outages_and_the_clock_may_be_behind(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(
        "faults: [{kind: outage, endpoints: ws}, {kind: clock_skew, ms: -5},"
        " {kind: expired_token, endpoints: balances}]"
    )
    assert [one.kind for one in read_plan(path).faults] == ["outage", "clock_skew", "expired_token"]
