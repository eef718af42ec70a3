"""What people read about players and machines: short, and the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo_game.bots import Skill
from demo_game.table import AWAY_MS, MISSED_MAX, Phase, Seat, Standing, Table

if TYPE_CHECKING:
    import failover

FITTEST = 255


def clock_words(ms: int) -> str:
    """Return a time as people read it: `0:28`."""
    seconds = max(0, ms) // 1_000
    return f"{seconds // 60}:{seconds % 60:02}"


def seat_note(table: Table, seat: Seat, now_ms: int) -> str:
    """Return why a seat is not simply played by its person; empty mostly."""
    if seat.skill:
        return Skill(seat.skill).name.lower()
    if seat.standing is Standing.SURRENDERED:
        return "gave up, a bot plays"
    if seat.standing is Standing.LEFT:
        return "left, a bot plays"
    if seat.away_ms:
        away_ms = max(0, now_ms - seat.away_ms)
        if table.on_turn is not seat:
            return f"away {clock_words(away_ms)}"
        if away_ms >= AWAY_MS:
            return f"away {clock_words(away_ms)}, a bot plays"
        return f"away {clock_words(away_ms)}, bot at {clock_words(AWAY_MS)}"
    return "a bot plays: press any territory" if seat.missed >= MISSED_MAX else ""


def role_of(member: failover.MemberStatus) -> str:
    """Return what a machine is at present: `host`, `voter`, `warm`, `witness` or `gone`."""
    if not member.is_connected:
        return "gone"
    if member.is_host:
        return "host"
    return "warm" if member.kind == "learner" else member.kind


def next_host(status: failover.Status) -> tuple[str, str] | None:
    """Return who would host next and why; None if nobody could."""
    members = {each.member: each for each in status.members}
    reachable = [members[m] for m in status.next_hosts if m in members and members[m].is_connected]
    candidates = [each for each in reachable if each.member != status.host]
    if not candidates:
        return None
    first = candidates[0]
    reasons = ["up to date"]
    if first.hint:
        best = all(first.hint >= other.hint for other in candidates)
        reasons.append(f"{'fittest' if best else 'fitness'} ({fitness_percent(first.hint)} %)")
    if first.round_trip_ms is not None:
        reasons.append(f"{first.round_trip_ms:.0f} ms away" if first.round_trip_ms >= 1 else "close by")
    return first.name, ", ".join(reasons)


def outlook(status: failover.Status) -> tuple[object, ...]:
    """Return what of a status is to be seen beside the board; while it stays the same, so does the picture."""
    machines = (
        (m.name, role_of(m), m.hint // 16, None if m.round_trip_ms is None else round(m.round_trip_ms))
        for m in status.members
    )
    return (status.host, status.next_hosts, *machines)


def fitness_percent(hint: int) -> int:
    """Return a hint in per cent of the fittest there is."""
    return round(100 * hint / FITTEST)


def where(table: Table) -> str:
    """Return where a game is, for the list of games to return to."""
    if table.phase is Phase.LOBBY:
        return "lobby"
    if table.position is None or table.phase is Phase.REVEAL:
        return "about to begin"
    return "game over" if table.phase is Phase.OVER else f"round {table.position.round}"


def luck_words(seat: Seat) -> str:
    """Return how lucky a seat was: the average of its dice beside 3.5."""
    if not seat.dice_thrown:
        return "no dice thrown"
    return f"{seat.pips / seat.dice_thrown:.2f} a die"
