"""Where things are: the repository, what is built, and a place for files that come and go."""

import os
import pathlib
import re

Path = str | os.PathLike[str]

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
FLOPPY = BUILD / "floppy.img"
PROGRAM = BUILD / "p_proc.elf"
VERSION = re.findall(r'VERSION\t"(.*)"', (ROOT / "show/version.h").read_text())[0]
FLOPPY_BYTES = 1440 * 1024

# For files that come and go, unless the user has a place for them: a folder that costs no disk, where
# there is one.
IN_MEMORY = "/dev/shm" if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK) else None
