/*
 * An exception, or an interrupt nobody asked for: say what it was, and stop.
 */
#include "fault.h"
#include "machine.h"
#include "screen.h"
#include "text.h"
#include "x86.h"

/* Intel, volume 3, table 6-1. */
static const char names[][4] = {
	"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
	"#DF", "", "#TS", "#NP", "#SS", "#GP", "#PF", "",
	"#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
};

/*
 * From:	fault_entry (fault.S).  gs: RING0_SCREEN.
 * In:		the frame (from ring 0 without esp and ss), vector, error code.
 * Stack:	fault_stack.  Interrupts off.  Does not come back.
 */
_Noreturn void fault(const struct frame *frame, uint32_t vector, uint32_t error)
{
	static char line[80];
	char *end = line;

	end = append(end, "panic vector=");
	end = append(end, hex(vector, 2));
	end = append(end, " name=");
	end = append(end, vector < sizeof names / sizeof names[0] ? names[vector] : "");
	end = append(end, " error=");
	end = append(end, hex(error, 4));
	end = append(end, " cs:eip=");
	end = append(end, hex(frame->cs, 4));
	end = append(end, ":");
	append(end, hex(frame->eip, 8));
	log_text(line);
	log_text("\n");
	screen_message("An exception that nobody handles. The machine stops here.", line);
	halt();
}
