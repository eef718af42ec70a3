"""The homes themselves, with bare sockets: each kind of router does what it says."""

from __future__ import annotations

import socket
import time

import pytest

from tests.lab.homes import Home, Homes, Place, Router

PORT = 7777
Heard = tuple[bytes, str, int]


def hears(receiver: socket.socket) -> Heard | None:
    """What came, from which address and port; None if nothing comes."""
    try:
        data, (ip, port) = receiver.recvfrom(2048)
    except TimeoutError:
        return None
    return data, ip, port


def seen_as(sender: socket.socket, observer: socket.socket, observer_at: tuple[str, int]) -> tuple[str, int]:
    """From where the observer hears the sender."""
    sender.sendto(b"who am I?", observer_at)
    heard = hears(observer)
    assert heard is not None
    return heard[1:]


@pytest.fixture
def sockets():
    """A list of which everything is closed at the end."""
    opened: list[socket.socket] = []
    yield opened
    for each in opened:
        each.close()


def opener(homes: Homes, sockets: list[socket.socket]):
    def open_socket(place: Place, port: int = PORT) -> socket.socket:
        sockets.append(homes.udp_socket(place, port))
        return sockets[-1]

    return open_socket


@pytest.mark.parametrize(
    ("routers", "is_punched"),
    [
        ((Router.CONE, Router.CONE), True),
        ((Router.CONE, Router.RANDOM), False),
        ((Router.RANDOM, Router.RANDOM), False),
    ],
)
def test_a_hole_is_punched_where_neither_router_changes_ports_per_target(open_homes, sockets, routers, is_punched):
    homes = open_homes(*routers, Router.NONE)
    open_socket = opener(homes, sockets)
    a, b, common = (open_socket(place) for place in homes.members)
    common_at = (homes.members[2].address, PORT)
    a_seen, b_seen = seen_as(a, common, common_at), seen_as(b, common, common_at)
    assert a_seen[0] == homes.homes[0].public
    for _ in range(2):  # the first of each opens the sender's router, and is lost at the other's
        a.sendto(b"from a", b_seen)
        b.sendto(b"from b", a_seen)
    assert (hears(b), hears(a)) == (((b"from a", *a_seen), (b"from b", *b_seen)) if is_punched else (None, None))


def test_a_cone_shows_one_port_to_all_and_a_random_router_many(open_homes, sockets):
    homes = open_homes(Router.CONE, Router.RANDOM, Router.NONE, Router.NONE)
    open_socket = opener(homes, sockets)
    cone, random, *observers = (open_socket(place) for place in homes.members)
    at = [(place.address, PORT) for place in homes.members[2:]]
    seen = [
        [seen_as(one, observer, at) for observer, at in zip(observers, at, strict=True)] for one in (cone, random)
    ]
    assert seen[0] == [(homes.homes[0].public, PORT)] * 2
    assert seen[1][0] != seen[1][1]


def test_two_members_behind_one_cone_with_one_port_are_told_apart(open_homes, sockets):
    homes = open_homes(Home(Router.CONE, members=2), Router.NONE)
    open_socket = opener(homes, sockets)
    one, two, observer = (open_socket(place) for place in homes.members)
    at = (homes.members[2].address, PORT)
    assert seen_as(one, observer, at) != seen_as(two, observer, at)


def test_what_comes_unasked_is_dropped_and_leaves_no_trace(open_homes, sockets):
    homes = open_homes(Router.CONE, Router.NONE)
    inner, stranger = (opener(homes, sockets)(place) for place in homes.members)
    stranger.sendto(b"unasked", (homes.homes[0].public, PORT))
    assert hears(inner) is None
    assert seen_as(inner, stranger, (homes.members[1].address, PORT)) == (homes.homes[0].public, PORT)


