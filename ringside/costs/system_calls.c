/*
 * The yardstick of a switch without rings: so many of the shortest system calls.
 *
 * From:	ringside/costs/fncall.py.
 * In:		argv[1]: how many.
 * Out:		nothing but the time it takes.  getppid(2), since libc answers others by itself.
 * Errors:	without a number it makes none.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (long left = argc > 1 ? atol(argv[1]) : 0; left > 0; left--)
		syscall(SYS_getppid);
	return 0;
}
