"""The boot sector finds its disk whatever the BIOS says about it, forgets, or loses.

A BIOS' habits are imitated by a hook in the interrupt table: a few instructions between
the boot sector and the BIOS that the emulator has.
"""

import struct
import subprocess

from ringside.emulators import debuggers
import pytest
from fat12 import Floppy
from ringside.emulators.machines import FLOPPY, Qemu

IMAGE = FLOPPY.read_bytes()
BOOT_SECTOR, ENTERED = 0x7c00, 0x10100
PROGRAM = Floppy(FLOPPY).read(b"P_PROC  COM")
HOOK = 0x600            # where a hook lies: above what the BIOS uses, far below the stack
DISK, DISKETTE_TABLE = 0x13 * 4, 0x1e * 4
HIDDEN = 0x7c1c
LAST_SECTOR = 4         # of a track, in the diskette table
WAITS_FOR_A_KEY = BOOT_SECTOR + IMAGE.index(b"\xcd\x16")    # int $0x16


@pytest.fixture
def assemble(tmp_path):
    """A hook's bytes; its first four are where "the BIOS" is: lcall *%cs:bios."""
    def assemble(source):
        source = f".code16\nbios: .long 0\n{source}\n"
        subprocess.run(["as", "--32", "-o", tmp_path / "o", "-"], check=True, text=True, input=source)
        subprocess.run(["ld", "-m", "elf_i386", "-Ttext", hex(HOOK), "-e", hex(HOOK), "--oformat", "binary",
                        "-o", tmp_path / "hook", tmp_path / "o"], check=True)
        return (tmp_path / "hook").read_bytes()
    return assemble


def hook(machine, code):
    """From here on int 0x13 is the code."""
    machine.write(HOOK, machine.read(DISK, 4) + code[4:])
    machine.write(DISK, struct.pack("<HH", HOOK + 4, 0))


def assert_enters(machine, drive):
    """It loads the program, whole, and says which drive it has found it on."""
    assert machine.run_to(ENTERED, WAITS_FOR_A_KEY) == ENTERED, machine.screen()
    assert machine.read(ENTERED, len(PROGRAM)) == PROGRAM
    assert machine.values()["edx"] & 0xff == drive


# ---- what a BIOS loses

LOSSES = {
    "the direction": "std",
    "bp": "mov $0x1234, %bp",
    "ds": "push %bp; mov $0x1234, %bp; mov %bp, %ds; pop %bp",
    "es, si and di": "mov $0x1234, %si; mov %si, %es; mov %si, %di",
}

LOSES = """
	pushf
	lcall	*%cs:bios
	{loss}
	lret	$2			# with the flags as they are: IF is clear, too
"""


