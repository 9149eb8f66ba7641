# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The configuration that mmsegmentation keeps in its checkpoints, which is Python source.

It is parsed, never executed: what is not a literal or ``dict(name=literal)`` is left out.
"""

import ast
from typing import Any


def read_config_text(text: str) -> dict[str, Any]:
    """Return the values that the source assigns at its top level, by name.

    :return: empty for text that is not Python
    """
    try:
        statements = ast.parse(text).body
        return {target.id: _value(statement.value)
                for statement in statements if isinstance(statement, ast.Assign)
                for target in statement.targets if isinstance(target, ast.Name)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def _value(node: ast.expr | None) -> Any:
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values)
                if isinstance(key, ast.Constant)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg}
    if isinstance(node, (ast.List, ast.Tuple)):
        return tuple(_value(element) for element in node.elts)
    if isinstance(node, ast.Constant):
        return node.value
    if (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
            and isinstance(node.operand, ast.Constant)
            and isinstance(node.operand.value, (int, float))):
        return -node.operand.value
    return None
