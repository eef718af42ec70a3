"""A window that plays its own seat, for shows and for tests: what it asks for, and when, is a headless player's.

It plays in the member's thread, beside the window: what is drawn never delays it, so what its journal says about
outages is what a player without a window would have written.
"""

from __future__ import annotations

import failover
from demo_game.player import Player, play
from demo_game.records import Journal


async def play_seat(member: failover.Member, player: Player, journal: Journal) -> None:
    """Play until the member closes; for `MemberThread.run`. Seat, nonce and rematch are asked for here, too."""
    await member.read_barrier()  # who comes back looks at the present table, not at an empty one
    await play(member, player, journal)
