# Ringpong. `make help` lists the targets; everything that is built goes to build/.
#
#   make CC=clang                another compiler
#   make CROSS=i686-linux-gnu-   a cross compiler, on machines that are not PCs

B = build

# Interpreters are called by name: a checkout may have lost its execute bits.
PYTHON = /usr/bin/python3

# An exported CDPATH would lead a script's cd elsewhere.
unexport CDPATH

ifdef CROSS
CC      = $(CROSS)gcc
else
CC      = gcc
endif
LD      = $(CROSS)ld
OBJCOPY = $(CROSS)objcopy
OBJDUMP = $(CROSS)objdump
NM      = $(CROSS)nm

# Debug information names a source by its place in the tree, not by where the tree was
# when it was built (/ringpong does not exist, so GDB looks in its current folder).
SAME_NAMES = -ffile-prefix-map="$$PWD"=/ringpong

# What gcc and clang spell differently: the target, and the CPU whose instructions the
# assembler allows.
ifneq ($(findstring clang,$(CC)),)
TARGET = -target i386-none-elf
SAME_NAMES += -fdebug-compilation-dir=/ringpong
else
TARGET = -m32 -Wa,-march=i386
endif

# No library, no position-independent code, nothing that a bare i386 lacks.  The
# first three arguments of a function go in eax, edx and ecx (-mregparm).
CPPFLAGS = -I. -I$B
CFLAGS   = $(TARGET) -march=i386 -mregparm=3 -std=gnu11 -Os -g \
	-ffreestanding -fomit-frame-pointer -fno-pic -fno-pie -fno-stack-protector \
	-fcf-protection=none -fno-asynchronous-unwind-tables \
	-mgeneral-regs-only -Wall -Wextra -Wmissing-declarations -Wmissing-prototypes \
	-Wredundant-decls -Werror $(SAME_NAMES)

# A rule makes its target as NEW and renames it when it is complete, because two makes may
# run in one tree at once.
NEW  = $@.$$$$
DONE = mv -f $(NEW) $@

IMAGE  = $B/floppy.img
# A program is its own sources and those that it shares with others.  (FRAMES: only with
# programs whose procs live in frames.)
COMMON = ring0/cause.c show/clocks.c ring0/door.c ring0/enter.S ring0/a20.S show/explain.c \
	ring0/leave.S show/look.c ring0/machine.c show/pace.c show/quit.c ring0/panic.S ring0/panic.c \
	show/last_words.c show/report.c show/screen.c ring0/sleep.S ring0/stop.S show/text.c \
	ring0/watchdog.c show/window.c show/words.c
WORDS  = show/frame_words.c show/tss_words.c
FRAMES = $(addprefix procs/, fault.S fault.c panel.c procs.c ask.c watch.c watched_gate.S) $(WORDS)

p_proc = p_proc.S switch.c $(FRAMES) $(COMMON)
kstack = $(addprefix programs/kstack/, kstack.S schedule.c check.c stacks.c threads.c watch.c) $(WORDS) $(COMMON)
userctx = $(addprefix programs/userctx/, userctx.S run.S main.c check.c contexts.c) \
	show/tss_words.c $(COMMON)
timer  = programs/timer/timer.S programs/timer/clock.c switch.c $(FRAMES) \
	$(filter-out ring0/watchdog.c, $(COMMON))
# A call gate's frame has another way out, other words, and an alarm that may come in ring 0.
callgate = $(addprefix programs/callgate/, callgate.S fault.c gap.c frame_words.c panel.c) switch.c \
	procs/procs.c procs/watch.c show/tss_words.c $(filter-out ring0/watchdog.c, $(COMMON))
HWTASK = $(addprefix programs/hwtask/, tasks.S tasks.c watch.c panel.c) $(COMMON)
hwtask = programs/hwtask/hwtask.S $(filter-out ring0/door.c, $(HWTASK))
hwjump = programs/hwtask/hwjump.S $(HWTASK)

