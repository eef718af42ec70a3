"""`NamedTransport`: names as addresses, a bounded queue, and waking from any thread."""

from __future__ import annotations

import ipaddress
import threading

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from failover.errors import UsageError
from failover.net import addresses
from failover.net.addresses import Address
from failover.net.custom import WAITING_MAX, NamedTransport, address_of, name_of

names = st.binary(min_size=1, max_size=16)


@given(names)
def test_a_name_comes_back_from_its_address_over_the_wire_and_from_text(name):
    address = address_of(name)
    assert name_of(address) == name
    assert addresses.unpack_untrusted(addresses.pack(address), 0)[0] == address
    assert addresses.parse(str(address)) == address


@given(names, names)
def test_two_names_have_two_addresses(one, other):
    assert (address_of(one) == address_of(other)) == (one == other)


@given(names)
def test_the_address_is_one_that_nobody_takes_for_something_special(name):
    ip = ipaddress.ip_address(address_of(name).ip)
    assert ip.is_private and not (ip.is_loopback or ip.is_multicast or ip.is_unspecified or ip.is_link_local)
    assert address_of(name).port >= 1024


def test_numbers_that_follow_each_other_count_as_different_places():
    from failover.net.limits import network_of

    steam_ids = range(76561197960265728, 76561197960265728 + 50)
    assert len({network_of(address_of(number.to_bytes(8, "big"))) for number in steam_ids}) == 50


@pytest.mark.parametrize(
    "address",
    [
        Address("192.0.2.7", 7777),
        Address("2001:db8::7", 0xF003),
        Address("fd00::7", 7777),
        Address("fd00::7", 0xF003),
    ],
)
def test_other_addresses_stand_for_no_name(address):
    assert name_of(address) is None


@pytest.mark.parametrize("name", [b"", b"x" * 17, "anna"])
def test_a_name_that_cannot_be_one_is_refused(name):
    with pytest.raises(UsageError):
        NamedTransport(name, send=print)


def test_what_is_sent_goes_to_the_name_and_never_raises(caplog):
    sent = []
    transport = NamedTransport(b"anna", send=lambda name, data: sent.append((name, data)))
    transport.send(b"hello", address_of(b"ben"))
    transport.send(b"hello", Address("192.0.2.7", 7777))
    assert sent == [(b"ben", b"hello")]
    assert transport.counters["socket: no such name"] == 1

    def fail(name, data):
        raise OSError("the relay is down")

    transport = NamedTransport(b"anna", send=fail)
    for _ in range(3):
        transport.send(b"hello", address_of(b"ben"))
    assert transport.counters["socket: send raised"] == 3
    assert len(caplog.records) == 1


def test_what_waits_is_bounded_and_the_newest_is_kept():
    transport = NamedTransport(b"anna", send=print)
    for number in range(WAITING_MAX + 5):
        transport.arrived(b"ben", b"%d" % number)
    transport.arrived(b"", b"from nobody")
    assert transport.receive_nowait() == (b"5", address_of(b"ben"))
    assert transport.counters == {"socket: not read in time": 5, "socket: no such name": 1}


async def test_whoever_waits_is_woken_from_here_and_from_another_thread():
    transport = NamedTransport(b"anna", send=print)
    for number in range(100):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.wait_readable)
            if number % 3:
                await trio.testing.wait_all_tasks_blocked()
            if number % 2:
                transport.arrived(b"ben", b"x")
            else:
                thread = threading.Thread(target=transport.arrived, args=(b"ben", b"x"))
                thread.start()
                thread.join()
        assert transport.receive_nowait() is not None
        assert transport.receive_nowait() is None


def test_what_comes_after_the_loop_has_ended_is_no_error():
    transport = NamedTransport(b"anna", send=print)

    async def wait():
        with trio.move_on_after(0.01):
            await transport.wait_readable()

    trio.run(wait)
    transport.arrived(b"ben", b"late")


async def test_closing_ends_the_wait_and_is_told_once():
    closed = []
    transport = NamedTransport(b"anna", send=print, close=lambda: closed.append(1))

    async def wait():
        with pytest.raises(trio.ClosedResourceError):
            await transport.wait_readable()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        transport.close()
        transport.close()
    await wait()
    transport.send(b"late", address_of(b"ben"))
    assert closed == [1]
