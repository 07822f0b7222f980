# Ringpong. `make help` says what there is; everything made lies in build/.
#
#   make CC=clang                another compiler
#   make CROSS=i686-linux-gnu-   a cross compiler, on machines that are no PC

B = build

ifdef CROSS
CC      = $(CROSS)gcc
else
CC      = gcc
endif
LD      = $(CROSS)ld
OBJCOPY = $(CROSS)objcopy
OBJDUMP = $(CROSS)objdump
NM      = $(CROSS)nm

# What gcc and clang spell differently: the target, and the oldest CPU that the
# assembler is to allow.
ifneq ($(findstring clang,$(CC)),)
TARGET = -target i386-none-elf
else
TARGET = -m32 -Wa,-march=i386
endif

# No library, no position-independent code, nothing that a bare i386 lacks.  The
# first three arguments of a function go in eax, edx and ecx (-mregparm).
CPPFLAGS = -Icommon -I$B
CFLAGS   = $(TARGET) -march=i386 -mregparm=3 -std=gnu11 -Os -g \
	-ffreestanding -fomit-frame-pointer -fno-pic -fno-pie -fno-stack-protector \
	-fcf-protection=none -fno-asynchronous-unwind-tables \
	-mgeneral-regs-only -Wall -Wextra -Werror

IMAGE  = $B/floppy.img
# A program is its own sources, and what it shares with others.  (FRAMES: with those
# whose procs live in frames.)
COMMON = $(addprefix common/, cause.c clocks.c enter.S explain.c leave.S look.c machine.c \
	pace.c panic.S panic.c report.c screen.c stop.S text.c watchdog.c window.c words.c)
FRAMES = $(addprefix common/, fault.S fault.c panel.c procs.c watch.c)

p_proc = p_proc.S switch.c $(FRAMES) $(COMMON)
kstack = $(addprefix kstack/, kstack.S schedule.c check.c stacks.c threads.c) $(COMMON)
userctx = $(addprefix userctx/, userctx.S run.S main.c check.c contexts.c) $(COMMON)
timer  = timer/timer.S timer/clock.c switch.c $(FRAMES) $(filter-out common/watchdog.c, $(COMMON))
HWTASK = $(addprefix hwtask/, tasks.S tasks.c watch.c panel.c) $(filter-out common/words.c, $(COMMON))
hwtask = hwtask/hwtask.S $(HWTASK)
hwjump = hwtask/hwjump.S $(HWTASK)

menu = menu/menu.S common/stop.S

PROGRAMS = p_proc kstack userctx timer hwtask hwjump menu

.PHONY: all
all: $(IMAGE)

.PHONY: help
help:
	@sed -n 's/^#: //p' Makefile

# ---- the floppy -----------------------------------------------------------
#: make                 the floppy, build/floppy.img

$(IMAGE): floppy.img.in scripts/mkfloppy $B/boot.bin $(PROGRAMS:%=$B/%.com)
	scripts/mkfloppy floppy.img.in $@

$B/boot.bin: $B/boot.S.o
	$(LD) -m elf_i386 -Ttext 0x7c00 -e _start -o $B/boot.elf $<
	$(OBJCOPY) -O binary -j .text $B/boot.elf $@

# Where the boot sector has the name of the file to start: MENU writes there.
$B/boot_name.h: $B/boot.bin
	$(NM) $B/boot.elf | awk '$$3 == "name" { print "#define BOOT_NAME 0x" $$1 }' > $@
$B/menu/menu.S.o: $B/boot_name.h

define LINK
$B/$(program).elf: common/program.ld $($(program):%=$B/%.o)
	scripts/link $$@ $$(NM) $$(LD) -m elf_i386 -T $$^
endef
$(foreach program,$(PROGRAMS),$(eval $(LINK)))

# A program as it goes to the floppy; its names, as Bochs wants them; and what
# the assembler has made of it, for readers.
$B/%.com: $B/%.elf
	$(OBJCOPY) -O binary $< $@
	$(NM) $< | awk '$$2 ~ /[TtDdBb]/ { print $$1, $$3 }' > $B/$*.sym
	$(OBJDUMP) -d -M i386 $< > $B/$*.lst

$B/%.o: % $B/how
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# Changes when the compiler or its options do, and everything is made anew.
.PHONY: ask
$B/how: ask | tools
	@mkdir -p $B
	@echo '$(CC) $(LD) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(LD) $(CPPFLAGS) $(CFLAGS)' > $@

.PHONY: tools
tools:
	@scripts/need $(firstword $(CC)) $(LD) $(OBJCOPY) $(OBJDUMP) $(NM) mformat mcopy

-include $(wildcard $B/*.d $B/*/*.d)

