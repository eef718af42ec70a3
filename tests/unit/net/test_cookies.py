"""Cookies: the published vectors, what a COOKIE is bound to, and what each side makes of one."""

import pytest
import xchacha
from attackers import STRANGER, answered_with_mac2, initiation_to, sent_to, with_right_mac1
from hypothesis import given
from hypothesis import strategies as st
from memory_network import SECRETS, Network, meet, pair

from failover.errors import MalformedBytes
from failover.net import cookies, handshake
from failover.net.addresses import Address
from failover.net.cookies import COOKIE_LIFE_S, JAR_SIZE, CookieJar, CookieSealer, KeptCookies
from failover.net.limits import BURST_SOURCE, LOAD_PER_S, Limits, Load, network_of

HERE = Address("192.0.2.1", 7000)


def test_hchacha20_as_published():
    """draft-irtf-cfrg-xchacha-03, 2.2.1."""
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert cookies.hchacha20(bytes(range(32)), nonce).hex() == expected


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
def test_hchacha20_as_the_draft_tells_it(key, nonce):
    assert cookies.hchacha20(key, nonce) == xchacha.hchacha20(key, nonce)


def test_xchacha20poly1305_as_published():
    """draft-irtf-cfrg-xchacha-03, A.3.1."""
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    expected = (
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
        "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52e"
        "c0875924c1c7987947deafd8780acf49"
    )
    cipher, nonce = cookies.xchacha20poly1305(bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58)))
    sealed = cipher.encrypt(nonce, plaintext, bytes.fromhex("50515253c0c1c2c3c4c5c6c7"))
    assert sealed.hex() == expected
    assert cipher.decrypt(nonce, sealed, bytes.fromhex("50515253c0c1c2c3c4c5c6c7")) == plaintext


@given(st.binary(min_size=16, max_size=16), st.integers(0, 63), st.integers(1, 255))
def test_a_cookie_datagram_comes_back_and_no_sealed_byte_may_change(cookie, place, bits):
    key, mac1 = cookies.cookie_key(b"r" * 32, b"g" * 32), b"m" * 16
    datagram = CookieSealer(key, b"n" * 16).datagram(receiver_index=9, cookie=cookie, mac1=mac1)
    assert len(datagram) == 64 and datagram[:8] == b"\x03\x01\0\0\x09\0\0\0"
    assert cookies.open_cookie_untrusted(key, datagram, mac1) == cookie
    forged = bytearray(datagram)
    forged[place] ^= bits
    if place >= 8:  # what is before finds the attempt, and is checked by that
        with pytest.raises(MalformedBytes):
            cookies.open_cookie_untrusted(key, bytes(forged), mac1)
    with pytest.raises(MalformedBytes):
        cookies.open_cookie_untrusted(key, datagram, b"n" * 16)


def test_no_nonce_comes_twice():
    key = cookies.cookie_key(b"r" * 32, b"g" * 32)
    jar, nonces = CookieJar(), set()
    for renewal in range(3):
        jar.renew(1000.0, bytes([renewal]) * JAR_SIZE)
        for _ in range(100):
            datagram = jar.sealer(key).datagram(receiver_index=9, cookie=b"c" * 16, mac1=b"m" * 16)
            nonces.add(datagram[8:32])
    assert len(nonces) == 300


def test_a_cookie_key_depends_on_responder_and_gate():
    assert len({cookies.cookie_key(r * 32, g * 32) for r in (b"a", b"b") for g in (b"c", b"d")}) == 4


def test_a_cookie_is_bound_to_ip_and_port_and_the_secret_ends_after_two_minutes():
    jar = CookieJar()
    assert jar.is_stale(0.0)
    jar.renew(1000.0, b"s" * JAR_SIZE)
    places = [HERE, Address("192.0.2.1", 7001), Address("192.0.2.2", 7000), Address("2001:db8::1", 7000)]
    assert len({jar.cookie(place) for place in places}) == 4 and jar.cookie(HERE) == jar.cookie(HERE)
    before = jar.cookie(HERE)
    assert not jar.is_stale(1000.0 + COOKIE_LIFE_S - 1e-3) and jar.is_stale(1000.0 + COOKIE_LIFE_S)
    jar.renew(1120.0, b"t" * JAR_SIZE)
    assert jar.cookie(HERE) != before


