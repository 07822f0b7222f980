"""The boot sector on damaged disks: it starts the program unchanged, or says why not."""

import itertools
import random
import re

from ringside.emulators import debuggers
import pytest
from fat12 import CLUSTERS, FATS, FILES, NO_FILE, ROOT, SECTOR, Floppy, checksum
from ringside.emulators.machines import FLOPPY

NAME = b"P_PROC  COM"
TWIN = b"TWIN    COM"
PROGRAM = Floppy(FLOPPY).read(NAME)
BOOT_SECTOR, ENTERED = 0x7c00, 0x10100
WAITS_FOR_A_KEY = BOOT_SECTOR + FLOPPY.read_bytes()[:SECTOR].index(b"\xcd\x16")    # int $0x16


# ---- damage: each takes what it is to do from a random.Random

def scribble(dice, floppy, start, size):
    """One of the ways in which bytes go bad."""
    how = dice.randrange(4)
    for at in range(start, start + size):
        if how == 0:
            floppy.data[at] = 0
        elif how == 1:
            floppy.data[at] = 0xf6      # what formatting leaves behind
        elif how == 2:
            floppy.data[at] = dice.randrange(256)
        else:
            floppy.data[at] ^= 1 << dice.randrange(8)


def piece(dice, floppy, start, size):
    length = min(size, dice.choice([1, 1, 2, 4, 32, 512]))
    scribble(dice, floppy, start + dice.randrange(size - length + 1), length)


def bpb(dice, floppy):
    piece(dice, floppy, 3, 62 - 3)


def links(*copies):
    """The FAT leads elsewhere from some clusters of the program."""
    def damage(dice, floppy):
        chain, twin = floppy.clusters[NAME], floppy.clusters[TWIN]
        for cluster in dice.sample(chain, dice.choice([1, 1, 1, 2, 5])):
            following = dice.choice([0, 1, 0xff7, 0xff8, 0xfff, dice.randrange(0x1000), dice.choice(CLUSTERS),
                                     dice.choice(chain), dice.choice(chain), dice.choice(twin),
                                     twin[chain.index(cluster)]])
            floppy.link(cluster, following, copies)
    return damage


