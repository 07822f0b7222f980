"""Under DOS: it loads the programs, and the key q leads back to it, alive.

Once in DOSBox, with its own DOS and a keyboard; and in QEMU and Bochs, where a few
bytes of our own play DOS and then check what is left of the machine.
"""

import os
import re
import shutil
import struct
import subprocess
import time

from ringside.emulators import debuggers
from ringside.emulators import machines
import pytest
from ringside.emulators.debuggers import BASE, BOTH, NAMES
from fat12 import Floppy
from ringside.emulators.machines import BUILD

PROGRAMS = "p_proc", "kstack", "userctx", "timer", "callgate", "hwtask", "hwjump", "paged", "sysenter"
WITH_PAGES = "paged", "sysenter"
IN_DOSBOX = PROGRAMS[:-1]   # whose CPU has no sysenter
ENTRY = BASE + 0x100
SEG = BASE >> 4
DOS_SEG = 0x7000  # PAGED has 216 KiB

# Plays DOS: moves away, puts the program that lies behind it where it was itself,
# starts it as DOS would, and catches its int 0x20. Then says what it finds.
DOS = """
	.code16
	.macro	copy_to segment, from, to
	mov	$\\segment, %ax
	mov	%ax, %es
	mov	$\\from, %si
	mov	$\\to, %di
	mov	$0x7000, %cx
	rep movsw
	.endm

	cld
	copy_to	DOS_SEG, 0x100, 0x100
	ljmp	$DOS_SEG, $1f
1:	push	%cs
	pop	%ds
	copy_to	SEG, program, 0x100
	movw	$0x20cd, %es:0
	movw	$MEMORY_END, %es:2
	mov	%dl, drive
	xor	%ax, %ax
	mov	%ax, %fs
	movw	$back, %fs:0x20 * 4
	mov	%cs, %fs:0x20 * 4 + 2
	call	sum_vectors
	mov	%ax, vectors
	call	masks
	mov	%ax, masks_before
	push	%es
	pop	%ds
	push	%es
	pop	%ss
	mov	$0xfffe, %sp
	ljmp	$SEG, $0x100

	.globl	back
back:	mov	%sp, %bp
	mov	2(%bp), %bx			# cs
	mov	4(%bp), %dx			# flags: NT, IOPL, DF, TF
	and	$0x7500, %dx
	push	%cs
	pop	%ds
	push	%cs
	pop	%ss
	mov	$0xfffe, %sp
	sti
	cld
	xor	%ax, %ax
	mov	%ax, %fs
	mov	$dos, %si
	call	field
	mov	%bx, %ax
	call	hex

	call	field				# flags=
	mov	%dx, %ax
	call	hex

	call	field				# mode=
	mov	$0x0f, %ah
	int	$0x10
	mov	$0, %ah
	call	hex

	call	field				# vectors=
	call	sum_vectors
	sub	vectors, %ax
	call	hex

	call	field				# masks=
	call	masks
	sub	masks_before, %ax
	call	hex

	call	field				# timer=
	mov	$0xe2, %al			# read back: status of counter 0
	out	%al, $0x43
	in	$0x40, %al
	and	$0x003f, %ax
	call	hex

	call	field				# ticks=
	mov	$3, %cx
1:	mov	%fs:0x46c, %ax
2:	hlt
	cmp	%fs:0x46c, %ax
	je	2b
	loop	1b
	mov	%cx, %ax
	call	hex

	call	field				# key=
	mov	$0xd2, %al			# as if the keyboard had sent it
	out	%al, $0x64
1:	in	$0x64, %al
	test	$2, %al
	jnz	1b
	mov	$0x1e, %al
	out	%al, $0x60
1:	mov	$0x00, %ah
	int	$0x16
	cmp	$0x1e, %ah
	jne	1b
	mov	$0, %ah
	call	hex

	call	field				# disk=
	push	%cs
	pop	%es
	mov	$sector, %bx
	mov	$0x0201, %ax
	mov	$0x0001, %cx
	mov	$0, %dh
	mov	drive, %dl
	int	$0x13
	mov	sector + 510, %ax
	call	hex

	call	field				# service=
	mov	$0x0b, %al
	out	%al, $0x20
	out	%al, $0xa0
	in	$0x20, %al
	mov	%al, %ah
	in	$0xa0, %al
	call	hex
	call	field
1:	hlt
	jmp	1b

field:	lodsb
	test	%al, %al
	jz	1f
	out	%al, $0xe9
	jmp	field
1:	ret

hex:	mov	$4, %cx
1:	rol	$4, %ax
	push	%ax
	and	$0x0f, %al
	cmp	$10, %al
	jb	2f
	add	$'a' - '0' - 10, %al
2:	add	$'0', %al
	out	%al, $0xe9
	pop	%ax
	loop	1b
	ret

masks:	in	$0x21, %al
	mov	%al, %ah
	in	$0xa1, %al
	ret

sum_vectors:
	xor	%ax, %ax
	xor	%di, %di
1:	rol	$1, %ax
	add	%fs:(%di), %ax
	add	$2, %di
	cmp	$0x400, %di
	jb	1b
	ret

dos:	.asciz	"dos cs=", " flags=", " mode=", " vectors=", " masks=", " timer=", " ticks=", " key=", " disk="
	.asciz	" service=", "\\n"
vectors:
	.word	0
masks_before:
	.word	0
drive:	.byte	0
	.set	sector, 0xe000
	.balign	16
	.globl	program
program:
"""
ALIVE = "dos cs=1000 flags=0000 mode=0003 vectors=0000 masks=0000 timer=0036 ticks=0000 key=0061 disk=aa55 service=0000"