def test_kept_cookies_end_and_are_few():
    kept = KeptCookies()
    for port in range(100):
        kept.keep(b"%016d" % port, Address("192.0.2.1", port), 1000.0)
    assert kept.for_target(Address("192.0.2.1", 83), 1000.0) is None
    assert kept.for_target(Address("192.0.2.1", 99), 1000.0 + COOKIE_LIFE_S - 1) == b"%016d" % 99
    assert kept.for_target(Address("192.0.2.1", 99), 1000.0 + COOKIE_LIFE_S) is None


def test_load_is_more_than_twenty_in_a_second():
    load = Load()
    assert [load.one_more(0.01 * number) for number in range(25)] == [False] * LOAD_PER_S + [True] * 5
    assert not load.one_more(1.3)
    calm = Load()
    assert not any(calm.one_more(number / 19) for number in range(200))


def test_the_limits_of_one_source_are_no_limits_of_another_and_a_place_of_ones_own_is_free():
    limits = Limits()

    def allowed(source, *, own=False):
        return limits.allow(source, 1000.0, has_own_place=lambda: own) is None

    assert sum(allowed(HERE) for _ in range(200)) == BURST_SOURCE
    others = [Address(f"198.51.100.{number}", 1) for number in range(250)]
    assert sum(allowed(other) for other in others) == 200 - BURST_SOURCE
    assert all(allowed(Address(f"203.0.113.{number}", 1), own=True) for number in range(50))


def test_what_counts_as_one_source():
    assert network_of(Address("192.0.2.1", 1)) == network_of(Address("192.0.2.1", 2)) != network_of(STRANGER)
    home = network_of(Address("2001:db8:1:2::1", 1))
    assert home == network_of(Address("2001:db8:1:2:ffff::9", 1)) != network_of(Address("2001:db8:1:3::1", 1))
    assert network_of(Address("a game's own name", 1)) == b"a game's own name"


def under_load(bob, now, start=10_000):
    """Bob has met more initiations than he computes with."""
    for number, datagram in enumerate(with_right_mac1(bob, LOAD_PER_S + 1, start)):
        bob.peers.datagram_received(datagram, Address(f"198.51.100.{number}", 1), now)
    assert bob.network.log.pop()[0][0] == cookies.TYPE_COOKIE
    bob.network._queue.clear()


def test_under_load_a_member_is_asked_for_its_cookie_and_comes_in_at_once():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    under_load(bob, network.now)
    alice.peers.connect(bob.member, network.now)
    network.run(0.006)
    kinds = [(data[0], len(data)) for data, _, _ in network.log[:4]]
    assert kinds == [(1, 1152), (3, 64), (1, 1152), (2, 1152)]
    first, again = network.log[0][0], network.log[2][0]
    assert again[:1136] == first[:1136] and first[1136:] == bytes(16) != again[1136:]
    assert alice.peers.is_connected(bob.member) and bob.peers.is_connected(alice.member)


def test_the_next_initiation_shows_the_cookie_at_once_for_two_minutes():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    under_load(bob, network.now)
    alice.peers.connect(bob.member, network.now)
    network.run(1)
    peer = alice.peers._members[bob.member]
    for seconds, shows in ((50, True), (60, True), (20, False)):
        network.run(seconds)
        network.log.clear()
        peer.handshaking.start(network.now)
        assert (network.log[0][0][1136:] != bytes(16)) is shows
        network.run(1)


def test_a_cookie_of_an_old_secret_is_replaced_by_a_new_one():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    under_load(bob, network.now)
    network.run(60)
    under_load(bob, network.now, 20_000)
    alice.peers.connect(bob.member, network.now)
    network.run(70)  # hers counts for 50 s more, his secret is over
    under_load(bob, network.now, 30_000)
    network.log.clear()
    alice.peers._members[bob.member].handshaking.start(network.now)
    network.run(0.01)
    assert [data[0] for data, _, _ in network.log[:4]] == [1, 3, 1, 2]
    assert network.log[0][0][1136:] != network.log[2][0][1136:] != bytes(16)


