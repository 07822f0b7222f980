"""A program of this Linux as a debugger sees it: ptrace(2) from outside, on the file that ships.

Tracee  a stopped program: registers, memory, steps, breakpoints
"""

import contextlib
import ctypes
import os
import signal
import struct
import subprocess
import tempfile
import time

from ringside.emulators import machines

# ptrace(2), and the order of struct user_regs_struct (sys/user.h).
TRACEME, CONT, STEP, GETREGS, SETREGS, GETFPREGS, SETFPREGS = 0, 7, 9, 12, 13, 14, 15
GETREGSET, SETREGSET, X86_XSTATE, XSTATE_BYTES = 0x4204, 0x4205, 0x202, 16384
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
             "fs_base gs_base ds es fs gs").split()
FLOATING_BYTES, X87_CW_AT, MXCSR_AT = 512, 0, 24  # struct user_fpregs_struct is FXSAVE's layout
STOP_SECONDS = 20
INT3, SYSCALL = b"\xcc", b"\x0f\x05"

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


class Iovec(ctypes.Structure):
    _fields_ = ("base", ctypes.c_void_p), ("length", ctypes.c_size_t)


def ptrace(request, pid=0, data=None, address=None):
    if LIBC.ptrace(request, pid, address, data) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")


class Tracee:
    """Stands before its first instruction at first. All from one thread, as ptrace wants it.

    delivers  signals that are the program's own affair: handed on to it when they come
    """

    def __init__(self, program, *arguments, delivers=()):
        self.delivers = set(delivers)
        self.names = machines.symbols(program)
        self.out = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=self.out, preexec_fn=lambda: ptrace(TRACEME))
        self.pid = self.process.pid
        self._wait()
        self.memory = open(f"/proc/{self.pid}/mem", "r+b", buffering=0)
        with open(f"/proc/{self.pid}/maps") as maps:
            base = next(int(line.split("-")[0], 16) for line in maps if line.endswith(f"{program}\n"))
        with open(program, "rb") as elf:
            movable = struct.unpack_from("<H", elf.read(64), 16)[0] == 3  # ET_DYN
        self.base = base if movable else 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        with contextlib.suppress(ChildProcessError):
            self.process.wait()
        self.memory.close()
        self.out.close()

    def _wait(self):
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSTOPPED(status):
            self.process.returncode = os.waitstatus_to_exitcode(status)
            raise machines.Missing(f"the program has ended with {self.process.returncode}: {self.said()}")
        if os.WSTOPSIG(status) in self.delivers:
            ptrace(CONT, self.pid, os.WSTOPSIG(status))
            return self._wait()
        if os.WSTOPSIG(status) != signal.SIGTRAP:
            name = signal.Signals(os.WSTOPSIG(status)).name
            raise machines.Missing(f"{name} at {self.registers()['rip'] - self.base:x}")

    def said(self):
        self.out.seek(0)
        return self.out.read()

    def place(self, name):
        """The address of a name; numbers are addresses already."""
        return self.base + self.names[name] if isinstance(name, str) else name

    def read(self, place, size):
        return os.pread(self.memory.fileno(), size, self.place(place))

    def write(self, place, data):
        os.pwrite(self.memory.fileno(), data, self.place(place))

    def words(self, place, count):
        return list(struct.unpack(f"<{count}Q", self.read(place, 8 * count)))

    def registers(self):
        raw = ctypes.create_string_buffer(8 * len(REGISTERS))
        ptrace(GETREGS, self.pid, raw)
        return dict(zip(REGISTERS, struct.unpack(f"<{len(REGISTERS)}Q", raw)))

    def set(self, **changes):
        values = {**self.registers(), **changes}
        ptrace(SETREGS, self.pid, struct.pack(f"<{len(REGISTERS)}Q", *(values[name] for name in REGISTERS)))

    def floating(self):
        """The control words: (MXCSR, x87)."""
        raw = ctypes.create_string_buffer(FLOATING_BYTES)
        ptrace(GETFPREGS, self.pid, raw)
        return struct.unpack_from("<I", raw, MXCSR_AT)[0], struct.unpack_from("<H", raw, X87_CW_AT)[0]

    def set_floating(self, mxcsr, x87_cw):
        raw = ctypes.create_string_buffer(FLOATING_BYTES)
        ptrace(GETFPREGS, self.pid, raw)
        struct.pack_into("<I", raw, MXCSR_AT, mxcsr)
        struct.pack_into("<H", raw, X87_CW_AT, x87_cw)
        ptrace(SETFPREGS, self.pid, raw)

    def extended(self):
        """All of x87, SSE and what the CPU has beyond, as xsave lays it out."""
        raw = ctypes.create_string_buffer(XSTATE_BYTES)
        where = Iovec(ctypes.addressof(raw), len(raw))
        ptrace(GETREGSET, self.pid, ctypes.addressof(where), X86_XSTATE)
        return raw.raw[:where.length]

    def set_extended(self, state):
        raw = ctypes.create_string_buffer(bytes(state), len(state))
        where = Iovec(ctypes.addressof(raw), len(state))
        ptrace(SETREGSET, self.pid, ctypes.addressof(where), X86_XSTATE)

    def system_call(self, number, *arguments):
        """Lets the program make a system call where it stands; its answer."""
        really = self.registers()
        kept = self.read(really["rip"], len(SYSCALL))
        self.write(really["rip"], SYSCALL)
        self.set(rax=number, orig_rax=(1 << 64) - 1, **dict(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), arguments)))
        self.step()
        answer = self.registers()["rax"]
        self.write(really["rip"], kept)
        self.set(**really)
        return answer - (answer >> 63 << 64)

    def step(self):
        ptrace(STEP, self.pid)
        self._wait()
        return self.registers()["rip"]

    def run_to(self, *places):
        """On until one of the places is next; which one that is. Leaves the one where it stands first."""
        places = {self.place(name): name for name in places}
        if self.registers()["rip"] in places:
            if (here := self.step()) in places:
                return places[here]
        kept = {place: self.read(place, 1) for place in places}
        for place in places:
            self.write(place, INT3)
        try:
            ptrace(CONT, self.pid)
            self._wait()
        finally:
            if self.process.returncode is None:
                for place, byte in kept.items():
                    self.write(place, byte)
        here = self.registers()["rip"] - len(INT3)
        if here not in places:
            raise machines.Missing(f"a breakpoint at {here - self.base:x}, where none was set")
        self.set(rip=here)
        return places[here]

    def resume(self, with_signal=0):
        """On, and to the next stop."""
        ptrace(CONT, self.pid, with_signal)
        self._wait()

    def run_for(self, seconds):
        """On for that long, wherever it is then."""
        ptrace(CONT, self.pid)
        end, stopped = time.monotonic() + seconds, False
        while time.monotonic() < end + STOP_SECONDS:
            if time.monotonic() > end and not stopped:
                os.kill(self.pid, signal.SIGSTOP)  # Popen would wait for it by itself
                stopped = True
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if not pid:
                time.sleep(0.001)
            elif os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP:
                return
            elif os.WIFSTOPPED(status) and os.WSTOPSIG(status) in self.delivers:
                ptrace(CONT, self.pid, os.WSTOPSIG(status))
            else:
                raise machines.Missing(f"it has stopped by itself: {status:#x}")
        raise machines.Missing("it does not stop")

    def go(self):
        """To its end; what it has printed."""
        with contextlib.suppress(machines.Missing):
            ptrace(CONT, self.pid)
            self._wait()
        return self.said()