PAGES  = ring0/paging.S ring0/paging.c show/walk.c
paged  = $(addprefix programs/paged/, paged.S hide.S ring3.S schedule.c spaces.c say.c threads.c panel.c) \
	ring0/copy_in.S ring0/wants.S show/window_page.c $(PAGES) $(WORDS) $(COMMON)

sysenter = $(addprefix programs/sysenter/, sysenter.S ring3.S spaces.c procs.c panel.c) ring0/wants.S ring0/want_sysenter.S \
	show/window_page.c $(PAGES) \
	show/tss_words.c $(filter-out ring0/door.c, $(COMMON))

menu = programs/menu/menu.S ring0/stop.S

PROGRAMS = p_proc kstack userctx timer callgate hwtask hwjump paged sysenter menu

# How a program lies in memory: as program.ld says, or with pages.
LAYOUT       = ring0/program.ld
LAYOUT_paged = ring0/flat.ld
LAYOUT_sysenter = ring0/flat.ld

.PHONY: all
all: $(IMAGE)

.PHONY: help
help:
	@sed -n 's/^#: //p' Makefile

# ---- the floppy -----------------------------------------------------------
#: make                 the floppy, build/floppy.img

$(IMAGE): floppy.img.in scripts/mkfloppy $B/boot.bin $(PROGRAMS:%=$B/%.com)
	sh scripts/mkfloppy floppy.img.in $@

$B/boot.bin: $B/boot.S.o
	$(LD) -m elf_i386 -Ttext 0x7c00 -e _start -o $(NEW).elf $< && mv -f $(NEW).elf $B/boot.elf
	$(OBJCOPY) -O binary -j .text $B/boot.elf $(NEW) && $(DONE)

# Where the boot sector keeps the name of the file to start: MENU writes there.
$B/boot_name.h: $B/boot.bin
	$(NM) $B/boot.elf | awk '$$3 == "name" { print "#define BOOT_NAME 0x" $$1 }' > $(NEW) && $(DONE)
$B/programs/menu/menu.S.o: $B/boot_name.h

define LINK
$B/$(program).elf: $(or $(LAYOUT_$(program)),$(LAYOUT)) $($(program):%=$B/%.o)
	sh scripts/link $$@ $$(NM) $$(LD) -m elf_i386 -T $$^
endef
$(foreach program,$(PROGRAMS),$(eval $(LINK)))

# A program as it goes to the floppy; its symbols, as Bochs wants them; and its
# disassembly, for readers.
$B/%.com: $B/%.elf
	$(NM) $< | awk '$$2 ~ /[TtDdBb]/ { print $$1, $$3 }' > $(NEW) && mv -f $(NEW) $B/$*.sym
	$(OBJDUMP) -d -M i386 $< > $(NEW) && mv -f $(NEW) $B/$*.lst
	$(OBJCOPY) -O binary $< $(NEW) && $(DONE)

$B/%.o: % $B/how
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MT $@ -MF $(NEW).deps -c $< -o $(NEW) && \
		mv -f $(NEW).deps $(@:.o=.d) && $(DONE)

# Changes when the compiler or its options do, and then everything is rebuilt.
.PHONY: ask
$B/how: ask | tools
	@mkdir -p $B
	@echo '$(CC) $(LD) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || \
		{ echo '$(CC) $(LD) $(CPPFLAGS) $(CFLAGS)' > $(NEW) && $(DONE); }

.PHONY: tools
tools:
	@sh scripts/need $(firstword $(CC)) $(LD) $(OBJCOPY) $(OBJDUMP) $(NM) mformat mcopy

# Of the objects alone: tests and other targets may keep files *.d of their own in build/.
-include $(patsubst %,$B/%.d, boot.S scripts/mbr.S $(sort $(foreach program,$(PROGRAMS),$($(program)))))

