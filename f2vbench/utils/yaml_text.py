"""YAML text whose mappings must not repeat a key: of two values of one key, YAML itself keeps the last silently."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.nodes import MappingNode, ScalarNode

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
        yaml.YAMLError: The text is not valid YAML, or a mapping has a key twice; ``problem`` says what is wrong.
    """
    try:
        return yaml.load(text, _UniqueKeyLoader)  # a subclass of yaml.SafeLoader
    except RecursionError:
        raise ComposerError(None, None, "lists and mappings are nested too deeply") from None
