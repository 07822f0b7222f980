/*
 * What the sources of cases have in common (crossings.S, switches.S; ringside/emulators/graft.py).
 * Before it is included: CASE_BYTES.
 */

/* In a list of what each case must be. */
	.macro	case name, what, error
	.balign	CASE_BYTES
	.global	\name
\name:
	.pushsection .expected
	.ascii	"\name|\what"
	.ifnb	\error
	.ascii	"("
	hex	\error
	.ascii	")"
	.endif
	.ascii	"\n"
	.popsection
	.endm

	.macro	hex number
	.irp	shift, 12, 8, 4, 0
	.byte	48 + ((\number) >> \shift & 15) + ((\number) >> \shift & 15) / 10 * 39	# in ASCII
	.endr
	.endm

	/* only: where that row of ringside/emulators/versions.py holds. */
	.macro	else emulator, what, why, only
	.pushsection .expected
	.ascii	"\emulator|\what|\why|\only\n"
	.popsection
	.endm

/* A row of proc A's LDT, made by ring 0 with ds = RING0_DATA. */
	.macro	row selector, base, size, access
	mov	$\base, %eax
	mov	$\size - 1, %ecx
	mov	$\access, %edx
	mov	$proc_a_ldt + (\selector & ~7), %edi
	call	make_row
	.endm

/* A gate of the IDT; and without its offset, which stays. */
	.macro	gate vector, offset, selector, access
	movw	$\offset, idt + 8 * \vector
	lead	\vector, \selector, \access
	.endm

	.macro	lead vector, selector, access
	movw	$\selector, idt + 8 * \vector + 2
	movb	$\access, idt + 8 * \vector + 5
	.endm

/* Five words for iret, or three, on a stack that begins at `stack`. */
	.macro	push_return stack, cs, eip, flags=2, ss=-1, esp=0
	mov	$\stack, %esp
	.if	\ss >= 0
	push	$\ss
	push	$\esp
	.endif
	push	$\flags
	push	$\cs
	push	$\eip
	.endm

#define RPL3		3
#define TI		4
#define GLOBAL_BEYOND	0xf8		/* beyond the GDT */
#define ACCESS_OF(table, selector)	(table + ((selector) & ~7) + 5)

#define CONFORMS	4	/* in the access byte of a code segment */
#define READABLE	2
#define WRITABLE	2
#define EXPANDS_DOWN	4	/* and of a data segment */

#define CF		0x000001
#define TF		0x000100
#define IF		0x000200
#define IOPL		0x003000
#define NT		0x004000
#define AC		0x040000
#define ID		0x200000

	.text
/* eax: base, an offset; ecx: limit; edx: access byte; edi: the descriptor */
make_row:
	add	program_base, %eax
	mov	%cx, (%edi)
	mov	%ax, 2(%edi)
	shr	$16, %eax
	mov	%al, 4(%edi)
	mov	%dl, 5(%edi)
	movb	$SEGMENT_32BIT, 6(%edi)
	movb	$0, 7(%edi)
	ret
