"""The immutable sorted map, against a plain dict."""

from hypothesis import given
from hypothesis import strategies as st

from failover.machines.tree import FAN_MAX, Tree, differences

keys = st.integers(0, 300).map(lambda number: b"%d" % number)
changes = st.lists(st.tuples(keys, st.none() | st.integers(0, 3)), max_size=400)


def carried_out(tree, plain, steps):
    for key, value in steps:
        if value is None:
            tree = tree.without(key)
            plain.pop(key, None)
        else:
            tree = tree.put(key, value)
            plain[key] = value
    return tree


@given(changes, changes, keys)
def test_it_holds_what_a_dict_holds_and_differs_where_dicts_differ(first, second, start):
    plain = {}
    before = carried_out(Tree(), plain, first)
    plain_before = dict(plain)
    after = carried_out(before, plain, second)
    assert (list(after.items()), len(after)) == (sorted(plain.items()), len(plain))
    assert list(after.items(start)) == [(key, plain[key]) for key in sorted(plain) if key >= start]
    assert all(after.get(key) == plain.get(key) for key in {*plain, *plain_before, start})
    assert list(before.items()) == sorted(plain_before.items()), "what was there before is as it was"
    assert list(differences(before, after)) == [
        (key, plain_before.get(key), plain.get(key))
        for key in sorted({*plain, *plain_before})
        if plain_before.get(key) != plain.get(key)
    ]
    assert list(Tree.from_sorted(after.items()).items()) == list(after.items())


def test_a_difference_is_found_without_a_look_at_what_is_shared():
    looked = []

    class Value:
        def __eq__(self, other):
            looked.append(1)
            return self is other

        __hash__ = None

    before = Tree.from_sorted((b"%06d" % number, Value()) for number in range(20_000))
    after = before.put(b"010000", Value()).without(b"000007").put(b"0100001", Value())
    assert [key for key, _, _ in differences(before, after)] == [b"000007", b"010000", b"0100001"]
    assert len(looked) < 10 * FAN_MAX


def test_nodes_are_joined_when_most_of_their_keys_are_gone():
    tree = Tree.from_sorted((b"%06d" % number, 1) for number in range(10_000))
    for number in range(10_000):
        if number % 100:
            tree = tree.without(b"%06d" % number)

    def leaves(node):
        return [node] if not node.height else [leaf for child in node.below for leaf in leaves(child)]

    assert len(tree) == 100
    assert len(leaves(tree._root)) <= 100 / 4
    for number in range(0, 10_000, 100):
        tree = tree.without(b"%06d" % number)
    assert (len(tree), list(tree.items()), tree._root.height) == (0, [], 0)
