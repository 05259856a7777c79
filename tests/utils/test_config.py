"""Layers of settings, their origins, and one line for each mistake."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from cq.errors import ConfigError
from cq.utils.config import all_keys, defaults, find_project, load
from cq.utils.resources import resource_root
from cq.utils.settings import DATASETS, Ingestion


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with the shipped settings, and an environment without any."""
    import os

    for name in list(os.environ):
        if name.upper().startswith("CQ_"):
            monkeypatch.delenv(name)
    (tmp_path / "configs").mkdir()
    shipped = (resource_root() / "configs" / "default.yaml").read_text()
    (tmp_path / "configs" / "default.yaml").write_text(shipped)
    return tmp_path


def refusal(project, **arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        load(project, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def local(project, text: str) -> None:
    (project / "configs" / "local.yaml").write_text(text)


def test_every_setting_stands_in_the_default_file_with_a_comment():
    text = (resource_root() / "configs" / "default.yaml").read_text()
    shipped = yaml.safe_load(text)
    for keys in all_keys():
        if keys[0] == "credentials":
            continue
        part = shipped
        for key in keys:
            part = part[key]
    leaves = [line for line in text.splitlines() if re.match(r"\s*\w+: \S", line)]
    assert [line for line in leaves if "# " not in line and "{" not in line] == []


def test_every_dataset_has_a_partition():
    assert set(defaults(Path("/p")).partitions) == set(DATASETS)


def test_the_command_line_wins_over_environment_over_yaml_over_default(project, monkeypatch):
    assert load(project).settings.backtest.cash == 100_000
    local(project, "backtest:\n  cash: 1\n")
    assert load(project).settings.backtest.cash == 1
    monkeypatch.setenv("CQ_BACKTEST__CASH", "2")
    assert load(project).settings.backtest.cash == 2
    loaded = load(project, overrides=["backtest.cash=3"])
    assert loaded.settings.backtest.cash == 3
    assert loaded.origins["backtest", "cash"] == "--set backtest.cash"


def test_an_origin_names_file_and_line_or_variable(project, monkeypatch):
    local(project, "# mine\nbacktest:\n  cash: 1\n")
    monkeypatch.setenv("CQ_LIVE__STALE_AFTER_BARS", "9")
    origins = load(project).origins
    assert origins["backtest", "cash"] == "configs/local.yaml:3"
    assert origins["live", "stale_after_bars"] == "environment: CQ_LIVE__STALE_AFTER_BARS"
    assert origins["quote",].startswith("configs/default.yaml:")


def test_a_part_of_a_section_leaves_the_rest_as_it_was(project):
    local(project, "backtest:\n  fees:\n    taker: 0.001\n")
    fees = load(project).settings.backtest.fees
    assert (fees.taker, fees.maker) == (0.001, 0.003)


def test_an_empty_section_leaves_what_is_said_below_it(project):
    local(project, "backtest: {}\nlive: {}\n")
    loaded = load(project, overrides=["backtest.fees={}", "quality.severities={}"])
    assert loaded.settings.backtest == defaults(project).backtest
    assert loaded.origins["backtest", "cash"].startswith("configs/default.yaml:")


def test_a_named_file_takes_the_place_of_the_local_one(project, tmp_path):
    local(project, "quote: USDT\n")
    other = tmp_path / "other.yaml"
    other.write_text("env: test\n")
    settings = load(project, config_file=other).settings
    assert (settings.env, settings.quote) == ("test", "BRL")


def test_an_unknown_key_is_named_with_file_line_and_the_nearest_one(project):
    local(project, "env: dev\nbacktest:\n  csh: 1\n")
    assert refusal(project) == (
        "configs/local.yaml:3: backtest.csh: is no setting; did you mean backtest.cash?"
    )


def test_a_wrong_type_says_what_was_found(project):
    local(project, "backtest:\n  cash: plenty\n")
    assert refusal(project).startswith(
        "configs/local.yaml:2: backtest.cash: found 'plenty', but input should be a valid number"
    )


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("live.max_position=2", "must not exceed max_gross_exposure"),
        ("ingestion.retry.backoff_base_ms=99999999", "must not exceed backoff_cap_ms"),
        ("partitions.ohlcv.path=a/{day}/x.parquet", "{day} is not one of"),
        ("partitions.ohlcv.path=a/{exchange}/x.parquet", "differ from the path's folders"),
        ("timezone=Mars/Base", "is not a time zone"),
        ("symbols=BTC", "'BTC' is not a symbol; expected BASE-QUOTE"),
        ("backtest.warmup=0", "above 0, or auto"),
        ("backtest.fees=3", "expected keys (taker, maker, minimum, dated)"),
        ("quality.severities=3", "found 3, expected keys below it, each with a value"),
        ("backtest.cash.more=3", "holds a value, no keys"),
        ("backtest.cash={more: 3}", "holds a value, no keys"),
        ("data_root=null", "data_root: found None, expected a folder, or s3://bucket/prefix"),
        ("data_root=5", "data_root: found 5, expected a folder, or s3://bucket/prefix"),
        ("data_root=~nobody.of.this.name/lake", "found ~nobody.of.this.name/lake: Could not"),
        ("live.journal=5", "live.journal: found 5, expected the path of a file"),
        ("nonsense", "expected KEY=VALUE"),
        ("credentials.client_id=x", "secrets come from the environment only"),
        ("log_level=LOUD", "should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
)
def test_a_combination_that_cannot_be_is_one_line(project, override, said):
    message = refusal(project, overrides=[override])
    assert said in message
    assert override.partition("=")[0].split(".")[0] in message


@pytest.mark.parametrize("name", ["rest_base_url", "ws_url", "login_url"])
@pytest.mark.parametrize(
    "address", ["{}://me:hunter2@host/api", "me:hunter2@host", "{}://hunter2@h"]
)
def test_an_address_with_a_login_is_refused_and_not_repeated(project, name, address):
    url = address.format("wss" if name == "ws_url" else "https")
    message = refusal(project, overrides=[f"ingestion.{name}={url}"])
    assert f"ingestion.{name}: holds a name or password before @" in message
    assert "hunter2" not in message
    known = defaults(project).ingestion.model_dump()
    with pytest.raises(ValidationError) as caught:
        Ingestion.model_validate(known | {name: url})
    assert "hunter2" not in str(caught.value)


def test_an_at_sign_in_the_path_of_an_address_is_no_login(project):
    url = "http://host:8790/api/@4?a=b@c"
    assert load(project, overrides=[f"ingestion.rest_base_url={url}"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("env: [dev", "configs/local.yaml:2: is not YAML"),
        ("- env\n", "expected keys with values"),
        ("env: dev\nenv: prod\n", "configs/local.yaml:2: env stands here again; line 1 has it"),
    ],
)
def test_yaml_that_cannot_be_read_is_named_with_its_line(project, text, said):
    local(project, text)
    assert said in refusal(project)


def test_an_unknown_variable_is_not_ignored(project, monkeypatch):
    monkeypatch.setenv("CQ_BACKTEST__CSH", "1")
    assert refusal(project) == (
        "environment: CQ_BACKTEST__CSH: is no setting; did you mean CQ_BACKTEST__CASH?"
    )


@pytest.mark.parametrize("text", ["", " "])
@pytest.mark.parametrize("name", ["CQ_LIVE__MAX_DAILY_LOSS", "cq_quote", "CQ_PARTITIONS__OHLCV"])
def test_an_empty_variable_takes_no_limit_away(project, monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    assert refusal(project) == (
        f"environment: {name}: is empty; expected a value: unset it, or say null"
    )


def test_neither_does_an_empty_value_on_the_command_line(project):
    with pytest.raises(ConfigError) as caught:
        load(project, overrides=["live.max_daily_loss="])
    said = "is empty; expected a value, or live.max_daily_loss=null"
    assert str(caught.value) == f"--set live.max_daily_loss=: {said}"


def test_an_empty_key_is_none(project, monkeypatch):
    monkeypatch.setenv("CQ_CREDENTIALS__CLIENT_ID", "")
    assert not load(project).settings.credentials.client_id


def test_lists_and_null_can_be_said_in_a_variable(project, monkeypatch):
    monkeypatch.setenv("CQ_SYMBOLS", "BTC-BRL, LTC-BRL")
    monkeypatch.setenv("CQ_BACKTEST__QUANTITY_DECIMALS", "null")
    settings = load(project).settings
    assert settings.symbols == ("BTC-BRL", "LTC-BRL")
    assert settings.backtest.quantity_decimals is None


def test_a_secret_comes_from_the_environment_and_shows_nowhere(project, monkeypatch):
    monkeypatch.setenv("CQ_CREDENTIALS__CLIENT_SECRET", "0123hunter2")
    settings = load(project).settings
    assert settings.credentials.client_secret is not None
    assert settings.credentials.client_secret.get_secret_value() == "0123hunter2"
    assert "hunter2" not in repr(settings) + settings.model_dump_json()


def test_a_secret_in_a_file_is_refused(project):
    local(project, "credentials:\n  client_id: abc\n")
    message = refusal(project)
    assert "configs/local.yaml:1" in message
    assert "CQ_CREDENTIALS__CLIENT_ID" in message
    assert "abc" not in message


def test_paths_are_absolute_and_start_at_the_project(project):
    settings = load(project, overrides=["log_file=logs/cq.jsonl"]).settings
    assert settings.data_root == project / "lake"
    assert settings.live.journal == project / "runs" / "paper.db"
    assert settings.log_file == project / "logs" / "cq.jsonl"


def test_a_path_may_begin_at_home(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project / "me"))
    overrides = ["data_root=~/lake", "log_file=~/cq.jsonl", "live.journal=~/paper.db"]
    settings = load(project, overrides=overrides).settings
    home = project / "me"
    assert (settings.data_root, settings.log_file) == (home / "lake", home / "cq.jsonl")
    assert settings.live.journal == home / "paper.db"


def test_a_check_is_switched_off_by_the_word_off_wherever_it_is_said(project, monkeypatch):
    off = {"zero_volume_bars": "off"}
    local(project, "quality: {severities: {zero_volume_bars: off}}\n")
    assert load(project).settings.quality.severities == off
    local(project, "env: dev\n")
    overrides = ["quality.severities.zero_volume_bars=off"]
    assert load(project, overrides=overrides).settings.quality.severities == off
    monkeypatch.setenv("CQ_QUALITY__SEVERITIES__ZERO_VOLUME_BARS", "off")
    assert load(project).settings.quality.severities == off


def test_a_section_can_be_said_at_once_on_the_command_line(project):
    overrides = ["backtest.fees.maker=0.002", "backtest.fees={taker: 0.1, minimum: 1}"]
    loaded = load(project, overrides=[*overrides, "quality.severities={outliers: info}"])
    fees = loaded.settings.backtest.fees
    assert (fees.taker, fees.maker, fees.minimum) == (0.1, 0.002, 1)
    assert loaded.settings.quality.severities == {"outliers": "info"}
    assert loaded.origins["backtest", "fees", "taker"] == "--set backtest.fees.taker"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("maker: x\n", "configs/local.yaml:6: backtest.fees.dated.0.maker: found 'x'"),
        ("makr: 0.1\n", "configs/local.yaml:4: backtest.fees.dated.0.maker: is missing"),
    ],
)
def test_a_problem_inside_a_list_is_named_with_file_and_line(project, text, said):
    dated = "backtest:\n  fees:\n    dated:\n      - since: 2025-01-31\n        taker: 0.006\n"
    local(project, f"{dated}        {text}")
    assert refusal(project).startswith(said)


