"""The lab: real members, real sockets, and networks that are as bad as one likes. Linux, as root.

namespaces.py   what all of it stands on: commands, namespaces that go away again, sockets inside them
homes.py        an internet of namespaces, and homes with their routers around it: the fixture `open_homes`
links.py        delay, jitter, loss, rate, queues, doubles, stragglers: a plan for each datagram, from a seed
emulator.py     the process between the homes that carries the plan out: `homes.emulate(...)`
player.py       one member that plays at a steady pace and times itself
__main__.py     all of that by hand: `python -m tests.lab --help`
conftest.py     the fixtures; and `lan`, three members on one switch
"""
