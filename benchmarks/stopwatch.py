#!/usr/bin/env python3
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure one program on the host itself, without the way there.

``stopwatch.py [--aside FOLDER] [--fresh PROJECT] [--without PATH] FOLDER -- command...`` runs the command in FOLDER and
prints ``{"seconds": …, "processor": …, "output": "…"}``: seconds of the whole process, with the start of its
interpreter, and seconds of processors that it and what it started used. What is to be prepared is not measured, and
neither is the writing to the disk of what was left in memory before.

Nothing is deleted, only put aside: for a minute and more ext4 does not use the inodes of deleted files again, and looks
for others past all of them. After 31,000 files were deleted, making as many took 17 to 20 s instead of 7 to 8.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time


def main() -> int:
    """Prepare, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aside", metavar="FOLDER", type=pathlib.Path, help="where to put what goes away")
    parser.add_argument("--fresh", metavar="PROJECT", help="make the folder anew, with the files of this one")
    parser.add_argument("--without", metavar="PATH", help="put this aside first")
    parser.add_argument("folder")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    for path in (arguments.without, arguments.fresh and arguments.folder):
        if path and os.path.lexists(path):
            arguments.aside.mkdir(parents=True, exist_ok=True)
            os.rename(path, arguments.aside / str(time.monotonic_ns()))
    if arguments.fresh:
        pathlib.Path(arguments.folder).mkdir(parents=True)
        for file in pathlib.Path(arguments.fresh).iterdir():
            shutil.copy(file, arguments.folder)
    os.sync()
    begin = time.monotonic()
    done = subprocess.run(arguments.command, cwd=arguments.folder, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = usage.ru_utime + usage.ru_stime
    if done.returncode:
        sys.stderr.write(f"exit status {done.returncode}: {done.stdout[-4000:]}{done.stderr[-4000:]}")
    else:
        json.dump({"seconds": seconds, "processor": processor, "output": done.stdout}, sys.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