# ---- running it -----------------------------------------------------------
#: make run             play, in QEMU (WINDOW=1: in a window of its own)
#: make bochs           play under Bochs' debugger, with checkpoints (WINDOW=1)
#: make bochs-headless  play in Bochs without a screen, and print the log
#:      PROG=kstack     with these, debug, record and attack: another program of the floppy

# What the floppy starts, in place of P_PROC. Targets that cannot use it refuse it rather
# than ignore it silently.
PROG    =
START   = $(if $(PROG),--program '$(PROG)')
PROGRAM = $(if $(PROG),--program '$(PROG)')
TAKE_PROG = run bochs bochs-headless tour debug record attack
ifneq ($(filter-out p_proc P_PROC p_proc.com P_PROC.COM,$(PROG)),)
REFUSE_PROG = $(filter-out all help clean $(TAKE_PROG),$(MAKECMDGOALS))
ifneq ($(REFUSE_PROG),)
$(error make $(firstword $(REFUSE_PROG)) does not take PROG=$(PROG): these do: $(TAKE_PROG))
endif
endif

.PHONY: run bochs bochs-headless
run: $(IMAGE)
	@sh scripts/run $(PROGRAM)
bochs: $(IMAGE)
	@sh scripts/bochs $(PROGRAM)
bochs-headless: $(IMAGE)
	@sh scripts/bochs --headless $(PROGRAM)

# ---- on real machines -----------------------------------------------------
#: make iso             a CD that boots, also from a stick: build/ringpong.iso
#: make usb             how to write a USB stick; DEVICE=/dev/sdX writes it, after it has asked

DEVICE =

.PHONY: iso usb
iso: $B/ringpong.iso
$B/ringpong.iso: $(IMAGE) floppy.img.in scripts/mkiso $B/mbr.bin
	sh scripts/mkiso floppy.img.in $(IMAGE) $B/mbr.bin $@
$B/mbr.bin: $B/scripts/mbr.S.o
	$(LD) -m elf_i386 -Ttext 0x600 -e _start -o $(NEW).elf $< && mv -f $(NEW).elf $B/mbr.elf
	$(OBJCOPY) -O binary -j .text $B/mbr.elf $(NEW) && $(DONE)
usb: $(IMAGE)
	@sh scripts/usb $(if $(DEVICE),'$(DEVICE)')

# ---- seeing it ------------------------------------------------------------
#: make tour            four looks at a ring transition, and the way out
#: make faults          six famous mistakes, and what ring 0 says to them
#: make debug           step through it in GDB, from the boot sector on
#: make record          what the CPU does, step by step: build/recording-bochs.json
#: make check-crossings every crossing, held against Intel's rules
#: make pictures        docs/pictures/, drawn from a recording
#: make rooms           docs/pictures/rooms.svg: how the rooms of the project hang together
#: make docs            the numbers and listings in docs/, from runs
#: make words           the book's chapters: words, sentences, minutes, and what is wrong with them

.PHONY: tour faults debug record check-crossings pictures rooms docs words
tour: $(IMAGE)
	@sh scripts/need bochs
	@$(PYTHON) scripts/ringside tour $(PROGRAM)
faults: $(IMAGE)
	@sh scripts/need qemu-system-i386
	@$(PYTHON) scripts/ringside mistakes
debug: $(IMAGE)
	@sh scripts/debug $(PROGRAM)
record: $(IMAGE)
	@sh scripts/need bochs
	$(PYTHON) scripts/ringside record $(PROGRAM)
check-crossings: $(IMAGE)
	@sh scripts/need bochs qemu-system-i386
	$(PYTHON) scripts/ringside judge
pictures: $(IMAGE)
	@sh scripts/need bochs
	$(PYTHON) scripts/ringside pictures
	$(PYTHON) scripts/ringside animated
rooms:
	$(PYTHON) scripts/ringside rooms
docs: $(IMAGE)
	@sh scripts/need bochs
	$(PYTHON) scripts/ringside docs