def test_a_problem_inside_a_list_of_a_variable_names_the_variable(project, monkeypatch):
    monkeypatch.setenv("CQ_BACKTEST__FEES__DATED", "[{taker: 0.006, maker: 0.002}]")
    said = "environment: CQ_BACKTEST__FEES__DATED: backtest.fees.dated.0.since: is missing"
    assert refusal(project).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1: 2\n", "configs/local.yaml:1: 1: found the key 1, expected a name"),
        (
            "quality:\n  severities:\n    off: warn\n",
            "configs/local.yaml:3: quality.severities.False: found the key False, expected a name",
        ),
        (
            "env: dev\nbacktest.fees.taker: 5\n",
            "configs/local.yaml:2: backtest.fees.taker: levels are nested; "
            "write backtest: {fees: {taker: …}}",
        ),
    ],
)
def test_a_key_that_is_no_name_is_told_with_its_line(project, text, said):
    local(project, text)
    assert refusal(project).startswith(said)


def test_a_lake_that_is_a_link_is_named_by_the_link(project, tmp_path):
    (project / "lake").symlink_to(tmp_path / "real")
    assert load(project).settings.data_root == project / "lake"
    settings = load(project, overrides=["data_root=../elsewhere/lake"]).settings
    assert settings.data_root == project.parent / "elsewhere/lake"


