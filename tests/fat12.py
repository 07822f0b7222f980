"""A floppy's FAT and root directory, to be looked at and to be damaged.

Files go by the eleven bytes that stand in their directory entries.
"""

import struct

from ringside.emulators import machines

SECTOR = 512
FATS = 2, 11                # first sectors of the FAT and of its copy
ROOT, ENTRIES = 20, 224     # first sector, number of entries
FILES = 34                  # the sector of cluster 2
CLUSTERS = range(2, 2848)
END = 0xfff
LABEL, DIRECTORY, LONG_NAME, READ_ONLY, ARCHIVE = 0x08, 0x10, 0x0f, 0x01, 0x20
NO_FILE = LABEL | DIRECTORY

_FIELDS = {"name": ("11s", 0), "attributes": ("B", 11), "cluster": ("H", 26), "sum": ("H", 20), "size": ("I", 28)}


def checksum(content):
    """The field "sum" of a file's entry, see boot.S; 0 is not checked."""
    words = reversed(range(0, len(content), 2))
    return int.from_bytes(b"".join(content[at:at + 2].ljust(2, b"\0") for at in words), "little") % 65519


class Floppy:
    """A copy of an image, in memory until it is saved."""

    def __init__(self, image):
        self.data = bytearray(image.read_bytes())

    def save(self, image):
        machines.write_image(image, self.data)
        return image

    # ---- the directory

    def entries(self):
        """The offsets of all entries, used or not."""
        return range(ROOT * SECTOR, ROOT * SECTOR + ENTRIES * 32, 32)

    def entry(self, name):
        """The offset of a file's entry, or, for b"", of the first that was never used."""
        return next(at for at in self.entries()
                    if self.data[at:at + 11].rstrip(b"\0") == name and not self.data[at + 11] & NO_FILE)

    def get(self, entry, field):
        """What the entry of a file, or the one at an offset, says."""
        code, offset = _FIELDS[field]
        return struct.unpack_from("<" + code, self.data, self._start(entry) + offset)[0]

    def set(self, entry, **fields):
        """Changes what the entry of a file, or the one at an offset, says."""
        start = self._start(entry)
        for field, value in fields.items():
            code, offset = _FIELDS[field]
            struct.pack_into("<" + code, self.data, start + offset, value)

    def _start(self, entry):
        return entry if isinstance(entry, int) else self.entry(entry)

    # ---- the FAT

    def after(self, cluster):
        """What the FAT says behind a cluster."""
        word, = struct.unpack_from("<H", self.data, FATS[0] * SECTOR + cluster * 3 // 2)
        return word >> 4 if cluster % 2 else word & 0xfff

    def link(self, cluster, value, fats=FATS):
        """Makes the FAT, and its copy, say something else behind a cluster."""
        for fat in fats:
            at = fat * SECTOR + cluster * 3 // 2
            word, = struct.unpack_from("<H", self.data, at)
            word = word & 0x00f | value << 4 if cluster % 2 else word & 0xf000 | value
            struct.pack_into("<H", self.data, at, word)

    def chain(self, name):
        """The clusters of a sound file, in order."""
        clusters = [self.get(name, "cluster")]
        while (cluster := self.after(clusters[-1])) in CLUSTERS:
            clusters.append(cluster)
        return clusters

    # ---- files

    def read(self, name):
        sectors = (self.place(cluster) for cluster in self.chain(name))
        return b"".join(self.data[at:at + SECTOR] for at in sectors)[:self.get(name, "size")]

    def write(self, name, content, clusters=None):
        """Writes a file anew, into the clusters given or into the first free ones.

        A file that was there loses its clusters, but nothing is checked: whatever lies
        in the clusters given is overwritten.
        """
        try:
            for cluster in self.chain(name):
                self.link(cluster, 0)
        except StopIteration:
            self.set(b"", name=name, attributes=ARCHIVE)
        count = -(-len(content) // SECTOR)
        clusters = clusters or [cluster for cluster in CLUSTERS if not self.after(cluster)]
        clusters = list(clusters)[:count]
        for index, (cluster, following) in enumerate(zip(clusters, clusters[1:] + [END])):
            at = self.place(cluster)
            piece = content[index * SECTOR:(index + 1) * SECTOR].ljust(SECTOR, b"\0")
            self.data[at:at + SECTOR] = piece
            self.link(cluster, following)
        self.set(name, cluster=clusters[0], size=len(content), sum=checksum(content))

    @staticmethod
    def place(cluster):
        """The offset of a cluster."""
        return (FILES + cluster - CLUSTERS[0]) * SECTOR