@pytest.mark.parametrize("drive", ["floppy", "disk"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_bios_may_lose(loss, drive, assemble):
    with debuggers.DebuggedQemu(drive=drive) as machine:
        machine.run_to(BOOT_SECTOR)
        hook(machine, assemble(LOSES.format(loss=loss)))
        assert_enters(machine, 0x80 if drive == "disk" else 0)
        assert machine.values()["eflags"] & 0x600 == 0x200      # IF, no DF


# ---- the diskette table

OBEYS_THE_TABLE = f"""
	cmp	$0x02, %ah
	jne	1f
	push	%bp
	push	%ds
	push	%ax
	push	%bx
	xor	%bx, %bx
	mov	%bx, %ds
	lds	{DISKETTE_TABLE}, %bx
	add	%cl, %al		# one behind the last sector
	dec	%al
	cmp	{LAST_SECTOR}(%bx), %al
	pop	%bx
	pop	%ax
	pop	%ds
	pop	%bp
	ja	2f
1:	ljmp	*%cs:bios
2:	mov	$0x0400, %ax		# sector not found
	stc
	lret	$2
"""


def test_a_bios_may_obey_a_diskette_table_of_nine_sectors(assemble):
    table = 0x700
    with debuggers.DebuggedQemu() as machine:
        machine.run_to(BOOT_SECTOR)
        machine.write(table, b"\xaf\x02\x25\x02\x09\x2a\xff\x50\xf6\x0f\x08")
        machine.write(DISKETTE_TABLE, struct.pack("<HH", table - 0x20, 2))
        hook(machine, assemble(OBEYS_THE_TABLE))
        assert_enters(machine, 0)
        offset, segment = struct.unpack("<HH", machine.read(DISKETTE_TABLE, 4))
        assert machine.read(segment * 16 + offset, 11) == b"\xaf\x02\x25\x02\x12\x2a\xff\x50\xf6\x0f\x08"
        assert machine.read(table + LAST_SECTOR, 1) == b"\x09", "the BIOS' own table may be in a ROM"


# ---- a stick or a large floppy as drive 0

# Drive 0 is what drive 0x80 is, by tracks and heads alone; and there is no drive 0x80.
IS_A_FLOPPY = """
	.equ	TRACK, {track}
	.equ	HEADS, {heads}
	test	%dl, %dl
	jnz	no_drive
	cmp	$0x00, %ah
	je	good
	cmp	$0x08, %ah
	je	geometry
	cmp	$0x02, %ah
	jne	no_drive

	pusha
	push	%ds
	push	%cs
	pop	%ds
	mov	%al, packet + 2
	mov	%bx, packet + 4
	mov	%es, packet + 6
	mov	%cl, %bl		# the sector, from 1
	and	$0x3f, %bx
	cmp	$TRACK, %bx
	ja	beyond
	add	%bl, %al
	dec	%al
	cmp	$TRACK, %al
	ja	beyond			# reads no farther than to the track's end
	mov	%dh, %dl
	mov	$0, %dh
	cmp	$HEADS, %dx
	jae	beyond
	mov	%dx, %si
	mov	%ch, %al
	mov	$0, %ah
	mov	$HEADS, %cx
	mul	%cx
	add	%si, %ax
	mov	$TRACK, %cx
	mul	%cx
	add	%bx, %ax
	dec	%ax
	mov	%ax, packet + 8
	mov	$packet, %si
	mov	$0x80, %dl
	mov	$0x42, %ah
	pushf
	lcall	*bios
	jc	beyond
	pop	%ds
	popa
	mov	$0, %ah
good:	clc
	lret	$2
beyond:	pop	%ds
	popa
	mov	$0x04, %ah
	stc
	lret	$2
no_drive:
	mov	$0x01, %ah
	stc
	lret	$2
geometry:
	{geometry}
packet:	.byte	16, 0, 0, 0
	.long	0, 0, 0
"""
SAYS = "mov $79, %ch; mov ${track}, %cl; mov ${heads} - 1, %dh; mov $1, %dl; mov $0, %ah; clc; lret $2"


def floppy_hook(assemble, track, heads, says=SAYS, **said):
    said = {"track": track, "heads": heads, **said}
    return assemble(IS_A_FLOPPY.format(track=track, heads=heads, geometry=says.format(**said)))


@pytest.mark.parametrize("track, heads", [(18, 2), (36, 2), (32, 64), (63, 16), (63, 255), (63, 1)])
def test_a_stick_as_a_floppy_may_have_any_tracks_and_heads(track, heads, assemble):
    with debuggers.DebuggedQemu(drive="disk") as machine:
        machine.run_to(BOOT_SECTOR)
        hook(machine, floppy_hook(assemble, track, heads))
        machine.set(edx=0)
        assert_enters(machine, 0)


@pytest.mark.parametrize("says", [
    SAYS.replace("{track}", "36"),                  # a drive for 2.88 MB
    SAYS.replace("{track}", "0"),
    SAYS.replace("{track}", "9"),
    "mov $0x01, %ah; stc; lret $2",                 # no such call
], ids=["36 sectors", "0 sectors", "9 sectors", "nothing"])
def test_a_floppy_is_read_though_the_bios_says(says, assemble):
    with debuggers.DebuggedQemu(drive="disk") as machine:
        machine.run_to(BOOT_SECTOR)
        hook(machine, floppy_hook(assemble, 18, 2, says))
        machine.set(edx=0)
        assert_enters(machine, 0)


def test_an_image_may_be_padded_to_the_largest_floppy(tmp_path):
    image = tmp_path / "floppy.img"
    image.write_bytes(IMAGE.ljust(2880 * 1024, b"\0"))
    with Qemu(image) as machine:
        machine.wait_log("switch n=1 ")


# ---- a disk that is not called one, or has partitions

def test_a_disk_may_be_booted_as_drive_0():
    with debuggers.DebuggedQemu(drive="disk") as machine:
        machine.run_to(BOOT_SECTOR)
        machine.set(edx=0)
        assert_enters(machine, 0x80)


def test_another_disk_in_drive_0_is_not_taken_for_ours(tmp_path):
    other = tmp_path / "other.img"
    other.write_bytes(bytes(len(IMAGE)))
    extra = ["-drive", f"file={other},if=floppy,format=raw,snapshot=on"]
    with debuggers.DebuggedQemu(drive="disk", extra=extra) as machine:
        machine.run_to(BOOT_SECTOR)
        machine.set(edx=0)
        assert_enters(machine, 0x80)


PARTITIONS = 446        # in a disk's first sector
START = 2048
ENTRY = bytes([0x80, 0, 33, 0, 0x01, 0, 1, 90]) + struct.pack("<II", START, 2880)

# As every MBR does it: out of the way, the active partition's first sector to 0000:7c00.
MBR = f"""
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x7c00, %sp
	mov	%sp, %si
	mov	$0x600, %di
	mov	$256, %cx
	cld
	rep movsw
	ljmp	$0, $1f
1:	mov	$packet, %si
	mov	$0x42, %ah
	int	$0x13
	mov	$0x600 + {PARTITIONS}, %si
	ljmp	$0, $0x7c00
packet:	.word	16, 1, 0x7c00, 0
	.long	{START}, 0
"""


@pytest.fixture
def partitioned(assemble, tmp_path):
    """A disk with the floppy in its first partition."""
    mbr = b"\x90" * 4 + assemble(MBR)[4:]
    mbr = mbr.ljust(PARTITIONS, b"\0") + ENTRY.ljust(64, b"\0") + b"\x55\xaa"
    disk = tmp_path / "disk.img"
    disk.write_bytes(mbr.ljust(START * 512, b"\0") + IMAGE)
    return disk


def test_the_floppy_may_lie_in_a_partition(partitioned):
    with debuggers.DebuggedQemu(partitioned, drive="disk") as machine:
        machine.run_to(BOOT_SECTOR)
        assert_enters(machine, 0x80)
        assert machine.word(HIDDEN) == START
        # Another program wants to be loaded; the MBR is gone.
        machine.set(cs=0, eip=BOOT_SECTOR, esi=0x1235, ds=0xffff)
        assert_enters(machine, 0x80)


def test_the_partition_may_be_named_in_the_bpb_alone(partitioned):
    disk = bytearray(partitioned.read_bytes())
    disk[START * 512 + 28:START * 512 + 32] = struct.pack("<I", START)
    at = disk.index(struct.pack("<BH", 0xbe, 0x600 + PARTITIONS))
    disk[at + 1:at + 3] = b"\0\0"           # mov $0, %si
    partitioned.write_bytes(disk)
    with debuggers.DebuggedQemu(partitioned, drive="disk") as machine:
        machine.run_to(BOOT_SECTOR)
        assert_enters(machine, 0x80)


@pytest.mark.parametrize("hidden", [1, 2048, 0xffff, 0x7fffffff, 0xffffffff])
@pytest.mark.parametrize("drive", ["floppy", "disk"])
def test_a_bpb_may_name_the_wrong_place(drive, hidden, tmp_path):
    image = tmp_path / "floppy.img"
    image.write_bytes(IMAGE[:28] + struct.pack("<I", hidden) + IMAGE[32:])
    with debuggers.DebuggedQemu(image, drive=drive) as machine:
        machine.run_to(BOOT_SECTOR)
        machine.set(esi=0xffff, ds=0xf000)
        assert_enters(machine, 0x80 if drive == "disk" else 0)


# ---- what DOS has left in memory

@pytest.mark.parametrize("word", [b"\xcd\x20\xff\xff", b"\xcd\x20\xff\x1f", b"\xcd\x20\x00\xa0"], ids=bytes.hex)
def test_what_dos_has_left_in_memory_is_not_dos(word):
    with debuggers.DebuggedQemu() as machine:
        machine.run_to(BOOT_SECTOR)
        machine.write(ENTERED - 0x100, word)
        assert_enters(machine, 0)
        assert machine.read(ENTERED - 0x100, 2) == b"\0\0"
        machine.go()
        machine.wait_log("switch n=1 ")
        machine.key("q")
        machine.wait_log("quit ")
        machine.wait_exit()             # it switches the machine off: no int 0x20


# ---- the boot sectors themselves

def balanced(sectors):
    """Do both add up to what boot.S wants?"""
    return [sum(word for word, in struct.iter_unpack("<H", part)) & 0xffff
            for part in (sectors[0x3e:0x1e0], sectors[512:1024])] == [0x5052] * 2


def test_each_sector_has_its_sum():
    assert balanced(IMAGE[:1024])


@pytest.mark.parametrize("at", [0x80, 0xa1, 0xf3, 0x11c, 0x17f, 0x1a8, 0x1d6, 0x1df], ids=hex)
def test_a_bit_that_has_changed_in_the_first_sector_is_told(at, tmp_path):
    image = bytearray(IMAGE)
    image[at] ^= 1 << at % 8
    (tmp_path / "floppy.img").write_bytes(image)
    with debuggers.DebuggedQemu(tmp_path / "floppy.img") as machine:
        machine.go()
        machine.wait_screen("(?m)^bad boot sector: file P_PROC  COM, press a key *$")
        assert not machine.log()


@pytest.mark.parametrize("at", range(512, 1024, 51), ids=hex)
def test_a_bit_that_has_changed_in_the_second_sector_is_told(at, tmp_path):
    image = bytearray(IMAGE)
    image[at] ^= 1 << at % 8
    (tmp_path / "floppy.img").write_bytes(image)
    with debuggers.DebuggedQemu(tmp_path / "floppy.img") as machine:
        machine.go()
        machine.wait_screen("(?m)^disk error 00: file P_PROC  COM, press a key *$")
        assert not machine.log()
