"""What the network's errors and oddities did to the loops of others (docs/explanation/attacks.md)."""

import errno
from contextlib import suppress

import pytest
import trio

import failover
from failover.net.addresses import Address
from failover.net.endpoint import UdpTransport

STRANGER = Address("192.0.2.66", 666)


class WindowsError(OSError):
    """As Windows raises it on `recvfrom`, for what an earlier `sendto` met."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(number, text)
        self.winerror = number


@pytest.mark.parametrize("number", [10054, 10052, 10040, errno.ECONNREFUSED, errno.EMSGSIZE, errno.ENETDOWN])
def test_receive_errors_as_windows_raises_them_do_not_end_the_loop(number):
    transport, sender = UdpTransport("127.0.0.1"), UdpTransport("127.0.0.1")
    genuine = transport._recvfrom
    errors = [WindowsError(number, "an earlier datagram found nobody") for _ in range(40)]

    def failing(size: int) -> tuple[bytes, tuple[str, int]]:
        if errors:
            raise errors.pop()
        return genuine(size)

    transport._recvfrom = failing
    sender.send(b"genuine", transport.address)
    received = [transport.receive_nowait() for _ in range(4)]
    assert (b"genuine", sender.address) in received
    assert sum(transport.counters.values()) == 40
    transport.close()
    sender.close()


class Spring:
    """A transport that has an empty datagram for whoever asks, again and again."""

    def __init__(self) -> None:
        self.taken = 0

    def send(self, data: bytes, address: Address) -> None: ...

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        self.taken += 1
        return b"", STRANGER

    async def wait_readable(self) -> None:
        await trio.lowlevel.checkpoint()

    def close(self) -> None: ...

    @property
    def local_addresses(self) -> tuple[Address, ...]:
        return (Address("192.0.2.1", 7777),)


class Machine:
    """Remembers commands."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        self.commands.append(command)
        return b"%d" % len(self.commands)

    def view(self) -> int:
        return len(self.commands)

    def snapshot(self):
        return iter(self.commands)

    def restore(self, chunks) -> None:
        self.commands = list(chunks)

    def digest(self) -> bytes:
        return b""


async def test_empty_datagrams_do_not_starve_the_loop():
    spring = Spring()
    with trio.fail_after(20):
        async with failover.open_member(Machine(), found=True, transport=spring) as member:
            for number in range(20):
                assert await member.request(b"move") == b"%d" % (number + 1)
            assert spring.taken > 64
            assert member.status().dropped["datagram: size"] == spring.taken


async def test_an_empty_datagram_is_no_end_of_file():
    receiver, sender = UdpTransport("127.0.0.1"), UdpTransport("127.0.0.1")
    for _ in range(100):
        sender.send(b"", receiver.address)
    sender.send(b"genuine", receiver.address)
    received = []
    with suppress(trio.TooSlowError), trio.fail_after(5):
        while b"genuine" not in received:
            await receiver.wait_readable()
            while (found := receiver.receive_nowait()) is not None:
                received.append(found[0])
    assert received == [b""] * 100 + [b"genuine"]
    receiver.close()
    sender.close()
