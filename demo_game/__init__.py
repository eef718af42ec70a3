"""Hexhold, a hex dice war for 2 to 8 players that goes on when its host leaves.

The rooms, from the purest to those that meet the world:

    luck          dice that nobody can reroll: draws with keys, nonces, the seal
    land          the map: territories grown on a hex grid
    rules         position, moves, outcome, text notation
    bots          three players made of arithmetic
    balance       many games between bots: is every seat worth the same?

    coding        frozen dataclasses to bytes and back, strictly
    commands      what can be asked of the table, and what it answers
    table         the lobby and the game as one immutable value
    turns         what commands do while a game runs; the turn clock
    lobby         what commands do around it: seats, options, nonces, chat
    machine       the state machine that failover replicates

    host_function what only the host does: the clock, the bots, the watch for absent players
    player        a player without a window
    session       a process at the table: opens a member, leaves in good order
    palette, terminal, console   colours and glyphs; the board as text; moves typed as lines

    replay, kept  a game in a file; the present one, kept while it is played
    scrutiny, verify             is a table from a file one of a game; is a file in order, are two the same game
    retelling, showing           a replay as lines, and as boards in a terminal
    witnessing    a third vote for two players, without a copy of the game
    following, agreement         a machine that a window can follow; do all copies of the table agree?
    window/       everything that people see, hear and click; its own map is in its `__init__`

    records, evidence            what players write down, and what it proves
    players, stage, showcase     several players on this machine, their host killed
    figures       what that showed: counted while it runs, judged at its end
    cli, cli_menu, cli_table, cli_files, ...         the command line: one module for each kind of command

Down to `machine` nothing knows how failover works; nothing but the window knows pyglet.
"""
