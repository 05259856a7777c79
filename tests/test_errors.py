"""The tree of errors: drawn as it is, and reached from one place."""

import re
from pathlib import Path

import cq
from cq import errors


def drawn():
    """Name → its parent and exit code, as the docstring draws them."""
    found, above = {}, []
    for line in errors.__doc__.splitlines():
        said = re.match(r"    ([ │├└─]*)([A-Z]\w+)(?: +(\d|exit code))?$", line)
        if said is None:
            continue
        depth = len(said[1]) // 4
        above[depth:] = [said[2]]
        found[said[2]] = (above[depth - 1] if depth else "Exception", said[3])
    return found


def test_the_drawn_tree_is_the_tree():
    tree = drawn()
    assert set(tree) == set(errors.__all__)
    for name, (parent, code) in tree.items():
        one = getattr(errors, name)
        assert one.__bases__[0].__name__ == parent
        assert one.__doc__
        if code is not None and code.isdigit():
            assert one.exit_code == int(code)


def test_errors_are_imported_from_one_place():
    for path in Path(cq.__file__).parent.rglob("*.py"):
        if path.parent.name != "errors":
            assert not re.search(r"(from|import) cq\.errors\.", path.read_text()), path
