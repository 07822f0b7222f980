"""A floppy with one program on it, in place of what scripts/mkfloppy makes in ten times the time.

    image = that_starts(com)    com: the program's bytes; the boot sectors are those of the floppy that ships
"""

from ringside.emulators.machines import FLOPPY, FLOPPY_BYTES

SECTOR = 512
FATS, FAT_BYTES = (2 * SECTOR, 11 * SECTOR), 9 * SECTOR
ROOT_DIRECTORY, DATA = 20 * SECTOR, 34 * SECTOR
LABEL_AND_FIRST = 2 * 32            # entries of the directory: the first file's is what the boot sector starts
ENTRY_SUM, ENTRY_CLUSTER, ENTRY_SIZE = 20, 26, 28   # in an entry; the sum: see boot.S
SUM_DIVISOR = 65519
MEDIA, LAST, FIRST_CLUSTER = (0xff0, 0xfff), 0xfff, 2
LARGEST = 60 * 1024                 # what the boot sector loads


def _fat(clusters: int) -> bytes:
    """FAT12, of one file in one piece."""
    entries = [*MEDIA, *range(FIRST_CLUSTER + 1, FIRST_CLUSTER + clusters), LAST]
    entries += [0] * (len(entries) % 2)
    pairs = (low | high << 12 for low, high in zip(entries[::2], entries[1::2]))
    return b"".join(pair.to_bytes(3, "little") for pair in pairs).ljust(FAT_BYTES, b"\0")


def _sum(data: bytes) -> int:
    total = 0
    for place in range(0, len(data), 2):
        total = (total << 16 | int.from_bytes(data[place:place + 2], "little")) % SUM_DIVISOR
    return total


def that_starts(com: bytes) -> bytes:
    with open(FLOPPY, "rb") as file:
        head = bytearray(file.read(DATA))
    for place in FATS:
        head[place:place + FAT_BYTES] = _fat(-(-len(com) // SECTOR))
    entry = ROOT_DIRECTORY + LABEL_AND_FIRST // 2
    head[entry + ENTRY_SUM:entry + ENTRY_SUM + 2] = _sum(com).to_bytes(2, "little")
    head[entry + ENTRY_SIZE:entry + ENTRY_SIZE + 4] = len(com).to_bytes(4, "little")
    head[ROOT_DIRECTORY + LABEL_AND_FIRST:DATA] = bytes(DATA - ROOT_DIRECTORY - LABEL_AND_FIRST)
    return bytes(head + com).ljust(FLOPPY_BYTES, b"\0")
