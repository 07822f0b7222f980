"""A terminal of a size and a kind, as tmux makes one, for what people see and type."""

import os
import re
import shlex
import subprocess
import tempfile
import time

from ringside.emulators.machines import ROOT

LEAVE = ("TMUX", "TMUX_PANE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "LANG", "LC_ALL", "LC_CTYPE", "WINDOW")
UTF8 = {"LC_ALL": "C.UTF-8"}


class Terminal:
    """Runs a command of the shell in it, in a folder.

    env is what the command finds beside the usual; inside=True leaves it the TMUX that it is in.
    When the command has ended, the last line is "ended CODE".
    """

    def __init__(self, command, columns=80, lines=25, env=UTF8, folder=ROOT, inside=False):
        # Not in tmp_path: a socket's path has 107 characters at most.
        self.own = tempfile.TemporaryDirectory(prefix="rp-")
        self.base = ["tmux", "-u", "-S", f"{self.own.name}/tmux", "-f", "/dev/null"]
        unset = " ".join(f"-u {name}" for name in LEAVE if not (inside and name.startswith("TMUX")))
        # A server that the command starts is not ours.
        given = shlex.join(f"{name}={value}" for name, value in {"TMUX_TMPDIR": self.own.name, **env}.items())
        line = f"cd {shlex.quote(str(folder))}; env {unset} {given} sh -c {shlex.quote(command)}; echo ended $?; sleep 60"
        clean = {name: value for name, value in os.environ.items() if name not in LEAVE}
        subprocess.run([*self.base, "new-session", "-d", "-x", str(columns), "-y", str(lines), "sh", "-c", line],
                       check=True, env=clean, stdin=subprocess.DEVNULL)
        self.tmux("set", "status", "off")

    def tmux(self, *arguments):
        return subprocess.run([*self.base, *arguments], capture_output=True, text=True, timeout=10).stdout

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def text(self):
        return self.tmux("capture-pane", "-p")

    def wait_for(self, pattern, timeout=20):
        """The first match of a pattern in what is shown."""
        end = time.monotonic() + timeout
        while not (match := re.search(pattern, shown := self.text())):
            assert time.monotonic() < end, f"no /{pattern}/ in\n{shown}"
            time.sleep(0.05)
        return match

    def code(self, timeout=20):
        """The exit code of the command, when it has ended."""
        return int(self.wait_for(r"(?m)^ended (\d+)$", timeout)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")
        # A server that the command has started in its own terminal.
        subprocess.run(["tmux", "-L", "ringpong", "kill-server"], env={**os.environ, "TMUX_TMPDIR": self.own.name},
                       stderr=subprocess.DEVNULL)
        self.own.cleanup()