words:
	@$(PYTHON) scripts/ringside words

# ---- the page ---------------------------------------------------------------
#: make book            the book as a site: build/book/
#: make web             the page: build/web/, and build/web/ringpong.html in one file
#: make engine          its processor: Bochs as WebAssembly (sh scripts/setup --web; 15 minutes)
#: make release         what a teacher downloads: build/release/
#: make test-web        the page and the book in Chromium (sh scripts/setup --web; 5 minutes)
#: make break-web       break the page on purpose; these tests must notice

.PHONY: book web engine release test-web break-web
book:
	$(PYTHON) scripts/ringside book
web: $(IMAGE) book
	@sh scripts/need bochs
	$(PYTHON) scripts/ringside web
	$(PYTHON) scripts/ringside lab page
	$(PYTHON) scripts/ringside book --beside-the-page
engine:
	$(PYTHON) scripts/ringside engine
release: web $B/ringpong.iso
	$(PYTHON) scripts/ringside release
test-web: web
	@sh scripts/need chromium chromedriver npm
	$(PYTEST) -n 2 --dist loadfile web/tests
break-web: web
	@sh scripts/need chromium chromedriver npm
	$(PYTHON) web/tests/breakages/run

# ---- labs -----------------------------------------------------------------
#: make lab L=04        begin a lab: the broken program, in build/labs/04 (labs/README.md)
#: make grade L=04      what your work on it is worth, law by law
#: make slides          the lesson of docs/teaching.md as PDF, build/paper/ (sh scripts/setup --paper)
#: make handout         a cheat sheet of one page, and what the class reads, as PDF
#: make test-labs       each lab healthy, broken and badly mended; the cheats (as root; 4 minutes)
#: make test-lab-seeds  trees that are right lose no point, of 100 students each (as root; half an hour; SEEDS=20: fewer)

L =
SEEDS =

.PHONY: lab grade slides handout test-labs test-lab-seeds
lab: $(IMAGE)
	@$(PYTHON) scripts/ringside lab $(if $(L),start '$(L)',list)
grade: $(IMAGE)
	@sh scripts/need qemu-system-i386 bochs unshare setpriv prlimit git
	@# 1: points are missing, which is no error of make's
	@$(PYTHON) scripts/ringside lab $(if $(L),grade '$(L)',list) || [ $$? -eq 1 ]
slides handout:
	@$(PYTHON) scripts/ringside paper $@
test-labs: $(IMAGE)
	@sh scripts/need qemu-system-i386 bochs unshare setpriv prlimit git
	ALL_LABS=1 SEEDS=$(SEEDS) $(PYTEST) -n 4 --dist loadgroup tests/test_labs.py tests/test_lab_cheats.py tests/test_lab_runs.py
test-lab-seeds: $(IMAGE)
	@sh scripts/need qemu-system-i386 bochs unshare setpriv prlimit git
	$(PYTHON) -m tests.lab_seeds $(SEEDS)

# ---- without rings --------------------------------------------------------
#: make fncall          build/fncall/fncall: ping-pong by ret and call, in Linux

.PHONY: fncall
fncall: FNCALL_CC = $(if $(CROSS),cc,$(CC))
fncall:
	@case "$$(uname -sm)" in "Linux x86_64") ;; *) echo "make fncall: this program is for" \
		"Linux on x86-64, not for $$(uname -sm): build it there" >&2; exit 1 ;; esac
	@sh scripts/need $(firstword $(FNCALL_CC))
	@mkdir -p $B/fncall
	$(FNCALL_CC) -std=gnu11 -O2 -g -pthread -fcf-protection=none -fno-stack-protector -Wall -Wextra -Werror \
		$(SAME_NAMES) -o $B/fncall/fncall.$$$$ \
		$(addprefix programs/fncall/, run_fncall.S proc.S main.c options.c players.c rewrite.c decode.c) && \
		mv -f $B/fncall/fncall.$$$$ $B/fncall/fncall

