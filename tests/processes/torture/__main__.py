"""`python -m tests.processes.torture`: real members, killed, paused, cut off and filled up, as long as you like.

Exit status 0: nothing was broken, and everything was tried. 1: something was broken; the evidence is kept.
2: this machine cannot do it (Linux, root and nftables are needed).
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
from pathlib import Path

from tests.lab.namespaces import NoLab
from tests.processes.torture.planted import BUGS
from tests.processes.torture.torture import Torture


def main() -> int:
    """Read the command line, run, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.processes.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10); one storm at least")
    parser.add_argument("--seed", type=int, default=None, help="of what is done to them (default: a new one)")
    parser.add_argument("--json", type=Path, default=None, help="a file for the report")
    parser.add_argument("--folder", type=Path, default=Path("build/torture"), help="for the evidence")
    parser.add_argument("--keep", action="store_true", help="keep the evidence though nothing was found")
    parser.add_argument("--planted", choices=sorted(BUGS), help="put this bug into the members: is it found?")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    folder: Path = (given.folder / f"seed-{seed}").absolute()
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    print(f"seed {seed}, {given.minutes:g} minutes", flush=True)
    try:
        report = Torture(seed, given.minutes, folder, given.planted).run()
    except NoLab as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({name: value for name, value in report.items() if name != "found"}, indent=2))
    for each in report["found"]:
        print(each)
    if not report["violations"] and not given.keep:
        shutil.rmtree(folder)
        report["evidence"] = None
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if report["violations"]:
        print(f"the evidence is in {folder}; again: --seed {seed} --minutes {given.minutes:g}")
    return 1 if report["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
