"""YAML read as text: every scalar stays the text that was written, so `NO` is Norway and `010` keeps its zero.

Whatever is wrong with a file becomes a fault with its line: nothing here raises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# libyaml where the wheel has it: ten times faster, the same nodes.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

Path_ = tuple[str | int, ...]


@dataclass
class Text:
    """One YAML file: its data (dicts, lists and texts), the line of each key, and what is wrong with it."""

    data: Any = None
    lines: dict[Path_, int] = field(default_factory=dict)
    faults: list[tuple[Path_, str, str]] = field(default_factory=list)  # path of the key, value, message

    def line(self, path: Path_) -> int:
        """Return the line of a key, or of the nearest key above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def blame(self, path: Path_, message: str, value: str = "", line: int = 0) -> None:
        """Note a fault."""
        if line:
            self.lines.setdefault(path, line)
        self.faults.append((path, value, message))


def read(path: Path) -> Text:
    """Read one YAML file into texts.

    Returns
    -------
    Text
        `data` is None where the file could not be read at all; then `faults` says why.
    """
    found = Text()
    try:
        raw = path.read_bytes()
        words = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        found.blame((), f"byte 0x{raw[error.start]:02X} is not UTF-8: save the file as UTF-8", line=line)
        return found
    except OSError as error:
        found.blame((), f"cannot be read: {error.strerror}")
        return found
    return parse(words)


def parse(words: str) -> Text:
    """Parse the text of one YAML file; see `read`."""
    found = Text()
    try:
        node = yaml.compose(words, Loader=_LOADER)
    except yaml.YAMLError as error:
        _blame_syntax(found, words, error)
        return found
    except RecursionError:
        found.blame((), "is nested too deeply")
        return found
    if not isinstance(node, yaml.MappingNode):
        found.blame((), "is empty" if node is None or node.value == "" else "holds no 'key: value' lines", line=1)
        return found
    found.data = _build(node, (), found, set())
    return found


def _blame_syntax(found: Text, words: str, error: yaml.YAMLError) -> None:
    """Say where YAML stopped, in plain words; a tab is the usual reason."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else 0
    lines = words.splitlines()
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in text[: len(text) - len(text.lstrip())]:
        found.blame((), "a tab: YAML is indented with spaces", line=line)
        return
    problem = getattr(error, "problem", None) or "it holds characters that YAML does not allow"
    found.blame((), f"not YAML: {problem}", value=text.strip(), line=line)


def _build(node: yaml.Node, path: Path_, found: Text, seen: set[int]) -> Any:
    """Turn a node into dicts, lists and texts; note lines, repeated keys and aliases."""
    found.lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in seen:  # a node met twice is an alias: it hides what a file says, and may refer to itself
        found.blame(path, "anchors and aliases (& and *) are not used here: write the value out")
        return node.value if isinstance(node, yaml.ScalarNode) else ""
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, place), found, seen) for place, item in enumerate(node.value)]
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        _add(out, key_node, value_node, path, found, seen)
    return out


def _add(
    out: dict[str, Any], key_node: yaml.Node, value_node: yaml.Node, path: Path_, found: Text, seen: set[int]
) -> None:
    """Add one `key: value` to a mapping unless the key is repeated or no text."""
    line = key_node.start_mark.line + 1
    if not isinstance(key_node, yaml.ScalarNode):
        found.blame((*path, "?"), "a key must be a plain text", line=line)
        return
    key = str(key_node.value)
    if key in out:
        first = found.line((*path, key))
        found.blame((*path, key), f"is given twice, in lines {first} and {line}: keep one")
        return
    found.lines[(*path, key)] = line
    out[key] = _build(value_node, (*path, key), found, seen)