class Dos:
    """What plays DOS: its bytes and names."""

    def __init__(self, folder, memory_end=0x9fc0):
        source = f".set SEG, {SEG}\n.set DOS_SEG, {DOS_SEG}\n.set MEMORY_END, {memory_end}\n" + DOS
        subprocess.run(["as", "--32", "-o", folder / "dos.o", "-"], check=True, text=True, input=source)
        subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x100", "-e", "0x100", "-o", folder / "dos.elf",
                        folder / "dos.o"], check=True)
        subprocess.run(["objcopy", "-O", "binary", folder / "dos.elf", folder / "dos.bin"], check=True)
        self.code = (folder / "dos.bin").read_bytes()
        self.back = DOS_SEG * 16 + machines.sym("back", folder / "dos.elf")

    def floppy(self, program, path):
        """The floppy, which starts this; and this starts a program."""
        floppy = Floppy(machines.FLOPPY)
        floppy.write(b"P_PROC  COM", self.code + (BUILD / f"{program}.com").read_bytes())
        return floppy.save(path)


@pytest.fixture(scope="module")
def dos(tmp_path_factory):
    return Dos(tmp_path_factory.mktemp("dos"))


def boot(kind, dos, program, path, **options):
    """A machine that stands at the program's first call."""
    if kind is debuggers.DebuggedBochs and program in machines.BOCHS_MODELS:
        options["options"] = machines.bochs_cpu(machines.BOCHS_MODELS[program])
    machine = kind(dos.floppy(program, path / "dos.img"), **options)
    machine.symbols = machines.symbols(BUILD / f"{program}.elf")
    machine.run_to("enter_protected_mode")
    machine.base = machines.linear_base(BUILD / f"{program}.elf")
    return machine


def test_where_the_cpu_has_no_sysenter_dos_is_back_at_once(dos, tmp_path):
    with debuggers.DebuggedBochs(dos.floppy("sysenter", tmp_path / "dos.img")) as machine:
        boot_line, back = log_until_dos(machine)
    assert "stays-out=" in boot_line
    assert back.endswith("service=0000")


def log_until_dos(machine, timeout=15):
    machine.go()
    machine.wait_log("^dos .* service=", timeout)
    return machine.log()


# ---- a DOS of our own