def test_the_project_is_found_from_a_folder_below(project, monkeypatch):
    below = project / "notebooks" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_project() == project


def test_a_project_and_a_variable_need_names_that_are_text(project, tmp_path, monkeypatch):
    odd = tmp_path / "pr\udcff"
    (odd / "configs").mkdir(parents=True)
    (odd / "configs" / "default.yaml").touch()
    with pytest.raises(ConfigError, match="expected a name in UTF-8"):
        find_project(odd)
    monkeypatch.setenv("CQ_DATA_ROOT", "/o\udcff")
    assert refusal(project) == "environment: CQ_DATA_ROOT: is not UTF-8; expected text"


def test_no_project_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="cq init DIR"):
        find_project()
    with pytest.raises(ConfigError, match=r"no configs/default\.yaml there"):
        find_project(tmp_path)


def test_every_mistake_is_named_at_once(project):
    local(project, "backtest:\n  csh: 1\n  fill: never\n")
    message = refusal(project)
    assert "configs/local.yaml:2: backtest.csh: is no setting" in message
    assert "configs/local.yaml:3: backtest.fill: found 'never'" in message
    assert message.count("; configs/local.yaml:") == 1


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_no_setting_takes_a_number_without_end(project, number):
    floats = [
        keys
        for keys in all_keys()
        if isinstance(value_of(load(project).settings, keys), float)
        or keys == ("live", "max_daily_loss")
    ]
    assert len(floats) > 15
    for keys in floats:
        name = ".".join(keys)
        assert name in refusal(project, overrides=[f"{name}=.{number}".replace(".-", "-.")])


