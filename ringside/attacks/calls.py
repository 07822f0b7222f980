"""Attacks on a call gate with one parameter: for programs that have one (CALLGATE)."""

from ringside.attacks.attack import Attack, ON, STACK, gp
from ringside.attacks.table import LIMITS

CALLS = [
    Attack("call: any offset", "push $0; lcall $CALL_GATE, $0xffffffff", ON),
    Attack("call: RPL 0", "push $0; lcall $CALL_GATE - 3, $0", ON),
    Attack("call: by memory", "movl $CALL_GATE, 12; push $0; lcall *8", ON),
    Attack("call: the gate has 32 bits, not the instruction", "push $0; .byte 0x66, 0x9a; .word 0, CALL_GATE", ON),
    Attack("call: takes one parameter off, and no more", "push $1; push $2; lcall $CALL_GATE, $0; cmp $DATA_BYTES - 4, %esp;"
           "je 1f; hlt; 1: nop", ON),
    Attack("call: own parameter stays as it was", "push $0x12345678; lcall $CALL_GATE, $0; cmpl $0x12345678, DATA_BYTES - 4;"
           "je 1f; hlt; 1: nop", ON),
    Attack("call: a parameter from the stack's first word", "xor %esp, %esp; lcall $CALL_GATE, $0; cmp $4, %esp; je 1f; hlt;"
           "1: nop", ON),
    Attack("call: no parameter", "9: lcall $CALL_GATE, $0; nop", STACK, ON, LIMITS),
    Attack("call: half a parameter", "pushw $0; 9: lcall $CALL_GATE, $0; nop", STACK, ON, LIMITS),
    Attack("call: past the gate", "push $0; lcall $RING0_CODE, $0x100", gp(0x08)),
    Attack("call: null", "push $0; lcall $0, $0", gp()),
    Attack("jump through the gate", "push $0; ljmp $CALL_GATE, $0", gp(0x08)),
    Attack("jump through the gate, by memory", "movl $CALL_GATE, 12; ljmp *8", gp(0x08)),
    Attack("lret to the gate", "push $CALL_GATE; push $0; lret", gp("CALL_GATE")),
    Attack("iret to the gate", "push $0x202; push $CALL_GATE; push $0; iret", gp("CALL_GATE")),
    Attack("the gate as data", "mov $CALL_GATE, %eax; mov %eax, %es", gp("CALL_GATE")),
    Attack("the gate as a stack", "mov $CALL_GATE, %eax; mov %eax, %ss", gp("CALL_GATE")),
    Attack("int 0x30, which is no door here", "int $0x30", gp(0x30 * 8 + 2)),
]
