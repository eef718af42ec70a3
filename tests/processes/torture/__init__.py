"""Torture: five real members on SQLite, each with a network and a disk of its own, while all goes wrong.

General layout: `torture` is one run. `strokes` says what goes wrong and when, from a seed; `ground` has the
networks and disks that it happens to, `seats` the processes. A `worker` is one member, with `clients` that ask it
for things of the `registers`, and a clock of `clocks`; it writes `notes`. `histories` puts them together, and
`judging` judges. `planted` has bugs that must be found.

It shows nothing about power loss (a SIGKILL leaves the kernel's cache alone), and nothing that time alone shows.
"""
