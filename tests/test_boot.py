"""The boot sector: it enters a file that is whole, and says what is wrong with any other."""

import random
import re
import subprocess

from ringside.emulators import debuggers
import pytest
from fat12 import ARCHIVE, CLUSTERS, DIRECTORY, LABEL, LONG_NAME, READ_ONLY, Floppy, checksum
from ringside.emulators.machines import BUILD, FLOPPY, ROOT, Qemu

NAME = b"P_PROC  COM"
NAME_AT = 0x7de5
ENTERED = 0x10100
SECTORS = FLOPPY.read_bytes()[:1024]
SECTOR = SECTORS[:512]
RUNS = "^boot prog=p_proc "


def addresses(instructions):
    """Where in memory instructions of the boot sector stand."""
    return [0x7c00 + match.start() for match in re.finditer(re.escape(instructions), SECTORS)]


BIOS_DISK, = addresses(b"\xcd\x13")              # int $0x13
WAITS_FOR_A_KEY, = addresses(b"\xcd\x16")        # int $0x16
RESET, READ, GEOMETRY, READ_BY_NUMBER = 0x00, 0x02, 0x08, 0x42
FLAGS_PUSHED = addresses(b"\x9d\x9c")[0] + 2      # behind popf, pushf


@pytest.fixture
def floppy():
    return Floppy(FLOPPY)


@pytest.fixture
def image(tmp_path):
    return tmp_path / "floppy.img"


# ---- files that are entered

def in_clusters(clusters):
    return lambda floppy: floppy.write(NAME, floppy.read(NAME), clusters)


def of_size(size):
    return lambda floppy: floppy.write(NAME, random.Random(size).randbytes(size))


def largest_and_scattered(floppy):
    floppy.write(NAME, random.Random(1).randbytes(0xf000), random.Random(2).sample(CLUSTERS, 120))


def behind_its_namesakes(floppy):
    at = floppy.entry(NAME)
    file = floppy.data[at:at + 32]
    for attributes in LABEL, DIRECTORY, LONG_NAME:
        floppy.set(at, name=NAME, attributes=attributes, cluster=3, size=512)
        at += 32
    floppy.data[at:at + 32] = file


def in_the_last_entry(floppy):
    at = floppy.entry(NAME)
    file = floppy.data[at:at + 32]
    for at in floppy.entries():
        floppy.set(at, name=b"P_PROC  CON", attributes=ARCHIVE)
    floppy.data[at:at + 32] = file


def without_a_bpb(floppy):
    floppy.data[3:62] = bytes(62 - 3)


