"""YAML text with bounded aliases, whose mappings must not repeat a key: YAML itself keeps the last value silently."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_MAX_NODES = 100_000
_MERGE = "tag:yaml.org,2002:merge"


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe loader that refuses a mapping in which a key occurs twice."""

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag == _MERGE:
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise ComposerError(
                    None, None, f"the key '{key.value}' is in lines {lines[name]} and {line}; keep one", key.start_mark
                )
            lines[name] = line
        return node


def load_yaml(text: str) -> Any:
    """Parse YAML to plain Python values; nothing in it is executed.

    Args:
        text: YAML text with one document.

    Raises:
        yaml.YAMLError: The text is not valid YAML, a mapping has a key twice, or aliases expand without end;
            ``problem`` says what is wrong.
    """
    loader = _UniqueKeyLoader(text)  # a subclass of yaml.SafeLoader
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _expanded_size(node, {}) > _MAX_NODES:
            raise ComposerError(None, None, f"its aliases expand to more than {_MAX_NODES:,} values")
        return loader.construct_document(node)
    except RecursionError:
        raise ComposerError(None, None, "lists and mappings are nested too deeply") from None
    except ValueError as error:  # of dates and of numbers with thousands of digits
        raise ComposerError(None, None, str(error)) from None
    finally:
        loader.dispose()


def _expanded_size(node: Node, sizes: dict[int, int]) -> int:
    """Number of values in a node after its aliases are expanded; ``sizes`` are those of known nodes by id."""
    if id(node) not in sizes:
        sizes[id(node)] = _MAX_NODES + 1  # while it is computed: a node that contains itself has no end
        children = [child for pair in node.value for child in pair] if isinstance(node, MappingNode) else []
        children += node.value if isinstance(node, SequenceNode) else []
        sizes[id(node)] = 1 + sum(_expanded_size(child, sizes) for child in children)
    return sizes[id(node)]
