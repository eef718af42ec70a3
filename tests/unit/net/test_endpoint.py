"""Real sockets on loopback, port 0."""

import ipaddress
import random
import socket
import sys
import time

import pytest
import trio
from memory_network import CLUSTER, CODEC, SECRETS, append, notice

from failover.errors import BadAddress, PortInUse
from failover.net.addresses import Address
from failover.net.endpoint import Transport, UdpTransport
from failover.net.peers import Peers


async def pump(peers: Peers, transport: Transport) -> None:
    while True:
        timeout = max(0.0, min(peers.deadline - time.monotonic(), 3600.0))
        with trio.move_on_after(timeout):
            await transport.wait_readable()
        now = time.monotonic()
        while (received := transport.receive_nowait()) is not None:
            peers.datagram_received(*received, now)
        if peers.deadline <= now:
            peers.tick(now)


def build(number: int, transport: Transport) -> Peers:
    dice = random.Random(number)
    return Peers(
        private_key=bytes([number]) * 32, cluster=CLUSTER, secrets=SECRETS, name="", incarnation=1,
        previous_incarnation=0, codec=CODEC, transmit=transport.send, entropy=dice.randbytes,
    )  # fmt: skip


async def until(condition) -> None:
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110  # real sockets: nothing here could set an event
            await trio.sleep(0.002)


async def test_two_members_talk_over_real_sockets():
    transports = [UdpTransport("127.0.0.1") for _ in range(2)]
    alice, bob = (build(n + 1, transport) for n, transport in enumerate(transports))
    everybody = {peers.member: (t.address,) for peers, t in zip((alice, bob), transports, strict=True)}
    async with trio.open_nursery() as nursery:
        for peers, transport in zip((alice, bob), transports, strict=True):
            peers.set_members(everybody)
            nursery.start_soon(pump, peers, transport)
        alice.send(bob.member, notice(1), time.monotonic())
        await until(lambda: bob.inbox)
        alice.send(bob.member, append(50, 10_000), time.monotonic())
        await until(lambda: len(bob.inbox) == 2)
        nursery.cancel_scope.cancel()
    assert [message for _, message in bob.inbox] == [notice(1), append(50, 10_000)]
    for transport in transports:
        transport.close()
        transport.close()


async def test_an_empty_datagram_is_a_datagram():
    receiver, sender = UdpTransport("127.0.0.1"), UdpTransport("127.0.0.1")
    sender.send(b"", receiver.address)
    sender.send(b"x", receiver.address)
    await receiver.wait_readable()
    await until(lambda: True)
    assert receiver.receive_nowait() == (b"", sender.address)
    assert receiver.receive_nowait() == (b"x", sender.address)
    assert receiver.receive_nowait() is None
    receiver.close()
    sender.close()


def test_errors_of_the_network_are_counted_not_raised():
    transport = UdpTransport("127.0.0.1")
    transport.send(bytes(70_000), transport.address)
    transport.send(b"x", Address("192.0.2.1", 0))
    transport.send(b"x", Address("2001:db8::1", 5))
    transport.send(b"x", Address("nonsense", 5))
    assert sum(transport.counters.values()) >= 3
    assert transport.receive_nowait() is None
    transport.close()
    transport.send(b"x", Address("127.0.0.1", 5))
    assert transport.receive_nowait() is None


class Broken:
    """A socket whose every receive fails, as on Windows after a peer's port was closed."""

    def __init__(self):
        self.calls = 0

    def __call__(self, size):
        self.calls += 1
        if self.calls > 3:
            raise BlockingIOError
        raise ConnectionResetError(104, "reset")


def test_errors_on_receiving_do_not_end_the_loop():
    transport = UdpTransport("127.0.0.1")
    transport._recvfrom = Broken()
    assert transport.receive_nowait() is None
    assert transport.counters == {"socket: receive ECONNRESET": 3}
    transport.close()


def test_a_port_in_use_gets_one_clear_line():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(PortInUse, match="in use; choose another"):
            UdpTransport("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(("bind", "port"), [("example.org", 0), ("192.0.2.77", 0), ("", 0), ("127.0.0.1", 70_000)])
def test_a_bad_address_gets_one_clear_line(bind, port):
    with pytest.raises(BadAddress) as caught:
        UdpTransport(bind, port)
    assert "\n" not in str(caught.value)


def test_local_addresses_end_with_loopback():
    transport = UdpTransport()
    found = transport.local_addresses
    assert found and all(address.port == transport.address.port for address in found)
    loopback = [ipaddress.ip_address(address.ip).is_loopback for address in found]
    assert loopback == sorted(loopback)
    transport.close()


@pytest.mark.skipif(not socket.has_ipv6 or sys.platform == "win32", reason="needs IPv6 on loopback")
async def test_one_socket_serves_both_families():
    both, four = UdpTransport("::"), UdpTransport("127.0.0.1")
    four.send(b"hi", Address("127.0.0.1", both.address.port))
    with trio.fail_after(5):
        await both.wait_readable()
    assert both.receive_nowait() == (b"hi", four.address)
    both.send(b"ho", four.address)
    with trio.fail_after(5):
        await four.wait_readable()
    assert four.receive_nowait() == (b"ho", Address("127.0.0.1", both.address.port))
    both.close()
    four.close()