def test_a_removed_member_that_still_holds_a_gate_gets_a_cookie_at_most():
    network = Network()
    alice, bob = pair(network)
    bob.peers.set_members({bob.member: ()})
    network.run(1)
    network.log.clear()
    for attempt in range(1, 200):
        _, datagram = initiation_to(bob, attempt=attempt, ephemeral=bytes([attempt]) * 32)
        bob.peers.datagram_received(datagram, alice.address, network.now)
        for answer in sent_to(network, alice.address):
            bob.peers.datagram_received(answered_with_mac2(bob, datagram, answer), alice.address, network.now)
            network.log.pop()
        assert not network.log
    assert bob.peers.counters["initiation: under load, answered with a cookie"] == 199 - LOAD_PER_S
    assert bob.peers.counters["initiation: not a member"] == BURST_SOURCE
    assert bob.peers._context.channels == {}


def test_a_mac2_counts_only_at_the_address_that_it_was_given_to():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    under_load(bob, network.now)
    _, datagram = initiation_to(bob)
    bob.peers.datagram_received(datagram, STRANGER, network.now)
    (answer,) = sent_to(network, STRANGER)
    shown = answered_with_mac2(bob, datagram, answer)
    for place in (Address(STRANGER.ip, 667), Address("203.0.113.67", 666)):
        bob.peers.datagram_received(shown, place, network.now)
        assert [len(data) for data in sent_to(network, place)] == [64]
    bob.peers.datagram_received(shown, STRANGER, network.now)
    assert [len(data) for data in sent_to(network, STRANGER)] == [64, 1152]


def asked(network):
    """Alice asked Bob, and nothing was delivered yet."""
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    ((initiation, _, _),) = network.log
    network._queue.clear()
    network.log.clear()
    index = int.from_bytes(initiation[4:8], "little")
    return alice, bob, initiation, index


def cookie_for(bob, initiation, index, gate=SECRETS.gate):
    sealer = CookieSealer(cookies.cookie_key(bob.member, gate), b"n" * 16)
    return sealer.datagram(receiver_index=index, cookie=b"c" * 16, mac1=initiation[1120:1136])


def test_a_cookie_that_is_forged_repeated_or_from_elsewhere_changes_nothing_and_gets_no_answer():
    network = Network()
    alice, bob, initiation, index = asked(network)
    genuine = cookie_for(bob, initiation, index)
    for place in range(8, 64):
        forged = bytearray(genuine)
        forged[place] ^= 1
        alice.peers.datagram_received(bytes(forged), bob.address, network.now)
    alice.peers.datagram_received(cookie_for(bob, initiation, index, b"x" * 32), bob.address, network.now)
    alice.peers.datagram_received(cookie_for(bob, initiation, index ^ 1), bob.address, network.now)
    alice.peers.datagram_received(genuine, STRANGER, network.now)
    assert network.log == []
    counters = alice.peers.counters
    assert (counters["cookie: not authentic"], counters["cookie: to nothing"]) == (57, 1)
    assert counters["cookie: not asked for"] == 1
    for _ in range(5):
        alice.peers.datagram_received(genuine, bob.address, network.now)
    ((again, _, target),) = network.log
    assert target == bob.address and again == handshake.with_cookie(initiation, b"c" * 16)
    bob.peers.datagram_received(initiation, alice.address, network.now)
    network.run(0.01)
    assert alice.peers.is_connected(bob.member)


def test_a_cookie_after_the_handshake_is_to_nothing():
    network = Network()
    alice, bob, initiation, index = asked(network)
    bob.peers.datagram_received(initiation, alice.address, network.now)
    network.run(0.01)
    network.log.clear()
    alice.peers.datagram_received(cookie_for(bob, initiation, index), bob.address, network.now)
    assert network.log == [] and alice.peers.counters["cookie: to nothing"] == 1
    assert alice.peers.is_connected(bob.member)


def test_two_members_under_load_do_not_answer_each_others_cookies():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    under_load(alice, network.now)
    under_load(bob, network.now)
    alice.peers.connect(bob.member, network.now)
    bob.peers.connect(alice.member, network.now)
    network.run(0.9)
    assert alice.peers.is_connected(bob.member) and bob.peers.is_connected(alice.member)
    assert sum(data[0] == 3 for data, _, _ in network.log if len(data) == 64) <= 2


def test_an_answer_to_an_initiation_is_never_longer_than_it():
    network = Network()
    _, bob = pair(network)
    network.run(1)
    network.log.clear()
    for datagram in with_right_mac1(bob, 300):
        bob.peers.datagram_received(datagram, STRANGER, network.now)
    assert {len(data) for data, _, _ in network.log} == {64} and len(network.log) == 300 - LOAD_PER_S
