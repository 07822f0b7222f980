/*
 * The door: the IDT's entry for ring 3's way in.  It leads to the program's gate, or to
 * the magic breakpoint in front of that, so that a stop costs nothing where none is
 * wanted.
 */
#include "door.h"

uint32_t switches_left = 1;

/*
 * From:	look.c, in ring 0, any stack.  Interrupts off.
 * In:		whether Bochs is to stop at each way in.
 */
void door_stops(bool stop)
{
	idt_gate.offset = (uint16_t)(uint32_t)(stop ? gate_with_stop : gate);
}