SOUND = {
    "in one piece": lambda floppy: None,
    "that lies backwards": in_clusters(CLUSTERS[300:200:-1]),
    "in every 19th cluster": in_clusters(CLUSTERS[::19]),
    "in the last clusters of the disk": lambda floppy: in_clusters(
        CLUSTERS[-len(floppy.chain(NAME)):])(floppy),
    "of one byte": of_size(1),
    "of whole clusters": of_size(1024),
    "of 60 KiB": of_size(0xf000),
    "of 60 KiB, scattered": largest_and_scattered,
    "whose chain ends in ff8": lambda floppy: floppy.link(floppy.chain(NAME)[-1], 0xff8),
    "behind a label, a folder and a long name like its own": behind_its_namesakes,
    "in the last entry of the directory": in_the_last_entry,
    "that is read-only": lambda floppy: floppy.set(NAME, attributes=READ_ONLY),
    "though the BPB is damaged": without_a_bpb,
    "without a sum": lambda floppy: (another_bit(floppy), floppy.set(NAME, sum=0)),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("emulator", debuggers.BOTH, ids=debuggers.NAMES)
@pytest.mark.parametrize("arrange", SOUND.values(), ids=SOUND)
def test_enters_a_file(arrange, emulator, floppy, image):
    arrange(floppy)
    file = floppy.read(NAME)
    with emulator(floppy.save(image)) as machine:
        machine.run_to(ENTERED)
        assert machine.read(ENTERED, len(file)) == file
        assert machine.read(0x7c00, 512) == floppy.data[:512]
        now = machine.values()
    assert [now[name] for name in ("cs", "ds", "es", "ss")] == [0x1000] * 4
    assert (now["eip"], now["esp"] & 0xffff, now["edx"] & 0xff) == (0x100, 0xfffe, 0)
    assert now["eflags"] & 0x7700 == 0x0200     # IF; not TF, DF, IOPL, NT


@pytest.mark.parametrize("machine, drive", [
    ("pc", "floppy"), ("isapc", "floppy"), ("pc", "disk"), ("q35", "usb")])
def test_starts_the_program_from(machine, drive):
    with Qemu(machine=machine, drive=drive, power_on=True) as guest:
        guest.wait_log(RUNS)


# ---- files and disks that are complained about

def assert_says(machine, complaint, name="P_PROC  COM"):
    machine.wait_screen(f"(?m)^{complaint} {name}, press a key *$")
    assert not machine.log()


def link(index, value):
    """The FAT says something else behind one of the file's clusters."""
    return lambda floppy: floppy.link(floppy.chain(NAME)[index], value)


def entry(**fields):
    return lambda floppy: floppy.set(NAME, **fields)


def behind_the_end_of_the_directory(floppy):
    floppy.data[floppy.entries()[0]] = 0


def full_directory(floppy):
    for at in floppy.entries():
        floppy.set(at, name=b"P_PROC  CON", attributes=ARCHIVE)


def another_bit(floppy):
    at = floppy.place(floppy.chain(NAME)[7])
    floppy.data[at + 99] ^= 0x10


def clusters_changed_round(floppy):
    """The third and the fourth; the chain is as it should be."""
    at = floppy.place(floppy.chain(NAME)[2])
    floppy.data[at:at + 1024] = floppy.data[at + 512:at + 1024] + floppy.data[at:at + 512]


def word(floppy, number):
    """The offset of a word of the file, which lies in one piece."""
    return floppy.place(floppy.chain(NAME)[0]) + 2 * number


def words_changed_round(distance):
    """Two words of the file that are so many apart, the first two that differ."""
    def damage(floppy):
        for number in range(2000):
            one, other = word(floppy, number), word(floppy, number + distance)
            if floppy.data[one:one + 2] != floppy.data[other:other + 2]:
                floppy.data[one:one + 2], floppy.data[other:other + 2] = \
                    floppy.data[other:other + 2], floppy.data[one:one + 2]
                return
        raise AssertionError("all words are alike")
    return damage


def zero_to(value):
    """The file's first word of 0 becomes another."""
    def damage(floppy):
        at = next(at for at in range(word(floppy, 0), word(floppy, 4000), 2) if not any(floppy.data[at:at + 2]))
        floppy.data[at:at + 2] = value.to_bytes(2, "little")
    return damage


def shorter_by_a_cluster(floppy):
    floppy.set(NAME, size=floppy.get(NAME, "size") - 512)


DAMAGED = {
    "no such name": (entry(name=b"P_PROC  CON"), "no file"),
    "lower case": (entry(name=b"p_proc  com"), "no file"),
    "deleted": (entry(name=b"\xe5_PROC  COM"), "no file"),
    "a volume label": (entry(attributes=LABEL), "no file"),
    "a directory": (entry(attributes=DIRECTORY), "no file"),
    "a long name": (entry(attributes=LONG_NAME), "no file"),
    "behind the end": (behind_the_end_of_the_directory, "no file"),
    "not in a full directory": (full_directory, "no file"),
    "empty": (entry(size=0), "bad file"),
    "60 KiB and a byte": (of_size(0xf001), "bad file"),
    "said to be 60 KiB and a byte": (entry(size=0xf001), "bad file"),
    "64 KiB and a byte": (entry(size=0x10001), "bad file"),
    "4 GiB": (entry(size=0xffffffff), "bad file"),
    "starts at cluster 0": (entry(cluster=0), "bad file"),
    "starts at cluster 1": (entry(cluster=1), "bad file"),
    "starts beyond the disk": (entry(cluster=CLUSTERS[-1] + 1), "bad file"),
    "starts at cluster 0x1003": (entry(cluster=0x1003), "bad file"),
    "goes on at a free cluster": (link(3, 0), "bad file"),
    "goes on at a bad cluster": (link(3, 0xff7), "bad file"),
    "goes on at a reserved cluster": (link(3, 0xff0), "bad file"),
    "goes on beyond the disk": (link(3, CLUSTERS[-1] + 1), "bad file"),
    "ends at a bad cluster": (link(-1, 0xff7), "bad file"),
    "ends too early": (link(-2, 0xfff), "bad file"),
    "does not end": (link(-1, 0x123), "bad file"),
    "longer than its size": (shorter_by_a_cluster, "bad file"),
    "a loop of one cluster": (link(0, 2), "bad file"),
    "a loop of all clusters": (link(-1, 2), "bad file"),
    "damaged by a bit": (another_bit, "bad file"),
    "in the wrong order": (clusters_changed_round, "bad file"),
    "with two words changed round, 585 apart": (words_changed_round(585), "bad file"),
    "with two words changed round, 1 apart": (words_changed_round(1), "bad file"),
    "with fff1 in place of 0000": (zero_to(0xfff1), "bad file"),
    "with ffff in place of 0000": (zero_to(0xffff), "bad file"),
    "of another sum": (entry(sum=1), "bad file"),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("damage, complaint", DAMAGED.values(), ids=DAMAGED)
def test_refuses_a_file_that_is(damage, complaint, floppy, image):
    damage(floppy)
    with Qemu(floppy.save(image)) as machine:
        assert_says(machine, complaint)


def test_restarts_the_machine_at_a_key(floppy, image):
    floppy.set(NAME, size=0)
    with Qemu(floppy.save(image)) as machine:
        machine.wait_screen("press a key")
        assert machine.alive()
        machine.key("\n")
        assert machine.wait_exit() == 0         # QEMU's -no-reboot


def test_the_sum_sees_any_two_words_that_have_changed_places():
    places = [pow(65536, number, 65519) for number in range(0xf000 // 2)]
    assert len(set(places)) == len(places)


def test_what_the_sum_does_not_see_is_what_the_boot_sector_says(floppy, image):
    zero_to(0xffef)(floppy)
    with debuggers.DebuggedQemu(floppy.save(image)) as machine:
        machine.run_to(ENTERED)


# ---- reading

# The disk is looked for in four ways, three times each (the fourth would lead to a
# partition, and there is none); the file in one.
@pytest.mark.parametrize("sector, enough", [(1, 9), (2, 9), (20, 9), (34, 3)],
                         ids=["second sector", "FAT", "directory", "file"])
@pytest.mark.parametrize("less", [1, 0])
def test_reads_three_times(sector, enough, less, tmp_path):
    # From a stick, because QEMU's floppy controller reads zeros where it cannot read.
    fault = f'[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "{sector}"\nonce = "on"\n'
    (tmp_path / "faults").write_text(fault * (enough - less))
    with Qemu(f"blkdebug:{tmp_path}/faults:{FLOPPY}", drive="usb") as machine:
        if less:
            machine.wait_log(RUNS)
        else:
            assert_says(machine, "disk error [0-9A-F]{2}: file")


def call(machine):
    """The call of the BIOS that is next: (function, drive)."""
    values = machine.values()
    return values["eax"] >> 8 & 0xff, values["edx"] & 0xff


@pytest.mark.parametrize("drive", ["floppy", "usb"])
def test_calls_the_bios_six_times_at_most(drive):
    calls = []
    with debuggers.DebuggedQemu(drive=drive) as machine:
        while machine.run_to(BIOS_DISK, ENTERED) != ENTERED:
            calls.append(call(machine))
    number = 0x80 if drive == "usb" else 0
    assert calls[0] == (GEOMETRY, number)
    assert set(calls[1:]) == {(READ_BY_NUMBER if number else READ, number)} and len(calls) <= 6


def test_resets_the_drive_before_it_tries_again_and_then_tries_other_ways():
    calls = []
    with debuggers.DebuggedQemu() as machine:
        while machine.run_to(BIOS_DISK, WAITS_FOR_A_KEY) == BIOS_DISK:
            calls.append(call(machine))
            machine.run_to(BIOS_DISK + 2)
            if calls[-1][0] in (READ, READ_BY_NUMBER):
                status = 0x01 if calls[-1][1] else 0x04     # no such drive, sector not found
                machine.set(eax=status << 8, eflags=machine.values()["eflags"] | 1)
        assert_says(machine, "disk error 04: file")
    floppy = [READ, RESET, READ, RESET, READ]
    disk = [READ_BY_NUMBER, RESET, READ_BY_NUMBER, RESET, READ_BY_NUMBER]
    assert calls == [(GEOMETRY, 0)] + [(function, 0) for function in floppy + floppy] + \
        [(function, 0x80) for function in disk + disk]


@pytest.mark.parametrize("flags", [0xf002, 0x0002], ids=["8086", "80286"])
def test_refuses_a_cpu_like_the(flags):
    with debuggers.DebuggedQemu() as machine:
        machine.run_to(FLAGS_PUSHED)
        machine.write(machine.values()["esp"] & 0xffff, flags.to_bytes(2, "little"))
        machine.go()
        assert_says(machine, "no 386: file")


# ---- Shift

MENU = b"MENU    COM"
SAYS_MENU = (b"\xbe\x0b\x01"           # mov $text, %si
             b"\xac\xe6\xe9"           # 1: lodsb; out %al, $0xe9
             b"\x3c\x0a\x75\xf9\xf4"   # cmp $'\\n', %al; jne 1b; hlt
             b"boot prog=menu\n")
FLAGS_AT = 0x417
RIGHT_SHIFT, LEFT_SHIFT, ALL_BUT_SHIFT = 1, 2, 0xfc


@pytest.mark.parametrize("emulator", debuggers.BOTH, ids=debuggers.NAMES)
@pytest.mark.parametrize("keys", [RIGHT_SHIFT, LEFT_SHIFT, RIGHT_SHIFT | LEFT_SHIFT, ALL_BUT_SHIFT, 0])
def test_shift_brings_the_menu(keys, emulator, floppy, image):
    floppy.write(MENU, SAYS_MENU)
    wanted = MENU if keys & 3 else NAME
    file = floppy.read(wanted)
    with emulator(floppy.save(image)) as machine:
        machine.run_to(0x7c00)
        machine.write(FLAGS_AT, bytes([keys]))
        machine.run_to(ENTERED)
        assert machine.read(ENTERED, len(file)) == file
        assert machine.read(NAME_AT, 11) == wanted


@pytest.mark.parametrize("key", ["shift", "shift_r", "ctrl"])
def test_a_key_held_from_the_start(key, floppy, image):
    floppy.write(MENU, SAYS_MENU)
    # SeaBIOS waits for a key before it boots; this one it does not count.
    with Qemu(floppy.save(image), extra=["-boot", "menu=on,splash-time=500"]) as machine:
        machine.wait_screen("Press ESC for boot menu")
        machine.qmp("input-send-event", events=[
            {"type": "key", "data": {"down": True, "key": {"type": "qcode", "data": key}}}])
        machine.wait_log("^boot prog=p_proc " if key == "ctrl" else "^boot prog=menu")


def test_says_that_there_is_no_menu(floppy, image):
    floppy.set(MENU, name=b"MENU    OLD")
    with debuggers.DebuggedQemu(floppy.save(image)) as machine:
        machine.run_to(0x7c00)
        machine.write(FLAGS_AT, bytes([LEFT_SHIFT]))
        machine.go()
        assert_says(machine, "no file", "MENU    COM")


def test_a_default_name_of_eight_letters_gives_way_to_the_menu(floppy, image):
    floppy.set(MENU, name=b"MENU    OLD")
    floppy.data[NAME_AT - 0x7c00:NAME_AT - 0x7c00 + 11] = b"LONGNAMECOM"
    with debuggers.DebuggedQemu(floppy.save(image)) as machine:
        machine.run_to(0x7c00)
        machine.write(FLAGS_AT, bytes([LEFT_SHIFT]))
        machine.go()
        assert_says(machine, "no file", "MENU    COM")


# ---- coming back

def asks_for(name, before=0):
    """A program that wants another one; or, behind so many bytes, its end."""
    return (b"\xbe" + (0x118 + before).to_bytes(2, "little") +    # mov $name, %si
            b"\xbf\xe5\x7d"             # mov $0x7de5, %di
            b"\xb9\x0b\x00"             # mov $11, %cx
            b"\x31\xc0\x8e\xc0"         # es = 0
            b"\xf3\xa4"                 # rep movsb
            b"\xea\x00\x7c\x00\x00"     # ljmp $0, $0x7c00
            b"\x90\x90\x90\x90" + name)


def test_gets_a_program_the_next_one(floppy, image):
    floppy.write(b"FIRST   COM", floppy.read(NAME))
    floppy.write(NAME, asks_for(b"FIRST   COM"))
    with Qemu(floppy.save(image)) as machine:
        machine.wait_log(RUNS)
        assert machine.memory(NAME_AT, 11) == b"FIRST   COM"


HOLDS_SHIFT = b"\xbf\x17\x04\x31\xc0\x8e\xc0\x26\x80\x0d\x02"      # orb $2, 0:0x417
LETS_GO = b"\xfa\xbf\x17\x04\x31\xc0\x8e\xc0\x26\x80\x25\xfc"      # cli; andb $~3, 0:0x417


def test_shift_does_not_hinder_the_menu(floppy, image):
    floppy.write(b"NEXT    COM", floppy.read(NAME))
    floppy.write(MENU, LETS_GO + asks_for(b"NEXT    COM", len(LETS_GO)))
    floppy.write(NAME, HOLDS_SHIFT + asks_for(b"        COM", len(HOLDS_SHIFT)))
    with Qemu(floppy.save(image)) as machine:
        machine.wait_log(RUNS)
        assert machine.memory(NAME_AT, 11) == b"NEXT    COM"


def test_says_which_program_is_missing(floppy, image):
    floppy.write(NAME, asks_for(b"LIESMICHTXT"))
    with Qemu(floppy.save(image)) as machine:
        assert_says(machine, "no file", "LIESMICHTXT")


# ---- scripts/mkfloppy

def mkfloppy(*arguments):
    return subprocess.run(["sh", ROOT / "scripts/mkfloppy", *arguments], capture_output=True, text=True)


@pytest.fixture
def four_programs(tmp_path):
    """Their names, and a floppy with them: ours, one of no words, of whole ones, of an odd byte."""
    contents = {NAME: BUILD.joinpath("p_proc.com").read_bytes(), b"EMPTY   COM": b"",
                MENU: SAYS_MENU.ljust(512, b"\0"), b"LONGNAMECOM": random.Random(8).randbytes(1025)}
    lines = [line for line in ROOT.joinpath("floppy.img.in").read_text().splitlines() if "file" not in line.split()[:1]]
    for name, content in contents.items():
        dotted = name[:8].rstrip().decode() + ".COM"
        (tmp_path / dotted).write_bytes(content)
        lines.append(f"file {dotted} {dotted}")
    (tmp_path / "boot.bin").write_bytes(SECTORS)
    (tmp_path / "four.in").write_text("\n".join(lines))
    made = mkfloppy(tmp_path / "four.in", tmp_path / "four.img")
    assert made.returncode == 0, made.stderr
    return contents, tmp_path / "four.img"


def test_every_file_has_its_sum(four_programs):
    contents, image = four_programs
    floppy = Floppy(image)
    assert {name: floppy.get(name, "sum") for name in contents} == \
        {name: checksum(content) for name, content in contents.items()}
    assert Floppy(FLOPPY).get(NAME, "sum") == checksum(contents[NAME]) != 0
    checked = subprocess.run(["/usr/sbin/fsck.fat", "-n", image], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("program, name", [
    ("menu", MENU), ("MENU.COM", MENU), ("longname", b"LONGNAMECOM"), ("p_proc.com", NAME)])
def test_start_makes_a_copy_that_starts(program, name, four_programs, image):
    contents, original = four_programs
    before = original.read_bytes()
    made = mkfloppy("--program", program, original, image)
    assert made.returncode == 0, made.stderr
    assert original.read_bytes() == before
    copy = image.read_bytes()
    at = NAME_AT - 0x7c00
    assert copy == before[:at] + name + before[at + 11:]
    with debuggers.DebuggedQemu(image) as machine:
        machine.run_to(ENTERED)
        assert machine.read(ENTERED, len(contents[name])) == contents[name]


@pytest.mark.parametrize("program, image, reason", [
    ("nothing", FLOPPY, "no NOTHING on "), ("readme.txt", FLOPPY, "expected a program like KSTACK"),
    ("*", FLOPPY, "expected a program like KSTACK"), ("p_proc", "nowhere.img", "no image nowhere.img")])
def test_start_says_what_it_cannot(program, image, reason, tmp_path):
    made = mkfloppy("--program", program, image, tmp_path / "copy.img")
    assert made.returncode == 1 and reason in made.stderr
    assert not list(tmp_path.iterdir())
