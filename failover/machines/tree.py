"""An immutable sorted map of bytes, of which a changed copy costs a few nodes and shares all others.

So a picture of the state costs one reference, whoever holds it sees no change, and a snapshot is frozen by
keeping the root. A B+ tree whose nodes are never written to: a change copies the way from the root to one leaf
(Driscoll et al., "Making data structures persistent", 1989, section 2). It knows nothing of what it holds.

The shape depends on the order in which things came and went, the content and its order do not: what members
compare and store is made of the content alone.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

V = TypeVar("V")

FAN_MAX = 32
"""A node has at most so many below it."""
FAN_FEW = 8
"""A node with fewer is joined to its neighbour, so that what was deleted leaves no trail of small nodes."""


class _Node:
    """A leaf (height 0) holds keys and values; any other the first keys of its children, and the children."""

    __slots__ = ("below", "height", "keys")

    def __init__(self, height: int, keys: tuple[bytes, ...], below: tuple[Any, ...]) -> None:
        self.height = height
        self.keys = keys
        self.below = below


class Tree(Generic[V]):
    """See the module's docstring. `None` is no value: it stands for "not there"."""

    __slots__ = ("_length", "_root")

    def __init__(self, root: _Node | None = None, length: int = 0) -> None:
        self._root = root if root is not None else _Node(0, (), ())
        self._length = length

    @classmethod
    def from_sorted(cls, pairs: Iterable[tuple[bytes, V]]) -> Tree[V]:
        """Build it at once. The keys rise; the caller has looked."""
        nodes, length = [], 0
        keys: list[bytes] = []
        values: list[V] = []
        for key, value in pairs:
            keys.append(key)
            values.append(value)
            if len(keys) == FAN_MAX:
                nodes.append(_Node(0, tuple(keys), tuple(values)))
                length += len(keys)
                keys, values = [], []
        if keys:
            nodes.append(_Node(0, tuple(keys), tuple(values)))
            length += len(keys)
        while len(nodes) > 1:
            parts = (nodes[at : at + FAN_MAX] for at in range(0, len(nodes), FAN_MAX))
            nodes = [_above(part) for part in parts]
        return cls(nodes[0] if nodes else None, length)

    def __len__(self) -> int:
        return self._length

    def get(self, key: bytes) -> V | None:
        """The value of a key, None if it is not there."""
        node = self._root
        while node.height:
            node = node.below[max(0, bisect_right(node.keys, key) - 1)]
        at = bisect_left(node.keys, key)
        if at < len(node.keys) and node.keys[at] == key:
            value: V = node.below[at]
            return value
        return None

    def put(self, key: bytes, value: V) -> Tree[V]:
        """The map in which the key has this value."""
        assert value is not None
        return self._changed(key, value, self._length + (self.get(key) is None))

    def without(self, key: bytes) -> Tree[V]:
        """The map in which the key is not there."""
        if self.get(key) is None:
            return self
        return self._changed(key, None, self._length - 1)

    def items(self, start: bytes = b"") -> Iterator[tuple[bytes, V]]:
        """Keys from `start` on and their values, in the order of the keys."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if node.height:
                first = max(0, bisect_right(node.keys, start) - 1)
                waiting.extend(reversed(node.below[first:]))
            else:
                for at in range(bisect_left(node.keys, start), len(node.keys)):
                    yield node.keys[at], node.below[at]

    def _changed(self, key: bytes, value: V | None, length: int) -> Tree[V]:
        nodes = _put(self._root, key, value)
        root = _above(nodes) if len(nodes) > 1 else nodes[0] if nodes else None
        while root is not None and root.height and len(root.below) == 1:
            root = root.below[0]
        return Tree(root, length)


def differences(before: Tree[V], after: Tree[V]) -> Iterator[tuple[bytes, V | None, V | None]]:
    """Yield keys whose values differ, in order, with the value before and after.

    What both share is passed by without a look: the work follows the number of changes, not of keys.
    """
    old: list[Any] = [before._root]
    new: list[Any] = [after._root]
    while old or new:
        one: Any = old[-1] if old else None
        two: Any = new[-1] if new else None
        if one is two:  # all before it was compared already
            old.pop()
            new.pop()
        elif isinstance(one, _Node) and not (isinstance(two, _Node) and two.height > one.height):
            _open(old)  # the higher one first, so that equal parts meet at equal height
        elif isinstance(two, _Node):
            _open(new)
        elif two is None or (one is not None and one[0] < two[0]):
            old.pop()
            yield one[0], one[1], None
        elif one is None or two[0] < one[0]:
            new.pop()
            yield two[0], None, two[1]
        else:
            old.pop()
            new.pop()
            if one[1] != two[1]:
                yield one[0], one[1], two[1]


def _open(waiting: list[Any]) -> None:
    """Replace the node at the top by what is in it."""
    node: _Node = waiting.pop()
    inside = node.below if node.height else tuple(zip(node.keys, node.below, strict=True))
    waiting.extend(reversed(inside))


def _above(nodes: list[_Node]) -> _Node:
    return _Node(nodes[0].height + 1, tuple(node.keys[0] for node in nodes), tuple(nodes))


def _put(node: _Node, key: bytes, value: Any) -> list[_Node]:
    """The nodes that take the place of this one: none, one or two. None as value deletes."""
    if node.height:
        return _put_below(node, key, value)
    at = bisect_left(node.keys, key)
    end = at + (at < len(node.keys) and node.keys[at] == key)
    keys, below = ((), ()) if value is None else ((key,), (value,))
    return _cut(_Node(0, node.keys[:at] + keys + node.keys[end:], node.below[:at] + below + node.below[end:]))


def _put_below(node: _Node, key: bytes, value: Any) -> list[_Node]:
    at = max(0, bisect_right(node.keys, key) - 1)
    end = at + 1
    children = _put(node.below[at], key, value)
    if value is None and len(children) == 1 and len(children[0].keys) < FAN_FEW and len(node.below) > 1:
        if at:
            at -= 1
            children = _cut(_joined(node.below[at], children[0]))
        else:
            end += 1
            children = _cut(_joined(children[0], node.below[at + 1]))
    firsts = tuple([child.keys[0] for child in children])
    return _cut(
        _Node(
            node.height,
            node.keys[:at] + firsts + node.keys[end:],
            (*node.below[:at], *children, *node.below[end:]),
        )
    )


def _joined(left: _Node, right: _Node) -> _Node:
    return _Node(left.height, left.keys + right.keys, left.below + right.below)


def _cut(node: _Node) -> list[_Node]:
    """In two if it is too large, left out if it is empty."""
    size = len(node.keys)
    if size <= FAN_MAX:
        return [node] if size else []
    # What comes in rising order, as most keys do, should leave full nodes behind.
    at = FAN_MAX - FAN_FEW if size == FAN_MAX + 1 else size // 2
    return [
        _Node(node.height, node.keys[:at], node.below[:at]),
        _Node(node.height, node.keys[at:], node.below[at:]),
    ]