@pytest.mark.sample(4)
@pytest.mark.parametrize("kind", BOTH, ids=NAMES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_q_leads_back_and_the_bios_is_alive(kind, program, dos, tmp_path):
    with boot(kind, dos, program, tmp_path) as machine:
        machine.press("q")
        first, *_, quitted, back = log_until_dos(machine)
    assert first.startswith(f"boot prog={program} ") and quitted.startswith("quit n=")
    assert back == ALIVE


@pytest.mark.sample(2)
@pytest.mark.parametrize("program", [program for program in PROGRAMS if program not in ("kstack", *WITH_PAGES)])
def test_q_leads_back_when_no_proc_is_left(program, dos, tmp_path):
    with boot(debuggers.DebuggedQemu, dos, program, tmp_path) as machine:
        machine.run_to("pace_wait")
        for letter in "ab":
            machine.write(machine.linear(f"proc_{letter}_data"), (2).to_bytes(4, "little"))
        machine.run_to("look_while_halted")
        machine.press("q")
        *_, quitted, back = log_until_dos(machine)
    assert quitted.startswith("quit n=")
    assert back == ALIVE


@pytest.mark.parametrize("kind", BOTH, ids=NAMES)
def test_real_mode_is_as_it_was(kind, dos, tmp_path):
    with boot(kind, dos, "p_proc", tmp_path) as machine:
        before = machine.registers()
        machine.press("q")
        machine.run_to(dos.back)
        after = machine.registers()
    assert after["cr0"] == before["cr0"]
    assert (after["idtr"].base, after["idtr"].limit) == (0, 0x3ff)
    assert after["cs"].selector == DOS_SEG
    for name in ("cs", "ds", "es", "ss", "fs", "gs"):
        limit_and_size = after[name].limit, after[name].flags & 0x400000
        assert limit_and_size == (0xffff, 0), name
        assert after[name].base == after[name].selector << 4, name
    for name in ("ds", "es", "ss"):
        assert after[name].selector == SEG
    assert after["esp"] <= 0xffff


def test_nothing_outside_its_64_kib_is_written(dos, tmp_path):
    def outside(machine):
        memory = machine.memory(0, 0x9f000)
        return memory[:0x400] + memory[0x500:BASE] + memory[BASE + 0x10000:]

    with boot(debuggers.DebuggedQemu, dos, "p_proc", tmp_path) as machine:
        before = outside(machine)
        machine.run_to("pace_wait")
        machine.press("1")      # a mistake, with its report
        machine.run_to("report_end")
        machine.press("q")
        machine.run_to(dos.back)
        changed = [i for i, (a, b) in enumerate(zip(before, outside(machine))) if a != b]
    assert not changed


def test_a_key_that_waits_in_the_controller_does_not_block_it(dos, tmp_path):
    """The PIC would wait for the line to rise, which is up already; no key would be heard again."""
    with boot(debuggers.DebuggedQemu, dos, "p_proc", tmp_path) as machine:
        machine.press("q")
        machine.hmp("o /b 0x64 0xd2")
        machine.hmp("o /b 0x60 0x30")
        assert log_until_dos(machine)[-1] == ALIVE


@pytest.mark.parametrize("kind, close, bios", [
    ("pc", ["o /b 0x92 0"], True),
    ("pc", ["o /b 0x92 0"], False),
    ("isapc", ["o /b 0x64 0xd1", "o /b 0x60 0xdd"], False),
], ids=["by the BIOS", "by port 92", "by the keyboard controller"])
def test_an_a20_that_was_shut_is_shut_again(kind, close, bios, dos, tmp_path):
    def a20():
        return "A20=1" in machine.hmp("info registers")

    with boot(debuggers.DebuggedQemu, dos, "p_proc", tmp_path, machine=kind) as machine:
        for command in close:
            machine.hmp(command)
        if not bios:  # int 15h does nothing but return
            machine.write(0x600, b"\xcf")
            machine.write(0x15 * 4, (0x600).to_bytes(4, "little"))
        if (kind, bios) == ("pc", False):  # the keyboard controller does not do it
            start, end = (machine.linear(name) for name in ("open_a20", "keyboard_ready"))
            machine.write(start, machine.read(start, end - start).replace(b"\xe6\x60", b"\x90\x90"))
        assert not a20()
        machine.run_to("look_start")
        assert a20()
        machine.press("q")
        machine.run_to(dos.back)
        assert not a20()


def test_an_a20_that_was_open_stays_so(dos, tmp_path):
    with boot(debuggers.DebuggedQemu, dos, "p_proc", tmp_path) as machine:
        assert "A20=1" in machine.hmp("info registers")
        machine.press("q")
        machine.run_to(dos.back)
        assert "A20=1" in machine.hmp("info registers")


def test_less_memory_than_64_kib_is_refused(tmp_path):
    dos = Dos(tmp_path, memory_end=SEG + 0xfff)
    with boot(debuggers.DebuggedQemu, dos, "p_proc", tmp_path) as machine:
        assert [re.sub("timer=....", "", line) for line in log_until_dos(machine)] == [ALIVE.replace("timer=0036", "")]
        assert "64 KiB of memory for itself" in "".join(machine.screen())
    dos = Dos(tmp_path, memory_end=SEG + 0x1000)
    with boot(debuggers.DebuggedQemu, dos, "p_proc", tmp_path) as machine:
        machine.go()
        machine.wait_log("^boot prog=p_proc")


# ---- DOSBox

# Writes a file: all of its segment, where the program before it has left its data; the
# PICs' masks; the BIOS' vectors; the 64 KiB behind the segment. Comes back when the clock has ticked twice.
DUMP = """
	.code16
	cld
	mov	$0x82, %si		# its argument, the file's name
1:	lodsb
	cmp	$13, %al
	jne	1b
	movb	$0, -1(%si)
	in	$0x21, %al
	mov	%al, masks
	in	$0xa1, %al
	mov	%al, masks + 1
	mov	$0x3c, %ah
	xor	%cx, %cx
	mov	$0x82, %dx
	int	$0x21
	mov	%ax, %bx
	xor	%dx, %dx
	mov	$0xfffe, %cx
	call	write
	mov	$masks, %dx
	mov	$2, %cx
	call	write
	xor	%dx, %dx
	mov	%dx, %ds
	mov	$0x400, %cx
	call	write
	mov	%cs, %ax
	add	$0x1000, %ax
	mov	%ax, %ds
	mov	$0xfffe, %cx
	call	write
	mov	$0, %ax
	mov	%ax, %ds
	mov	$0x3e, %ah
	int	$0x21
	mov	$2, %cx
1:	mov	0x46c, %ax
2:	cmp	0x46c, %ax
	je	2b
	loop	1b
	int	$0x20
write:	mov	$0x40, %ah
	int	$0x21
	ret
masks:	.word	0
"""

SETTINGS = """
[sdl]
output=surface
[cpu]
cycles=fixed 10000
[mixer]
nosound=true
[autoexec]
mount c "{drive}"
c:
dump before.bin
"""


class Dosbox:
    """DOSBox on a virtual screen, and its keyboard."""

    def __init__(self, folder, commands):
        self.drive = folder / "drive"
        self.drive.mkdir()
        settings = folder / "settings"
        settings.write_text(SETTINGS.format(drive=self.drive) + "\n".join(commands) + "\n")
        self.screen = subprocess.Popen(["Xvfb", "-displayfd", "1", "-screen", "0", "640x480x24", "-noreset"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.env = {**os.environ, "DISPLAY": ":" + self.screen.stdout.readline().strip(),
                    "SDL_VIDEODRIVER": "x11", "SDL_AUDIODRIVER": "dummy", "HOME": str(folder)}
        self.settings = settings
        self.process = None

    def start(self):
        with open(self.settings.with_name("said"), "w") as said:
            self.process = subprocess.Popen(["dosbox", "-conf", self.settings], env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.screen.terminate()
        self.screen.wait()
        self.screen.stdout.close()

    def key(self, *names):
        subprocess.run(["xdotool", "key", *names], env=self.env, check=True)

    def there(self, name, timeout):
        """Waits for a file on drive C; whether it has come. DOS writes names in upper case."""
        end = time.monotonic() + timeout
        while not (found := (self.drive / name).exists()) and time.monotonic() < end:
            time.sleep(0.05)
        return found


@pytest.fixture
def dosbox(tmp_path):
    commands = [line for program in IN_DOSBOX for line in (program, f"dump {program}.bin")]
    box = Dosbox(tmp_path, commands)
    subprocess.run(["as", "--32", "-o", tmp_path / "o", "-"], check=True, text=True, input=DUMP)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x100", "-e", "0x100", "--oformat", "binary",
                    "-o", box.drive / "DUMP.COM", tmp_path / "o"], check=True)
    for program in IN_DOSBOX:
        shutil.copy(BUILD / f"{program}.com", box.drive / f"{program.upper()}.COM")
    (box.drive / "T.BAT").write_text("echo alive>alive.txt\r\nexit\r\n")
    try:
        box.start()
        yield box
    finally:
        box.close()


@pytest.mark.long
def test_at_a_dos_prompt_each_program_plays_and_q_goes_back_to_the_prompt(dosbox):
    assert dosbox.there("BEFORE.BIN", 20), dosbox.settings.with_name("said").read_text()
    for program in IN_DOSBOX:
        for _ in range(10):     # a key that comes too early is DOS' own
            time.sleep(0.6)
            dosbox.key("f")
            time.sleep(0.3)
            dosbox.key("q")
            if dosbox.there(f"{program.upper()}.BIN", 1):
                break
    for _ in range(10):
        dosbox.key("Escape", "t", "Return")
        if dosbox.there("ALIVE.TXT", 1):
            break
    assert dosbox.process.wait(10) == 0
    assert (dosbox.drive / "ALIVE.TXT").read_text().strip() == "alive"

    segment_bytes = 0xfffe
    before = (dosbox.drive / "BEFORE.BIN").read_bytes()
    for program in IN_DOSBOX:
        after = (dosbox.drive / f"{program.upper()}.BIN").read_bytes()
        assert len(after) == len(before) == segment_bytes + 2 + 0x400 + segment_bytes
        masks_and_vectors = slice(segment_bytes, segment_bytes + 2 + 0x400)
        assert after[masks_and_vectors] == before[masks_and_vectors]
        place = machines.sym("switches", BUILD / f"{program}.elf")
        segment, = struct.unpack_from("<H", after, 0x36)    # of the table of files, which is in what DOS puts in front
        if program in WITH_PAGES and segment % 0x100:  # no page begins there: it has played in its copy (ring0/paging.c)
            copy = segment * 16 + 0x10000 + 0x1fff & ~0x1fff
            place += 2 + 0x400 + segment_bytes + copy - segment * 16 - 0x10000
        switches, = struct.unpack_from("<Q", after, place)
        assert switches > 16, program


def test_keys_that_were_let_go_meanwhile_are_not_down_for_dos(dos, tmp_path):
    """Shift, Ctrl and Alt were held when the program began; the BIOS was not told of their release."""
    flags = {0x417: 0x0f, 0x418: 0x03, 0x496: 0x0f}
    with boot(debuggers.DebuggedQemu, dos, "p_proc", tmp_path) as machine:
        for place, bits in flags.items():
            machine.write(place, bytes([machine.read(place, 1)[0] | bits]))
        machine.press("q")
        machine.run_to(dos.back)
        assert {place: machine.read(place, 1)[0] & bits for place, bits in flags.items()} == dict.fromkeys(flags, 0)


def test_a_debuggers_breakpoints_are_as_they_were(dos, tmp_path):
    with boot(debuggers.DebuggedBochs, dos, "p_proc", tmp_path) as machine:
        machine.press("q")
        machine.run_to(dos.back)
        assert re.search(r"DR7=0x0*400\b", machine.cmd("dreg"))
