"""The switch itself, with bare sockets: who is deaf hears nothing, and is heard."""

from __future__ import annotations

import pytest

from tests.lab.namespaces import udp_socket

PORT = 7777


@pytest.fixture
def sockets(lan):
    """A socket of each member."""
    opened = [udp_socket(namespace, port=PORT) for namespace in lan.namespaces]
    yield opened
    for each in opened:
        each.close()


def reaches(lan, sockets, sender: int, receiver: int) -> bool:
    sockets[sender].sendto(b"hello", (lan.addresses[receiver], PORT))
    try:
        return sockets[receiver].recv(64) == b"hello"
    except TimeoutError:
        return False


def test_a_member_that_was_made_deaf_to_another_is_heard_by_it(lan, sockets):
    lan.make_deaf(0, {1})
    assert not reaches(lan, sockets, 1, 0)
    assert reaches(lan, sockets, 0, 1)
    assert reaches(lan, sockets, 2, 0)
    lan.make_deaf(0, {2})
    assert reaches(lan, sockets, 1, 0)
    assert not reaches(lan, sockets, 2, 0)
    lan.make_deaf(0, ())
    assert reaches(lan, sockets, 2, 0)
