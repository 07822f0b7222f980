"""What all tests share. `make test` builds before it calls pytest; this builds nothing."""

import collections
import fcntl
import os
import pathlib
import subprocess
import tempfile

import pytest

import tidy  # first: it says where temporary files go
from ringside.emulators import machines
from ringside.labs import handin
from ringside.recorder import record, recording


def pytest_configure(config):
    tidy.pytest_configure(config)
    config.addinivalue_line("markers", "xdist_group(name): one worker runs all tests of a group")
    config.addinivalue_line("markers", "long: takes seconds of the host's processor; make test-long runs it, not make test")
    config.addinivalue_line("markers", "sample(n): of a test's many cases make test runs each n-th, make test-long the others")
    if not machines.FLOPPY.exists():
        raise pytest.UsageError(f"no {machines.FLOPPY.relative_to(machines.ROOT)}: run: make")
    if not config.option.basetemp:
        config.option.basetemp = machines.BUILD / "pytest"


@pytest.hookimpl(tryfirst=True)     # -m chooses among the marks later
def pytest_collection_modifyitems(items):
    """What tests of a module share, such as a recording, is made once: by one of the workers, which
    runs all of them. They come first, so that all others can fill the workers' time until the end."""
    seen = collections.Counter()
    for item in items:
        sample = item.get_closest_marker("sample")
        if sample and seen[item.function] % sample.args[0]:
            item.add_marker("long")
        seen[item.function] += 1

    def shared(item):
        found = item._fixtureinfo.name2fixturedefs.items()
        return [name for name, fixtures in found if fixtures[-1].scope == "module"]

    for item in items:
        if names := shared(item):
            parameters = getattr(item, "callspec", None)
            values = [str(parameters.params[name]) for name in sorted(names) if parameters and name in parameters.params]
            item.add_marker(pytest.mark.xdist_group("-".join([item.module.__name__, *values])))
    items.sort(key=lambda item: not shared(item))


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """recorded("bochs", switches=4): what record.record gives; made once, whichever worker asks first."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "recordings"
    folder.mkdir(exist_ok=True)

    def recorded(*which, **options):
        path = folder / "-".join(map(str, [*which, *sum(sorted(options.items()), ())]))
        with open(f"{path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                recording.save(record.record(*which, **options), path)
        return recording.load(path)
    return recorded


@pytest.fixture(scope="session")
def sector(tmp_path_factory):
    """sector("HALTS"): tests/kernels/sector with that fate: the paths of its image and its ELF."""
    folder = tmp_path_factory.mktemp("sector")

    def build(fate):
        elf, made = folder / f"{fate}.elf", folder / f"{fate}.img"
        if not made.exists():
            source = machines.ROOT / "tests/kernels/sector/sector.S"
            subprocess.run(["gcc", "-m32", "-g", "-c", f"-DFATE={fate}", "-o", folder / "o", source], check=True)
            subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "-e", "start", "-o", elf, folder / "o"], check=True)
            subprocess.run(["objcopy", "-O", "binary", "-j", ".text", elf, made], check=True)
        return made, elf
    return build


@pytest.fixture
def qemu():
    """The floppy, booted in QEMU."""
    with machines.Qemu() as machine:
        yield machine


@pytest.fixture
def debugger():
    """The floppy at the first prompt of Bochs."""
    with machines.Bochs() as machine:
        yield machine


@pytest.fixture
def place():
    """A folder that another user may enter, as pytest's own may not be."""
    with tempfile.TemporaryDirectory(prefix="rp-labs-", dir=handin.FOLDERS) as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)
