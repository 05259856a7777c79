"""Every unknown is a switch, and stands in the documents."""

import json
from pathlib import Path

from cq.sim.faults import PUBLIC
from cq.sim.limits import ALL, DOCUMENTED
from cq.sim.plan import FRAME_KINDS, REQUEST_KINDS, SOCKET_KINDS, SPELL_KINDS, Rule
from cq.sim.switches import Switches

TEXT = (Path(__file__).parents[2] / "docs" / "sim.md").read_text()


def test_every_switch_has_its_row_with_its_default():
    for name, field in Switches.model_fields.items():
        shown = json.dumps(field.default).strip('"').removesuffix(".0")
        assert f"| `{name}` | {shown} |" in TEXT, name
        assert field.description


def test_every_fault_and_every_key_of_one_is_explained():
    kinds = (*REQUEST_KINDS, *FRAME_KINDS, *SOCKET_KINDS, *SPELL_KINDS)
    assert [one for one in (*kinds, *Rule.model_fields) if f"`{one}" not in TEXT] == ["kind"]


def test_every_limited_endpoint_is_named():
    assert [one for one in {*DOCUMENTED, *PUBLIC} - {ALL} if f"`{one}`" not in TEXT] == []
