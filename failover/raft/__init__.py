"""The study: the pure core of Raft. It decides, and does nothing else: no I/O, no clock, no dice of its own."""
