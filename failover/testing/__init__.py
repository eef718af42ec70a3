"""The workshop: simulated networks, disks and clocks, and checkers that know nothing of the faults."""
