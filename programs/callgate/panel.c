/* Ring 0's panel: P_PROC's, with the words of this door. */
#define PANEL_PUSHES	"\x1b esp0: lcall pushes"
#define PANEL_NO_PUSHES	"                     "
#define PANEL_NEXT	"lret next "

#include "procs/panel.c"