# ---- running it -----------------------------------------------------------
#: make run             play, in QEMU (WINDOW=1: in a window of its own)
#: make bochs           play under Bochs' debugger, with checkpoints (WINDOW=1)
#: make bochs-headless  play in Bochs without a screen, print the log
#:      PROG=kstack     with these, debug, record and attack: another program of the floppy

# What the floppy starts, in place of P_PROC.
PROG  =
START = $(if $(PROG),--start '$(PROG)')

.PHONY: run bochs bochs-headless
run: $(IMAGE)
	@scripts/run $(START)
bochs: $(IMAGE)
	@scripts/bochs $(START)
bochs-headless: $(IMAGE)
	@scripts/bochs --headless $(START)

# ---- on real machines -----------------------------------------------------
#: make iso             a CD that boots, build/ringpong.iso
#: make usb             how to write a USB stick; DEVICE=/dev/sdX writes it, after it has asked

DEVICE =

.PHONY: iso usb
iso: $B/ringpong.iso
$B/ringpong.iso: $(IMAGE) floppy.img.in scripts/mkiso
	scripts/mkiso floppy.img.in $(IMAGE) $@
usb: $(IMAGE)
	@scripts/usb $(if $(DEVICE),'$(DEVICE)')

# ---- seeing it ------------------------------------------------------------
#: make tour            four looks at a ring transition, and the way out
#: make faults          six famous mistakes, and what ring 0 says to them
#: make debug           step through it in GDB, from the boot sector on
#: make record          what the CPU does, step by step: build/recording-bochs.json
#: make check-crossings every crossing, held against Intel's rules
#: make pictures        docs/pictures/, drawn from a recording
#: make docs            the numbers and listings in docs/, from runs

.PHONY: tour faults debug record check-crossings pictures docs
tour: $(IMAGE)
	@scripts/need bochs
	@lab/tour
faults: $(IMAGE)
	@lab/mistakes
debug: $(IMAGE)
	@scripts/debug $(START)
record: $(IMAGE)
	@scripts/need bochs
	lab/record $(PROG:%=--program %)
check-crossings: $(IMAGE)
	@scripts/need bochs qemu-system-i386
	lab/check-crossings
pictures: $(IMAGE)
	@scripts/need bochs
	lab/pictures
docs: $(IMAGE)
	@scripts/need bochs
	lab/docs

# ---- without rings --------------------------------------------------------
#: make fncall          build/fncall/fncall: ping-pong by ret and call, in Linux

.PHONY: fncall
fncall: FNCALL_CC = $(if $(CROSS),cc,$(CC))
fncall:
	@case "$$(uname -sm)" in "Linux x86_64") ;; *) echo "make fncall: this program is for" \
		"Linux on x86-64, not for $$(uname -sm): build it there" >&2; exit 1 ;; esac
	@scripts/need $(firstword $(FNCALL_CC))
	@mkdir -p $B/fncall
	$(FNCALL_CC) -std=gnu11 -O2 -g -fcf-protection=none -Wall -Wextra -Werror \
		-o $B/fncall/fncall fncall/run_fncall.S fncall/proc.S fncall/main.c

# ---- testing and measuring ------------------------------------------------
#: make attack          whatever ring 3 may try, and codes at random (9 minutes)
#: make test            what is promised, on the floppy that ships (4 minutes)
#: make breakages       what is promised, on guests broken on purpose: must fail
#: make test-kernels    other kernels than ours, and mistakes that people make (15 minutes)
#: make soak            both emulators at full speed, with mistakes (SECONDS=60 each)
#: make bench           every design in one table; what a boot takes (2 minutes)

PYTEST = PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q -p no:cacheprovider

SECONDS = 60

.PHONY: attack test breakages test-kernels soak bench
attack: $(IMAGE)
	@scripts/need bochs qemu-system-i386
	@lab/attack $(PROG:%=--program %)
test: $(IMAGE)
	@scripts/need qemu-system-i386 bochs gdb dosbox Xvfb xdotool xorriso
	$(PYTEST) -n 2 tests
breakages: $(IMAGE)
	tests/breakages/run
test-kernels: $(IMAGE)
	@scripts/need qemu-system-i386 bochs grub-mkrescue xorriso mformat
	ALL_MISTAKES=1 $(PYTEST) -n 2 tests/test_kernels.py
soak: $(IMAGE)
	lab/soak --seconds $(SECONDS)
bench: $(IMAGE)
	lab/bench

# ---- the rest -------------------------------------------------------------
#: make screenshot      docs/screen.png and faults.png, pictures of the screen
#: make clean           remove build/
#: make help            this list

.PHONY: screenshot clean
screenshot: $(IMAGE)
	lab/screenshot switch docs/screen.png
	lab/screenshot fault docs/faults.png
clean:
	rm -rf $B
