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

# For files that come and go: a folder that costs no disk, where there is one; the second unless the user has a place
# for them.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
IN_MEMORY = MEMORY if "TMPDIR" not in os.environ else None
