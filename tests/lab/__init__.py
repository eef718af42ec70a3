"""The lab: real members, real sockets, and networks that are as bad as one likes. Linux, as root.

namespaces.py   what all of it stands on: commands, namespaces that go away again, sockets inside them
homes.py        an internet of namespaces, and homes with their routers around it: the fixture `open_homes`
conftest.py     the fixtures; and `lan`, three members on one switch
"""
