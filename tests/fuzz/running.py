"""One target under atheris, in the process that this is. `python -m tests.fuzz` starts it; libFuzzer ends it.

    python -m tests.fuzz.running TARGET SECONDS CORPUS FOUND

What reads and what keeps state is instrumented, so that an input that reaches a new branch is kept and varied.
"""

from __future__ import annotations

import logging
import sys
import time

BEGAN = time.monotonic()
INSTRUMENTED = [
    "failover.net", "failover.wire", "failover.records", "failover.settings", "failover.storage.records",
    "failover.raft", "failover.cli", "tests.fuzz.parsers", "tests.fuzz.planted",
]  # fmt: skip
INPUT_S_MAX = 20
"""An input that takes longer is a failure: no datagram may cost so much. Many run at once on a small machine."""
MEMORY_MB_MAX = 1_500


def main() -> None:
    """Run until the time is over, or something is found; then the exit status is not 0."""
    name, seconds, corpus, found = sys.argv[1:]
    import atheris  # only where it is wanted: there are no wheels for all systems

    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.targets import PLANTED, TARGETS
    target = (TARGETS | PLANTED)[name]
    left = max(1, round(float(seconds) - (time.monotonic() - BEGAN)))
    options = [
        f"-max_total_time={left}", f"-max_len={target.size_max}", f"-timeout={INPUT_S_MAX}", "-len_control=20",
        "-verbosity=0", f"-rss_limit_mb={MEMORY_MB_MAX}", f"-artifact_prefix={found}/{name}-",
        "-print_final_stats=1", corpus,
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
