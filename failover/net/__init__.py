"""The gate: encrypted UDP between members. All is sans-IO (bytes and times in, bytes out) but the sockets, in
`endpoint.py` and `rendezvous.py`.

peers        what the driver talks to; context, peer, handshaking, gatekeeper are its parts
endpoint     the sockets; custom adapts a game's own network
noise, handshake, channel, replay      keys, and the datagrams that they seal
paths, places, relaying        where a peer is reached, and members that pass on
frames, codec (compiler, bounds)       what the datagrams carry
transfers, sending, receiving, arriving, congestion    messages larger than a datagram
tickets, addresses, timings            texts and numbers
discovery, zeroconf_board    how members that moved recognise each other on a LAN
short_codes, code_exchange (giver, seeker), rendezvous    how a code read aloud becomes a ticket
titles, code_lister    which games say on the LAN that they are open
"""
