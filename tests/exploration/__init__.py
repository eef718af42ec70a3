"""Every state that a few real cores can reach, within bounds: what the guarantees rest on, tried without luck."""