@pytest.mark.parametrize("router", [Router.CONE, Router.RANDOM])
def test_dropped_mappings_shut_out_who_was_let_in(open_homes, sockets, router):
    homes = open_homes(router, Router.NONE)
    inner, outer = (opener(homes, sockets)(place) for place in homes.members)
    at = (homes.members[1].address, PORT)
    seen = seen_as(inner, outer, at)
    outer.sendto(b"welcome", seen)
    assert hears(inner) == (b"welcome", *at)
    homes.drop_mappings(homes.homes[0])
    outer.sendto(b"too late", seen)
    assert hears(inner) is None
    outer.sendto(b"and again", seen_as(inner, outer, at))
    assert hears(inner) == (b"and again", *at)


def test_a_mapping_that_nobody_answers_is_forgotten_after_its_lifetime(open_homes, sockets):
    homes = open_homes(Router.RANDOM, Router.NONE)
    inner, outer = (opener(homes, sockets)(place) for place in homes.members)
    at = (homes.members[1].address, PORT)
    homes.set_mapping_lifetimes(homes.homes[0], unanswered_s=1)
    seen = seen_as(inner, outer, at)
    assert seen_as(inner, outer, at) == seen
    time.sleep(2.2)  # the kernel counts in whole seconds of its own
    assert seen_as(inner, outer, at) != seen


def test_who_moves_has_another_address_and_the_same_socket(open_homes, sockets):
    homes = open_homes(Home(Router.CONE, members=2), Router.NONE)
    place, _, other = homes.members
    open_socket = opener(homes, sockets)
    moving, observer = open_socket(place), open_socket(other)
    at = (other.address, PORT)
    before = seen_as(moving, observer, at)
    homes.change_address(place)
    after = seen_as(moving, observer, at)
    assert before[0] != after[0] == place.home.public
    observer.sendto(b"to where it was", before)
    observer.sendto(b"to where it is", after)
    assert hears(moving) == (b"to where it is", *at)


@pytest.mark.parametrize("is_whole_home", [False, True])
def test_a_cut_cable_and_a_cut_line_carry_nothing_until_they_are_mended(open_homes, sockets, is_whole_home):
    homes = open_homes(Home(Router.CONE, members=2), Router.NONE)
    one, two, other = (opener(homes, sockets)(place) for place in homes.members)
    neighbour, outside = (homes.members[1].address, PORT), (homes.members[2].address, PORT)
    what = homes.homes[0] if is_whole_home else homes.members[0]
    homes.cut(what)
    one.sendto(b"hello", neighbour)
    one.sendto(b"hello", outside)
    assert hears(other) is None
    assert (hears(two) is not None) == is_whole_home
    homes.mend(what)
    for receiver, at in ((two, neighbour), (other, outside)):
        assert gets_through(one, receiver, at)


def gets_through(sender: socket.socket, receiver: socket.socket, at: tuple[str, int]) -> bool:
    """Whether something does within three seconds: a mended cable needs up to one to be noticed."""
    for _ in range(30):
        sender.sendto(b"hello again", at)
        receiver.settimeout(0.1)
        if hears(receiver) is not None:
            return True
    return False


def test_members_of_one_home_see_each_other_by_both_families(open_homes, sockets):
    homes = open_homes(Home(Router.CONE, members=2))
    one, two = homes.members
    for attribute in ("address", "address6"):
        mine, other = getattr(one, attribute), getattr(two, attribute)
        for place, address in ((one, mine), (two, other)):
            sockets.append(homes.udp_socket(place, PORT, address=address, timeout_s=2))
        sockets[-2].sendto(b"hello", (other, PORT))
        data, source = sockets[-1].recvfrom(100)
        assert (data, source[0]) == (b"hello", mine)


def test_nothing_is_left_when_the_homes_are_closed(open_homes):
    from tests.lab.namespaces import run

    homes = Homes(Router.CONE)
    with homes:
        names = [homes.internet, homes.homes[0].namespace, homes.members[0].namespace]
        assert all(name in run("ip", "netns", "list") for name in names)
    assert not any(name in run("ip", "netns", "list") for name in names)
