"""What every command of ours has in common."""

import gdb


def say(text=""):
    gdb.write(text + "\n")


def quietly(command):
    """Executes a command of GDB's. What it would have printed."""
    return gdb.execute(command, to_string=True)


class Command(gdb.Command):
    """A command's docstring is its help; run() gets what is typed behind its name."""

    name = None
    completer = gdb.COMPLETE_NONE

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_USER, self.completer)

    def invoke(self, argument, _from_tty):
        if not gdb.selected_thread():
            raise gdb.GdbError("The machine is off. To start it again: quit, then make debug")
        try:
            self.run(argument.strip())
        except gdb.error as error:  # without Python's traceback
            raise gdb.GdbError(str(error)) from None
