"""What goes to real machines: the CD, and the stick with what is asked before it is written."""

import os
import pathlib
import re
import struct
import subprocess
import tempfile

from ringside.emulators import debuggers
from ringside.emulators import machines
import pytest
from ringside.emulators.machines import FLOPPY, ROOT

IMAGE = FLOPPY.read_bytes()
MKISO, USB = ROOT / "scripts/mkiso", ROOT / "scripts/usb"
MBR = machines.BUILD / "mbr.bin"
DESCRIPTION = ROOT / "floppy.img.in"


def run(*command, answer="", **env):
    return subprocess.run([str(word) for word in machines.by_name(command)], cwd=ROOT, env={**os.environ, **env}, input=answer,
                          capture_output=True, text=True, timeout=60)


# ---- the CD

@pytest.fixture(scope="module")
def cd(tmp_path_factory):
    path = tmp_path_factory.mktemp("cd") / "ringpong.iso"
    assert run("make", "-s", "build/mbr.bin", MAKEFLAGS="", MAKELEVEL="").returncode == 0
    made = run(MKISO, DESCRIPTION, FLOPPY, MBR, path)
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    return path


def test_the_cd_is_the_same_wherever_and_whenever_and_whoever_makes_it(cd):
    other_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if run(*other_user, "test", "-r", MKISO).returncode:    # we are not root, and so are another user already
        other_user = []
    with tempfile.TemporaryDirectory(prefix="rp-", dir="/tmp") as folder:    # another user gets there
        os.chmod(folder, 0o777)
        image, other = pathlib.Path(folder) / "floppy.img", pathlib.Path(folder) / "other.iso"
        image.write_bytes(IMAGE)
        os.utime(image, (0, 0))
        made = run(*other_user, "sh", "-c", 'umask 077; exec sh "$0" "$@"', MKISO, DESCRIPTION, image, MBR, other,
                   TZ="Pacific/Chatham", LC_ALL="tr_TR.UTF-8", SOURCE_DATE_EPOCH="1", HOME=folder, TMPDIR=folder)
        assert made.returncode == 0, made.stderr
        assert other.read_bytes() == cd.read_bytes()
        assert sorted(os.listdir(folder)) == ["floppy.img", "other.iso"]


def test_the_cd_holds_the_floppy_and_says_when_it_was_made(cd):
    content = cd.read_bytes()
    assert content.count(IMAGE) == 1
    date = re.search(r"^date *(.*)$", DESCRIPTION.read_text(), re.M)[1]
    assert content.count(re.sub(r"\D", "", date).encode() + b"00") == 2     # created, modified


def test_what_is_no_floppy_makes_no_cd(tmp_path):
    image, cd = tmp_path / "floppy.img", tmp_path / "cd.iso"
    image.write_bytes(IMAGE[:-1])
    made = run(MKISO, DESCRIPTION, image, MBR, cd)
    assert made.returncode == 1 and "is no floppy of 1440 KiB" in made.stderr
    made = run(MKISO, DESCRIPTION, FLOPPY, FLOPPY, cd)
    assert made.returncode == 1 and "is no code of 446 bytes or less: it is built by: make" in made.stderr
    assert not cd.exists()


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_qemu_boots_the_cd(cd, machine):
    with machines.Qemu(cd, machine=machine, drive="cd") as pc:
        pc.wait_log("n=1 ")
        pc.key("f")
        pc.wait_log("switch n=65536 from=B to=A ")


def test_bochs_boots_the_cd(cd, tmp_path):
    empty = tmp_path / "empty.img"
    empty.write_bytes(bytes(len(IMAGE)))
    drive = ["ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
             f"ata0-master: type=cdrom, path={cd}, status=inserted", "boot: cdrom"]
    log = machines.bochs(["c"], image=empty, magic=False, options=drive, until="switch n=16 ").log
    assert log[0].startswith("boot prog=p_proc base=00010000 ")


# ---- the CD's image on a stick

