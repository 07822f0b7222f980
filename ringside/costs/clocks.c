/*
 * How many cycles of the time-stamp counter instructions take in ring 3: a 32-bit program
 * of this Linux without a library, because pusha and lds exist in 32-bit code alone.
 *
 * From:	ringside/costs/clocks.py, which builds it and divides.
 * Out:		a line for each kind of instruction and round, "round ROUND NAME CYCLES":
 *		cycles for EACH * TIMES executions, the empty loop of the same round taken off.
 * Stack:	the one that Linux gives it.
 * Errors:	none; a write that fails ends it early, and the reader misses lines.
 */
#define EACH	16	/* executions in a row; also told to the assembler */
#define TIMES	1024	/* laps of the loop around them */
#define ROUNDS	7

#define SYS_EXIT	1
#define SYS_WRITE	4
#define SYS_GETPID	"20"

static unsigned frame_of_ds[2];		/* what lds and les load: an offset and a selector */

/* Linux' int 0x80 with three arguments. */
static int ask(int number, int one, const void *two, int three)
{
	int answer;

	__asm__ volatile("int $0x80" : "=a"(answer) : "a"(number), "b"(one), "c"(two), "d"(three) : "memory");
	return answer;
}

static inline unsigned long long clock_now(void)
{
	unsigned low, high;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) :: "memory");
	return (unsigned long long)high << 32 | low;
}

/*
 * A function that executes EACH * TIMES times what is in BODY, and returns the cycles.  eax, ecx,
 * edx, esi and edi are BODY's, and so are the flags; ebp counts, and ebx holds frame_of_ds.
 */
#define KIND(name, body)							\
	static unsigned name(void)						\
	{									\
		unsigned long long start = clock_now();				\
		__asm__ volatile(						\
			"push %%ebp; push %%ebx; mov %0, %%ebx; mov %1, %%ebp\n"	\
			"jmp 1f\n2: ret\n"					\
			"1:\n.rept 16\n" body "\n.endr\n"			\
			"dec %%ebp; jnz 1b; pop %%ebx; pop %%ebp"		\
			:: "i"(frame_of_ds), "i"(TIMES)				\
			: "eax", "ecx", "edx", "esi", "edi", "memory", "cc");	\
		return (unsigned)(clock_now() - start);				\
	}

KIND(nothing, "")
KIND(push_pop_ds, "push %%ds; pop %%ds")
KIND(push_pop_es, "push %%es; pop %%es")
KIND(push_pop_fs, "push %%fs; pop %%fs")
KIND(push_pop_gs, "push %%gs; pop %%gs")
KIND(load_ds, "lds (%%ebx), %%eax")
KIND(load_es, "les (%%ebx), %%eax")
KIND(mov_ss, "mov %%ss, %%eax; mov %%eax, %%ss")
KIND(pusha_popa, "pusha; popa")
KIND(pushf_popf, "pushf; popf")
KIND(call_ret, "call 2b")
KIND(set_direction, "cld")
KIND(compare, "mov %%ds, %%eax; cmp %%ax, 4(%%ebx); jne 9f; 9:")
KIND(swap, "xchg %%eax, (%%esp)")
KIND(iret_same_ring, "pushf; push %%cs; push $2f; iret; 2:")
KIND(int_and_back, "mov $" SYS_GETPID ", %%eax; int $0x80")

static const struct {
	const char *name;
	unsigned (*run)(void);
} kinds[] = {
	{ "push_pop_ds", push_pop_ds }, { "push_pop_es", push_pop_es },
	{ "push_pop_fs", push_pop_fs }, { "push_pop_gs", push_pop_gs },
	{ "load_ds", load_ds }, { "load_es", load_es }, { "mov_ss", mov_ss },
	{ "pusha_popa", pusha_popa }, { "pushf_popf", pushf_popf }, { "call_ret", call_ret },
	{ "set_direction", set_direction }, { "compare", compare }, { "swap", swap },
	{ "iret_same_ring", iret_same_ring }, { "int_and_back", int_and_back },
};
#define KINDS	(int)(sizeof kinds / sizeof kinds[0])

static char *put_number(char *at, unsigned number)
{
	char digits[10];
	int count = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while (number /= 10);
	while (count)
		*at++ = digits[--count];
	return at;
}

static void tell(int round, const char *name, unsigned cycles)
{
	char line[64], *at = line;

	for (const char *word = "round "; *word; word++)
		*at++ = *word;
	at = put_number(at, (unsigned)round);
	*at++ = ' ';
	while (*name)
		*at++ = *name++;
	*at++ = ' ';
	at = put_number(at, cycles);
	*at++ = '\n';
	ask(SYS_WRITE, 1, line, at - line);
}

/* From Linux, by the ELF file's entry. */
_Noreturn void _start(void);
void _start(void)
{
	_Static_assert(EACH == 16, ".rept says it as well");
	__asm__ volatile("mov %%ds, %0" : "=m"(frame_of_ds[1]));
	for (int round = 0; round <= ROUNDS; round++) {
		unsigned idle = nothing();

		for (int kind = 0; kind < KINDS; kind++) {
			unsigned taken = kinds[kind].run();

			if (round)	/* the first one warms up */
				tell(round, kinds[kind].name, taken > idle ? taken - idle : 0);
		}
	}
	for (;;)
		ask(SYS_EXIT, 0, 0, 0);
}
