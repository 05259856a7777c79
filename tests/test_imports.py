"""The arrows between the rooms: a room imports only rooms that stand before it."""

import ast
from pathlib import Path

import cq

ROOT = Path(cq.__file__).parent
ARROWS = (
    "errors utils",
    "lake",
    "exchanges",
    "ingest",
    "indicators",
    "stats",
    "features",
    "strategies",
    "signals",
    "checks",
    "backtest",
    "sweeps",
    "execution",
    "report sim schemas",
    "project",
    "cli",
    "__main__",
)
RANK = {room: rank for rank, rooms in enumerate(ARROWS) for room in rooms.split()}


def room_of(path: Path) -> str:
    inside = path.relative_to(ROOT)
    return inside.parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
            if node.module == "cq":
                names = [f"cq.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("cq.")}
    return found


def test_every_room_has_its_place_in_the_order():
    rooms = {room_of(path) for path in ROOT.rglob("*.py")} - {"__init__"}
    assert rooms <= set(RANK)


def test_a_room_imports_only_rooms_before_it():
    broken = [
        f"{path.relative_to(ROOT)} imports {room}"
        for path in ROOT.rglob("*.py")
        if room_of(path) != "__init__"
        for room in imported_rooms(path)
        if room in RANK
        and room != room_of(path)
        and RANK[room] >= RANK[room_of(path)]
        and not (RANK[room] == 0 == RANK[room_of(path)])
    ]
    assert broken == []


def test_sockets_and_clocks_stay_in_their_rooms():
    shells = {"cli", "ingest", "sim", "execution", "lake", "exchanges", "utils", "report"}
    for path in ROOT.rglob("*.py"):
        if room_of(path) in shells | {"__init__", "__main__"}:
            continue
        text = path.read_text()
        for word in ("import httpx", "import socket", "now_ns()", "datetime.now", "time.time"):
            assert word not in text, f"{path.relative_to(ROOT)} has {word}"


def test_neither_the_client_nor_the_simulated_exchange_knows_the_other():
    for path in (ROOT / "sim").glob("*.py"):
        assert "cq.exchanges.mercado_bitcoin" not in path.read_text(), path
    for path in (ROOT / "exchanges" / "mercado_bitcoin").glob("*.py"):
        assert "cq.sim" not in path.read_text(), path


def test_what_fetches_and_streams_knows_no_exchange_by_name():
    for path in (ROOT / "ingest").glob("*.py"):
        assert "cq.exchanges.mercado_bitcoin" not in path.read_text(), path