def test_the_cds_image_has_the_floppy_as_its_partition(cd):
    content = cd.read_bytes()
    active, kind, start, count = struct.unpack_from("<B3xB3xII", content, 446)
    assert (active, kind) == (0x80, 0x01)
    assert content[start * 512:(start + count) * 512] == IMAGE
    assert content[462:510] == bytes(48) and content[510:512] == b"\x55\xaa"
    for at, sector in (446, start), (450, start + count - 1):
        assert tuple(content[at + 1:at + 4]) == (sector // 63, sector % 63 + 1, 0)


@pytest.mark.parametrize("machine, drive", [("pc", "disk"), ("isapc", "disk"), ("pc", "usb"), ("q35", "usb")])
def test_the_cds_image_boots_as_a_stick(cd, machine, drive):
    with machines.Qemu(cd, machine=machine, drive=drive) as pc:
        pc.wait_log("switch n=1 ")


def test_from_the_cds_image_the_menu_starts_the_others(cd):
    """What the menu starts is found in the partition, though by then no MBR has said where that is."""
    with debuggers.DebuggedQemu(cd, drive="usb") as machine:
        machine.run_to(0x7c00)
        machine.run_to(0x7c00)                  # by the MBR
        machine.write(0x417, b"\x01")           # Shift
        machine.run_to(0x10100)
        machine.set(cs=0, eip=0x7c00, esi=0)    # as MENU does it
        machine.write(0x417, b"\0")
        machine.write(0x7de5, b"KSTACK  COM")
        machine.go()
        machine.wait_log("^boot prog=kstack ")


def test_bochs_boots_the_cds_image_as_a_disk(cd, tmp_path):
    disk = tmp_path / "disk.img"
    disk.write_bytes(cd.read_bytes().ljust(20 * 16 * 63 * 512, b"\0"))
    drive = ["ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
             f"ata0-master: type=disk, path={disk}, mode=flat, cylinders=20, heads=16, spt=63", "boot: disk"]
    log = machines.bochs(["c"], image=FLOPPY, magic=False, options=drive, until="switch n=16 ").log
    assert log[0].startswith("boot prog=p_proc base=00010000 ")


def test_a_stick_that_cannot_be_read_is_told(tmp_path):
    stick = tmp_path / "stick.img"
    entry = struct.pack("<B3sB3sII", 0x80, b"", 1, b"", 1 << 30, 2880)
    stick.write_bytes(MBR.read_bytes().ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    with machines.Qemu(stick, drive="usb") as pc:
        pc.wait_screen("(?m)^stick error, press a key *$")
        pc.key("\n")
        pc.wait_exit()


# ---- the stick

MiB = 1 << 20
IDLE = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


class Host:
    """A folder with what scripts/usb reads of a Linux host: the stick sdx, the disk sda."""

    def __init__(self, folder):
        self.folder = folder
        self.write("proc/self/mountinfo", IDLE)
        self.write("proc/swaps", "Filename Type Size Used Priority\n")
        self.disk("sda", "8:0", removable=0)
        self.disk("sdx", "65:112", removable=1)
        self.write("sys/block/sdx/device/vendor", "Acme    \n")
        self.write("sys/block/sdx/device/model", "Stick  3000     \n")
        self.stick = folder / "dev/sdx"

    def write(self, path, text):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def disk(self, name, number, removable, size=2 * MiB):
        for file, value in {"dev": number, "removable": removable, "ro": 0, "size": size // 512,
                            f"{name}1/partition": 1, f"{name}1/dev": number + "1"}.items():
            self.write(f"sys/block/{name}/{file}", f"{value}\n")
        (self.folder / "sys/block" / name / f"{name}1/holders").mkdir()
        self.write(f"dev/{name}", "old " * (size // 4))
        self.write(f"dev/{name}1", "old ")

    def usb(self, *arguments, answer="sdx\n"):
        return run(USB, "--image", FLOPPY, *arguments, answer=answer, UNDER=str(self.folder))


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def mount(source, number):
    return IDLE + f"30 22 {number} /x /media/stick rw - vfat {source} rw,fmask=22\n"


# What is written into which file of the host, and why the stick is left alone then.
OBJECTIONS = {
    "not removable": ("sys/block/sdx/removable", "0\n", "it is not removable"),
    "write-protected": ("sys/block/sdx/ro", "1\n", "it is write-protected"),
    "too small": ("sys/block/sdx/size", "2879\n", "it has 1 MiB, which is less"),
    "empty drive": ("sys/block/sdx/size", "0\n", "it has 0 MiB, which is less"),
    "mounted": ("proc/self/mountinfo", mount("/dev/sdx", "65:112"), "/dev/sdx is mounted at /media/stick"),
    "a partition mounted": ("proc/self/mountinfo", mount("/dev/sdx1", "65:1121"), "/dev/sdx1 is mounted at /media/stick"),
    "mounted by another name": ("proc/self/mountinfo", mount("/dev/root", "65:1121"), "/dev/sdx1 is mounted"),
    "mounted with a number of its own": ("proc/self/mountinfo", mount("/dev/sdx1", "0:44"), "/dev/sdx1 is mounted"),
    "swap": ("proc/swaps", "/dev/sdx1 partition 1 0 -2\n", "/dev/sdx1 is swap space"),
    "held": ("sys/block/sdx/sdx1/holders/dm-0", "", "/dev/sdx1 is part of dm-0"),
}


@pytest.mark.parametrize("file, text, message", OBJECTIONS.values(), ids=OBJECTIONS)
def test_a_stick_is_left_alone(host, file, text, message):
    before = host.stick.read_bytes()
    host.write(file, text)
    tried = host.usb("/dev/sdx")
    assert tried.returncode == 1
    assert f"/dev/sdx is left alone: {message}" in tried.stderr
    assert "lost" not in tried.stdout       # it has not even asked
    assert "/dev/sdx " not in host.usb().stdout
    assert host.stick.read_bytes() == before


def test_a_stick_that_is_just_large_enough_is_taken(host):
    host.write("sys/block/sdx/size", "2880\n")
    assert host.usb("/dev/sdx").returncode == 0


@pytest.mark.parametrize("device, message", [
    ("/dev/sda", "/dev/sda is left alone: it is not removable"),
    ("/dev/sdx1", "/dev/sdx1 is a partition: the whole disk is /dev/sdx"),
    ("/dev/sr0", "it is a CD drive"),
    ("/dev/null", "/dev/null is no disk"),
    ("/dev/sdy", "there is no /dev/sdy"),
    ("sdx", "expected a device like /dev/sdX"),
])
def test_what_is_no_stick_is_refused(host, device, message):
    host.disk("sr0", "11:0", removable=1)
    host.write("dev/null", "")
    tried = host.usb(device)
    assert tried.returncode == 1 and message in tried.stderr
    for file in (host.folder / "dev").iterdir():
        assert set(file.read_bytes().split()) <= {b"old"}


@pytest.mark.parametrize("answer", ["", "\n", "y\n", "yes\n", "/dev/sdx\n", "sda\n"])
def test_nothing_but_its_name_is_a_yes(host, answer):
    before = host.stick.read_bytes()
    tried = host.usb("/dev/sdx", answer=answer)
    assert tried.returncode == 1 and "nothing has been written" in tried.stderr
    assert host.stick.read_bytes() == before


def test_a_stick_that_is_mounted_while_it_asks_is_left_alone(host):
    before = host.stick.read_bytes()
    with subprocess.Popen(["sh", USB, "/dev/sdx"], cwd=ROOT, env={**os.environ, "UNDER": str(host.folder)}, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asking:
        while "type its name" not in asking.stdout.readline():
            pass
        host.write("proc/self/mountinfo", mount("/dev/sdx1", "65:1121"))
        _, errors = asking.communicate("sdx\n", timeout=20)
    assert asking.returncode == 1 and "/dev/sdx is left alone: /dev/sdx1 is mounted" in errors
    assert host.stick.read_bytes() == before


def test_it_says_what_will_be_lost_and_writes_the_image_and_no_more(host):
    before = host.stick.read_bytes()
    written = host.usb("/dev/sdx")
    assert written.returncode == 0, written.stderr
    assert "/dev/sdx: 2 MiB  Acme Stick 3000\nEverything on it will be lost." in written.stdout
    assert host.stick.read_bytes() == IMAGE + before[len(IMAGE):]
    with machines.Qemu(host.stick, drive="usb") as pc:
        pc.wait_log("switch n=1 ")


def test_the_cds_image_can_be_written_instead(host, cd):
    assert host.usb("--image", cd, "/dev/sdx").returncode == 0
    assert host.stick.read_bytes().startswith(cd.read_bytes())
    with machines.Qemu(host.stick, drive="usb") as pc:
        pc.wait_log("switch n=1 ")


def test_a_link_leads_to_its_stick(host):
    link = host.folder / "dev/disk/by-id/usb-Acme"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../sdx")
    assert host.usb("/dev/disk/by-id/usb-Acme").returncode == 0
    assert host.stick.read_bytes().startswith(IMAGE)


def test_make_usb_lists_the_sticks_and_says_how(host):
    def make_usb(*arguments):
        return run("make", "-s", "usb", *arguments, UNDER=str(host.folder), MAKEFLAGS="", MAKELEVEL="")

    listed = make_usb().stdout
    assert "    /dev/sdx  2 MiB  Acme Stick 3000\n" in listed and "/dev/sda" not in listed
    assert "make usb DEVICE=/dev/sdX" in listed
    refused = make_usb("DEVICE=/dev/sda")
    assert refused.returncode == 2 and "/dev/sda is left alone" in refused.stderr
    host.write("sys/block/sdx/removable", "0\n")
    assert "There is no stick here" in make_usb().stdout


def test_make_iso_makes_the_cd(cd):
    assert run("make", "-s", "iso", MAKEFLAGS="", MAKELEVEL="").returncode == 0
    assert (machines.BUILD / "ringpong.iso").read_bytes() == cd.read_bytes()