def fat_bytes(*copies):
    """Some bytes of the FAT, most of them where the program's clusters are."""
    def damage(dice, floppy):
        seed = dice.random()
        for copy in copies:
            same = random.Random(seed)
            start, size = same.choice([(0, 9 * SECTOR), (3, len(floppy.clusters[NAME]) * 3 // 2)])
            piece(same, floppy, copy * SECTOR + start, size)
    return damage


def entry_bytes(dice, floppy):
    piece(dice, floppy, floppy.entry(NAME), 32)


def directory_bytes(dice, floppy):
    piece(dice, floppy, ROOT * SECTOR, 14 * SECTOR)


def size(dice, floppy):
    now = len(PROGRAM)
    floppy.set(floppy.entry(NAME), size=dice.choice([
        0, 1, now - 512, now + 512, now + dice.randrange(-511, 512), 0xf000, 0xf001, now | 1 << 16,
        dice.getrandbits(16), dice.getrandbits(32)]))


def start(dice, floppy):
    chain, twin = floppy.clusters[NAME], floppy.clusters[TWIN]
    floppy.set(floppy.entry(NAME), cluster=dice.choice([
        0, 1, 0xb20, 0xb21, 0xfff, twin[0], chain[1], dice.choice(chain), dice.choice(CLUSTERS),
        dice.getrandbits(16)]))


def exchange(dice, floppy):
    """Two clusters of the program have changed places: the chain is as long as ever."""
    one, other = (floppy.place(cluster) for cluster in dice.sample(floppy.clusters[NAME], 2))
    floppy.data[one:one + SECTOR], floppy.data[other:other + SECTOR] = \
        floppy.data[other:other + SECTOR], floppy.data[one:one + SECTOR]


def content(dice, floppy):
    piece(dice, floppy, floppy.place(dice.choice(floppy.clusters[NAME])), SECTOR)


def truncate(dice, floppy):
    """Cut off: anywhere, or, half of the time, within what a boot reads."""
    del floppy.data[dice.choice([dice.randrange(512, len(floppy.data)),
                                 dice.randrange(512, FILES * SECTOR + len(PROGRAM))]):]


FAT, COPY = FATS
KINDS = [bpb, links(COPY), fat_bytes(COPY), links(FAT), fat_bytes(FAT), links(FAT, COPY), fat_bytes(FAT, COPY),
         entry_bytes, directory_bytes, size, start, exchange, content]


def damaged(seed):
    """A floppy with the damage of KINDS[seed], often with more, at times cut off."""
    dice = random.Random(seed)
    floppy = Floppy(FLOPPY)
    count = len(floppy.chain(NAME))
    clusters = dice.choice([CLUSTERS, dice.sample(CLUSTERS, 2 * count)])    # in one piece, or all over the disk
    floppy.write(NAME, PROGRAM, clusters[:count])
    floppy.write(TWIN, dice.randbytes(len(PROGRAM)), clusters[count:])
    floppy.clusters = {name: floppy.chain(name) for name in (NAME, TWIN)}
    for damage in [KINDS[seed % len(KINDS)], *dice.sample(KINDS, dice.choice([0, 0, 1, 2]))]:
        try:
            damage(dice, floppy)
        except StopIteration:
            pass            # the program no longer has a directory entry
    if not dice.randrange(6):
        truncate(dice, floppy)
    return floppy


def has_a_sum(floppy):
    """Whether the program's entry asks for a check: 0 stands for a file that was never summed."""
    return any(floppy.data[at:at + 11] == NAME and not floppy.data[at + 11] & NO_FILE and floppy.get(at, "sum")
               for at in floppy.entries())


def complaint(floppy):
    """What is wrong with the program on a floppy, "" if nothing."""
    used = itertools.takewhile(lambda at: floppy.data[at], floppy.entries())
    entry = next((at for at in used if floppy.data[at:at + 11] == NAME and not floppy.data[at + 11] & NO_FILE), None)
    if entry is None:
        return "no file"
    cluster, length, total = (floppy.get(entry, field) for field in ("cluster", "size", "sum"))
    found = b""
    while cluster in CLUSTERS and len(found) < length <= 0xf000:
        found += floppy.data[floppy.place(cluster):][:SECTOR]
        cluster = floppy.after(cluster)
    whole = 0 <= len(found) - length < SECTOR and length and cluster >= 0xff8
    return "" if whole and total in (0, checksum(found[:length])) else "bad file"


# ---- what comes of it

@pytest.fixture
def image(tmp_path):
    path = tmp_path / "floppy.img"
    yield path
    path.unlink()       # there are many


def boots_or_complains(machine, floppy):
    if machine.run_to(ENTERED, WAITS_FOR_A_KEY) == ENTERED:
        said = ""
        assert machine.read(ENTERED, len(PROGRAM)) == PROGRAM or not has_a_sum(floppy)
    else:
        screen = machine.read(0xb8000, 80 * 25 * 2)[::2].decode("cp437")
        said = re.search(r"(no file|bad file|disk error ..: file) P_PROC  COM, press a key", screen)[1]
    # What an emulator reads behind the end of an image is its own affair.
    if len(floppy.data) == FLOPPY.stat().st_size:
        assert said == complaint(floppy)


@pytest.mark.sample(6)
@pytest.mark.parametrize("seed", range(240))
def test_qemu_starts_the_program_or_says_what_is_wrong(seed, image):
    floppy = damaged(seed)
    with debuggers.DebuggedQemu(floppy.save(image), drive="writable") as machine:
        boots_or_complains(machine, floppy)
        assert not any(drive["stats"]["wr_operations"] for drive in machine.qmp("query-blockstats"))
    assert image.read_bytes() == floppy.data


@pytest.mark.sample(4)
@pytest.mark.parametrize("seed", range(0, 240, 10))
def test_bochs_starts_the_program_or_says_what_is_wrong(seed, image):
    floppy = damaged(seed)
    options = [f"floppya: 1_44={floppy.save(image)}, status=inserted, write_protected=0"]
    with debuggers.DebuggedBochs(image, options=options) as machine:
        boots_or_complains(machine, floppy)
    assert image.read_bytes() == floppy.data


def test_a_megabyte_of_the_floppy_is_free():
    floppy = Floppy(FLOPPY)
    assert len(floppy.data) == 1440 * 1024
    assert SECTOR * sum(not floppy.after(cluster) for cluster in CLUSTERS) >= 1 << 20
