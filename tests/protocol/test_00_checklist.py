"""Every item of the STOMP checklist (docs/protocol.md) has a wire test that names its number, and so has every rule."""

import ast
from pathlib import Path

ITEMS = set(range(1, 119))
RULES = {1, *range(3, 22)}


def numbers(marker):
    """The numbers that markers of this name give in the tests of this directory."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{marker}":
                found |= {argument.value for argument in node.args}
    return found


def test_every_item_has_a_test():
    assert numbers("item") == ITEMS


def test_every_rule_has_a_test():
    assert numbers("rule") == RULES
