"""Names of registers, in order, and of the words that are saved of a proc.

FRAME_WORDS are those of ring0/frame.h, TSS_WORDS those of Intel's 32-bit TSS (SDM vol. 3A,
7.2.1), each from the lowest address up.
"""

GENERAL = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
NUMBERS = GENERAL + ("eip", "eflags", "cr0", "cpl")
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
SELECTORS = SEGMENTS + ("tr", "ldtr")
FRAME_WORDS = ("gs", "fs", "es", "ds", "edi", "esi", "ebp", "pusha_esp", "ebx", "edx", "ecx", "eax",
               "eip", "cs", "eflags", "esp", "ss")
TSS_WORDS = ("backlink", "esp0", "ss0", "esp1", "ss1", "esp2", "ss2", "cr3", "eip", "eflags", *GENERAL,
             "es", "cs", "ss", "ds", "fs", "gs", "ldt", "iomap")
