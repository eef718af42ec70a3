"""failover keeps a game alive when the player who hosts it leaves."""
