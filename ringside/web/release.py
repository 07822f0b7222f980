"""What a teacher downloads: build/release/.

usage: scripts/ringside release

floppy.img, ringpong.iso, ringpong.html, the page's folder as an archive, CHANGES.md, the licences, and SHA256SUMS of
all. The same sources and tools give the same bytes. (make release makes first what goes into it.)
"""

import argparse
import hashlib
import io
import pathlib
import shutil
import tarfile

from ringside.emulators.machines import BUILD, ROOT, VERSION
from ringside.web.site import OUT, squeeze

RELEASE = BUILD / "release"
ISO = BUILD / "ringpong.iso"
DATE = 1700000000   # of every file in the archive


def archive(folder: pathlib.Path, name: str) -> bytes:
    """A .tar of a folder, in one order, with one date and no owner."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(f"{name}/{path.relative_to(folder)}")
            entry.size, entry.mtime, entry.mode = path.stat().st_size, DATE, 0o644
            with path.open("rb") as file:
                tar.addfile(entry, file)
    return made.getvalue()


def build() -> list[str]:
    """Fills build/release/; its lines of SHA256SUMS."""
    shutil.rmtree(RELEASE, ignore_errors=True)
    RELEASE.mkdir(parents=True)
    files = {"floppy.img": BUILD / "floppy.img", "ringpong.iso": ISO, "ringpong.html": OUT / "ringpong.html",
             "CHANGES.md": ROOT / "CHANGES.md", "LICENSE": ROOT / "LICENSE"}
    for name in ("COPYING", "LICENCES.txt"):
        if (OUT / name).exists():
            files[name] = OUT / name
    for name, path in files.items():
        if not path.exists():
            raise SystemExit(f"release: {path.relative_to(ROOT)} is not there: make release makes it first")
        shutil.copyfile(path, RELEASE / name)
    page = f"ringpong-page-{VERSION}"
    (RELEASE / f"{page}.tar.gz").write_bytes(squeeze(archive(OUT, page)))
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in sorted(RELEASE.iterdir())]
    (RELEASE / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    return sums


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    if parser.parse_args(arguments).help:
        print(__doc__)
        return 0
    print("\n".join(build()))
    print(f"release: {RELEASE.relative_to(ROOT)}/")
    return 0