def value_of(settings, keys):
    for key in keys:
        settings = getattr(settings, key, None) if not isinstance(settings, dict) else None
    return settings


@pytest.mark.parametrize(
    ("text", "sets", "said"),
    [
        ("participation: 0.2", [], "configs/local.yaml:3: backtest.slippage.participation: slip"),
        ("participation: 0.2", [], "expected bps, or kind: participation or square_root"),
        ("kind: half_spread", ["bps=5"], "--set backtest.slippage.bps: slippage of the kind half"),
        ("{kind: participation, impact: 2}", [], "backtest.slippage.impact: slippage of the kind"),
    ],
)
def test_what_slippage_of_another_kind_looks_at_is_refused(project, text, sets, said):
    local(project, f"backtest:\n  slippage:\n    {text}\n")
    sets = [f"backtest.slippage.{one}" for one in sets]
    assert said in refusal(project, overrides=sets)
    above = [*sets, "backtest.slippage.kind=square_root"]
    assert load(project, overrides=above).settings.backtest.slippage.kind == "square_root"


def test_what_the_default_file_lists_is_asked_for_by_nobody(project):
    kind = ["backtest.slippage.kind=half_spread"]
    assert load(project, overrides=kind).settings.backtest.slippage.kind == "half_spread"
    path = project / "configs" / "default.yaml"
    path.write_text(path.read_text().replace("participation: 0.1", "participation: 0.2"))
    assert load(project, overrides=kind).settings.backtest.slippage.participation == 0.2
