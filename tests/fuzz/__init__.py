"""Fuzzing: bytes that nobody thought of, for everything that reads bytes from outside.

    python -m tests.fuzz --seconds 60                 # all targets in turn, one process each
    python -m tests.fuzz --target frames --seconds 600 --corpus build/fuzz
    python -m tests.fuzz --replay FILE...             # run found inputs again; needs no fuzzer

feed.py        how a target makes numbers, pieces and steps out of its bytes, and how a seed is written
world.py       one member whose peers are only channels; what must hold of it whatever they send
parsers.py     targets that read one thing: no error but the named one; what was read is written back alike
datagrams.py   datagrams of strangers, of holders of a ticket, and in handshakes
channels.py    what comes through a channel: frames of members, guests and contacts, direct and relayed; transfers
exchanges.py   short codes, announcements, cookies
members.py     the core of a member, and what its peers tell it
whole.py       whole members, of which one lies to the others
targets.py     all of them by name, with their seeds
running.py     one target after the other in a process of its own, under atheris
data/          what was found: each file is an input that once failed, named by its target
"""