# ---- testing and measuring ------------------------------------------------
#: make attack          everything that ring 3 may try, and random codes (15 minutes)
#: make test            what is promised, on the floppy that ships (4 minutes)
#: make test-long       the same where it takes longer: other compilers, each program's attacks (5 minutes)
#: make test-book       every block of the book, against runs (2 minutes)
#: make systems         all of this on Debian 12, 13 and testing (as root; SYSTEM=trixie takes one)
#: make breakages       what is promised, on guests broken on purpose: must fail
#: make test-kernels    kernels that are not ours, and mistakes that people make (30 minutes)
#: make test-pages      every page of PAGED, read and written from ring 3 (half a minute)
#: make test-laws       what laws find in kernels, healthy and broken on purpose (2 hours; goes on if stopped)
#: make soak            both emulators at full speed, with mistakes (SECONDS=60 each)
#: make bench           every design in one table; what a boot takes (2 minutes)

# Python's compiled files also go to build/: the tests start Python some hundred times.
PYTEST = PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX='$(CURDIR)/$B/pycache' $(PYTHON) -m pytest -q

SECONDS = 60
TEST_TOOLS = qemu-system-i386 bochs gdb dosbox Xvfb xdotool xorriso tmux
SYSTEM  =

.PHONY: attack test test-long test-book systems breakages test-kernels test-pages test-laws soak bench
attack: $(IMAGE)
	@sh scripts/need bochs qemu-system-i386
	@$(PYTHON) scripts/ringside attack $(PROGRAM)
test: $(IMAGE)
	@scripts/need qemu-system-i386 bochs gdb dosbox Xvfb xdotool xorriso
	$(PYTEST) -n 2 --dist loadgroup -m "not long" tests
test-long: $(IMAGE)
	@scripts/need qemu-system-i386 bochs gdb dosbox Xvfb xdotool xorriso
	$(PYTEST) -n 2 --dist loadgroup -m long tests
breakages: $(IMAGE)
	@sh scripts/need $(TEST_TOOLS)
	$(PYTHON) tests/breakages/run
test-book: $(IMAGE)
	@sh scripts/need bochs qemu-system-i386
	$(PYTHON) scripts/ringside docs --check docs/*.md docs/book/*/*.md
test-kernels: $(IMAGE)
	@sh scripts/need qemu-system-i386 bochs grub-mkrescue xorriso mformat
	ALL_MISTAKES=1 $(PYTEST) -n 2 tests/test_kernels.py tests/test_why.py tests/test_witness.py tests/test_laws.py
	PYTHONPATH=. $(PYTHON) tests/kernels/try_judge.py
test-pages: $(IMAGE)
	@sh scripts/need bochs qemu-system-i386
	$(PYTHON) scripts/ringside isolation
test-laws: $(IMAGE)
	@sh scripts/need bochs grub-mkrescue xorriso mformat
	PYTHONPATH=. $(PYTHON) tests/kernels/try_laws.py --healthy
	PYTHONPATH=. $(PYTHON) tests/kernels/try_laws.py
	PYTHONPATH=.:tests/breakages $(PYTHON) tests/breakages/try_laws.py
soak: $(IMAGE)
	@sh scripts/need bochs qemu-system-i386
	$(PYTHON) scripts/ringside soak --seconds $(SECONDS)
bench: $(IMAGE)
	$(PYTHON) scripts/ringside bench

# ---- the rest -------------------------------------------------------------
#: make screenshot      docs/screen.png and faults.png, pictures of the screen
#: make clean           remove build/
#: make help            this list

.PHONY: screenshot clean
screenshot: $(IMAGE)
	@sh scripts/need qemu-system-i386
	$(PYTHON) scripts/ringside screenshot switch docs/screen.png
	$(PYTHON) scripts/ringside screenshot fault docs/faults.png
clean:
	rm -rf $B
