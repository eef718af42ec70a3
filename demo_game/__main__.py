"""`python -m demo_game` is `demo-game`."""

from demo_game.cli import main

main()
