"""The command line: looking at storages and tickets from outside a game, and the witness."""
