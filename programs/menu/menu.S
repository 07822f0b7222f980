/*
 * MENU: lists the programs on the floppy and starts the one that is chosen.
 *
 * boot.S loads this file at SEG:0100 and jumps to its first byte.  It stays in real
 * mode and asks the BIOS for everything.  The boot sector is still in memory behind
 * it, and so is the root directory that the boot sector has read: the list comes from
 * there, and whoever is chosen is started by another jump to the boot sector.
 */
#include "boot_name.h"			/* BOOT_NAME: the Makefile asks boot.S */
#include "show/layout.h"

/* What boot.S promises in its header, all in segment 0. */
#define BOOT_SECTOR		0x7c00
#define BOOT_MARK		(BOOT_NAME + NAME_BYTES)	/* ", press a key" */
#define ROOT			0xa400
#define ROOT_ENTRIES		224

/* A directory entry. */
#define ENTRY_BYTES		32
#define NAME_BYTES		11		/* 8 and 3, padded with spaces */
#define BASE_BYTES		8
#define ENTRY_ATTRIBUTES	11
#define ENTRY_SIZE		28
#define NO_FILE			0x18		/* label (as long names are), directory */
#define NEVER_USED		0x00		/* first byte: nor is any entry behind it */
#define DELETED			0xe5

/* The BIOS: its own memory in segment 0, and int 0x10. */
#define KEYBOARD_FLAGS		0x0417
#define SHIFT_KEYS		0x03
#define VIDEO_MODE		0x00		/* ah; al = 3: text, 80 x 25, 16 colours */
#define VIDEO_CURSOR_SHAPE	0x01		/* ch = 20: none */
#define VIDEO_CURSOR		0x02		/* bh = page; dh, dl = row, column */
#define VIDEO_SCROLL		0x06		/* al = 0: clear; bh = attribute; cx-dx */
#define VIDEO_WRITE		0x09		/* al; bh, bl = page, attribute; cx times */

/* Keys by their places (scan codes): so they are the same with Shift and Num Lock. */
#define KEY_1			0x02
#define KEY_9			0x0a
#define KEY_ENTER		0x1c
#define KEY_HOME		0x47
#define KEY_UP			0x48
#define KEY_END			0x4f
#define KEY_DOWN		0x50
#define KEY_KEYPAD_ENTER	0xe0

#define DEBUG_PORT		0xe9

/* The screen: where things stand, and attributes. */
#define LIST_TITLE_ROW		2
#define LIST_ROW		4
#define LIST_ROWS		18
#define TEXT_COLUMN		2
#define NUMBER_COLUMN		4
#define FILE_COLUMN		8
#define SIZE_COLUMN		24
#define TITLE			0x17		/* grey on blue */
#define LABEL			0x07		/* grey */
#define VALUE			0x0f		/* white */
#define BAR			0x70		/* black on grey */

#define DIGITS			10		/* of 2^32 - 1 */

	.section .start, "ax"

/*
 * start - the program's first byte
 *
 * From:	boot.S.  Real mode; cs = ds = es = ss = SEG, dl = drive.
 * To:		boot.S, with another name.
 * Stack:	the loader's.
 * Interrupts:	on; off for the jump back.
 * Errors:	no boot sector of Ringpong's in memory (DOS has started this file):
 *		says so, and ends (ring0/stop.S).
 *
 * From here on fs is 0, the segment of the boot sector and its directory.
 */
	.code16
	.global	start
start:
	cld
	mov	%dl, drive
	xor	%ax, %ax
	mov	%ax, %fs

	mov	%ax, %es
	mov	$mark, %si		# not by "RINGPONG" at its third byte: Windows writes
	mov	$BOOT_MARK, %di		# something else over that
	mov	$mark_end - mark, %cx
	repe cmpsb
	push	%ds
	pop	%es
	mov	$no_boot_sector, %si
	jne	stop_in_real_mode

	call	find_programs
	call	log_boot
	movw	$0, chosen
	movw	$0, top
	call	draw_frame
again:
	call	draw_list
drawn:
	mov	$0x00, %ah		# BIOS: wait for a key; ah = scan code
	int	$0x16
	mov	%ah, %al
	mov	chosen, %bx
	mov	count, %cx
	jcxz	again			# nothing to choose from
	dec	%cx			# the last one

	cmp	$KEY_UP, %al
	je	up
	cmp	$KEY_DOWN, %al
	je	down
	cmp	$KEY_HOME, %al
	je	home
	cmp	$KEY_END, %al
	je	end
	cmp	$KEY_ENTER, %al
	je	start_chosen
	cmp	$KEY_KEYPAD_ENTER, %al
	je	start_chosen
	sub	$KEY_1, %al
	cmp	$KEY_9 - KEY_1, %al
	ja	again
	cbtw				# ah = 0
	cmp	%cx, %ax
	ja	again
	mov	%ax, %bx
	jmp	choose

up:	test	%bx, %bx
	jz	again
	dec	%bx
	jmp	choose
down:	cmp	%cx, %bx
	je	again
	inc	%bx
	jmp	choose
home:	xor	%bx, %bx
	jmp	choose
end:	mov	%cx, %bx
choose:
	mov	%bx, chosen
	mov	top, %ax		# the list moves as little as it must
	cmp	%bx, %ax
	jbe	1f
	mov	%bx, %ax
1:	sub	$LIST_ROWS - 1, %bx
	jle	2f
	cmp	%bx, %ax
	jae	2f
	mov	%bx, %ax
2:	mov	%ax, top
	jmp	again

/*
 * start_chosen - the boot sector does the rest
 *
 * To:		0000:7c00, as boot.S wants it: text mode, dl = drive, the name.  If
 *		Shift is still down, it is not to count again.
 */
start_chosen:
	shl	$1, %bx
	mov	programs(%bx), %si
	mov	$log_start, %di
	call	log
	call	file_name
	mov	$text, %di
	call	log
	mov	$log_end, %di
	call	log

	mov	$VIDEO_MODE << 8 | 3, %ax
	int	$0x10
	mov	drive, %dl
	push	%fs
	pop	%ds
	push	%fs
	pop	%es
	mov	$BOOT_NAME, %di
	mov	$NAME_BYTES, %cx
	rep movsb
	cli				# a key repeats itself: the BIOS would set
	andb	$~SHIFT_KEYS, KEYBOARD_FLAGS	# the flag again
	ljmp	$0, $BOOT_SECTOR


/* ---- the directory ----------------------------------------------------- */

	.text

/*
 * find_programs - every file *.COM in the root directory but this one
 *
 * Out:		programs, count.
 * Clobbers:	ax, bx, si.
 */
find_programs:
	mov	$programs, %bx
	mov	$ROOT, %si
1:	mov	%fs:(%si), %al
	cmp	$NEVER_USED, %al
	je	3f
	cmp	$DELETED, %al
	je	2f
	testb	$NO_FILE, %fs:ENTRY_ATTRIBUTES(%si)
	jnz	2f
	cmpw	$'C' | 'O' << 8, %fs:BASE_BYTES(%si)
	jne	2f
	cmpb	$'M', %fs:BASE_BYTES + 2(%si)
	jne	2f
	cmpl	$'M' | 'E' << 8 | 'N' << 16 | 'U' << 24, %fs:(%si)
	jne	4f
	cmpl	$' ' | ' ' << 8 | ' ' << 16 | ' ' << 24, %fs:4(%si)
	je	2f
4:	mov	%si, (%bx)
	add	$2, %bx
2:	add	$ENTRY_BYTES, %si
	cmp	$ROOT + ROOT_ENTRIES * ENTRY_BYTES, %si
	jb	1b
3:	sub	$programs, %bx
	shr	$1, %bx
	mov	%bx, count
	ret

/*
 * file_name - an entry's name, as people write it
 *
 * In:		si: the entry.
 * Out:		text: the name, without spaces and with a dot, ending in 0.
 * Clobbers:	al, bx, di.
 */
file_name:
	mov	$text, %di
	xor	%bx, %bx
1:	mov	%fs:(%bx,%si), %al
	cmp	$' ', %al
	je	2f
	stosb
2:	inc	%bx
	cmp	$BASE_BYTES, %bx
	jne	3f
	mov	$'.', %al
	stosb
3:	cmp	$NAME_BYTES, %bx
	jne	1b
	movb	$0, (%di)
	ret

/*
 * decimal - a number, right-aligned
 *
 * In:		eax: the number.
 * Out:		text: DIGITS characters, ending in 0; di: the first digit.
 * Clobbers:	eax, ebx, ecx, edx.
 */
decimal:
	mov	$text, %di
	mov	$' ' | ' ' << 8, %bx
	mov	%bx, (%di)
	mov	%bx, 2(%di)
	mov	%bx, 4(%di)
	mov	%bx, 6(%di)
	mov	%bx, 8(%di)
	add	$DIGITS, %di
	movb	$0, (%di)
	mov	$10, %ebx
1:	xor	%edx, %edx
	div	%ebx
	add	$'0', %dl
	dec	%di
	mov	%dl, (%di)
	test	%eax, %eax
	jnz	1b
	ret


/* ---- the screen -------------------------------------------------------- */

/*
 * draw_frame - what stays
 *
 * Clobbers:	everything but segment registers.
 */
draw_frame:
	mov	$VIDEO_MODE << 8 | 3, %ax
	int	$0x10
	mov	$VIDEO_CURSOR_SHAPE << 8, %ax
	mov	$0x2000, %cx
	int	$0x10

	mov	$TITLE, %bl
	mov	$TITLE_ROW << 8, %dx
	call	fill_row
	mov	$title, %di
	call	say
	mov	$LABEL, %bl
	mov	$LIST_TITLE_ROW << 8, %dx
	call	fill_row
	mov	$list_title, %di
	cmpw	$0, count
	jne	1f
	mov	$list_empty, %di
1:	call	say
	mov	$BAR, %bl
	mov	$KEYS_ROW << 8, %dx
	call	fill_row
	mov	$keys, %di
	jmp	say

/*
 * draw_list - as much of the list as there is room for
 *
 * Clobbers:	everything but segment registers.
 */
draw_list:
	mov	top, %si		# si: the number of the program in the list,
	mov	$LIST_ROW << 8, %dx	# dh: its row
1:	mov	$VALUE, %bl
	cmp	chosen, %si
	jne	2f
	mov	$BAR, %bl
2:	cmp	count, %si
	jae	3f
	call	draw_program
	inc	%si
	inc	%dh
	cmp	$LIST_ROW + LIST_ROWS, %dh
	jb	1b
3:	ret

/*
 * draw_program - a row of the list
 *
 * In:		si: its number, from 0; dh: row; bl: attribute.
 * Clobbers:	ax, cx, di, dl.
 */
draw_program:
	call	fill_row
	cmp	$9, %si
	jae	1f			# there is no key for it
	mov	%si, %ax
	add	$'1', %al
	mov	$NUMBER_COLUMN, %dl
	call	put
1:	push	%si
	push	%bx
	mov	%si, %bx
	shl	$1, %bx
	mov	programs(%bx), %si
	call	file_name
	pop	%bx
	mov	$FILE_COLUMN, %dl
	mov	$text, %di
	call	say

	mov	%fs:ENTRY_SIZE(%si), %eax
	push	%bx
	push	%dx
	call	decimal
	pop	%dx
	pop	%bx
	mov	$SIZE_COLUMN, %dl
	mov	$text, %di
	call	say
	mov	$bytes, %di
	call	say
	pop	%si
	ret

/*
 * fill_row - an empty row
 *
 * In:		dh: row; bl: attribute.
 * Out:		dl: TEXT_COLUMN.
 * Clobbers:	ax, cx.
 */
fill_row:
	push	%bx
	push	%bp			# some BIOSes lose it when they scroll
	mov	%bl, %bh
	mov	%dh, %ch
	mov	$0, %cl
	mov	$COLUMNS - 1, %dl
	mov	$VIDEO_SCROLL << 8, %ax
	int	$0x10
	pop	%bp
	pop	%bx
	mov	$TEXT_COLUMN, %dl
	ret

/*
 * say - a text
 *
 * In:		di: the text, ending in 0; dh, dl: row, column; bl: attribute.
 * Out:		dl: the column behind it.
 * Clobbers:	ax, cx, di.
 */
say:
	mov	(%di), %al
	test	%al, %al
	jz	1f
	call	put
	inc	%di
	jmp	say
1:	ret

/*
 * put - a character
 *
 * In:		al: the character; dh, dl: row, column; bl: attribute.
 * Out:		dl: the next column.
 * Clobbers:	ax, cx.
 */
put:
	mov	$0, %bh
	push	%ax
	mov	$VIDEO_CURSOR, %ah
	int	$0x10
	pop	%ax
	mov	$VIDEO_WRITE, %ah
	mov	$1, %cx
	int	$0x10
	inc	%dl
	ret


/* ---- the log ----------------------------------------------------------- */

/*
 * log_boot - the log's first line: where this program is, and how many it has found
 *
 * Clobbers:	eax, ebx, ecx, edx, di.
 */
log_boot:
	mov	$log_base, %di
	call	log
	mov	%cs, %bx		# the base without its last digit
	mov	$4, %cx
1:	rol	$4, %bx
	mov	%bl, %al
	and	$0x0f, %al
	cmp	$10, %al		# 0-9: less 0x6a, and das takes 0x66 more
	sbb	$0x69, %al		# A-F: less 0x69, and das takes 0x60 more
	das
	or	$0x20, %al		# a-f; digits have that bit
	out	%al, $DEBUG_PORT
	loop	1b
	mov	$log_programs, %di
	call	log
	movzwl	count, %eax
	call	decimal
	call	log
	mov	$log_end, %di		# on into log

/*
 * log - a piece of a line for the log
 *
 * In:		di: the text, ending in 0.
 * Clobbers:	al, di.
 */
log:
1:	mov	(%di), %al
	test	%al, %al
	jz	2f
	out	%al, $DEBUG_PORT
	inc	%di
	jmp	1b
2:	ret

	.section .rodata
mark:
	.asciz	", press a key"
mark_end:
no_boot_sector:
	.ascii	"\r\nMENU starts what is on the floppy that the machine was booted from, and it was\r\n"
	.asciz	"not booted from one of Ringpong's. Start the other programs by their names.\r\n"
title:
	.asciz	"RINGPONG   menu"
list_title:
	.asciz	"The programs on this floppy:"
list_empty:
	.asciz	"There is no program on this floppy but this menu."
bytes:
	.asciz	" bytes"
keys:
	.asciz	"\x18 \x19 or 1-9 choose   Enter starts   Ctrl-Alt-Del boots again"
log_base:
	.asciz	"boot prog=menu base=000"
log_programs:
	.asciz	"0 programs="
log_start:
	.asciz	"start file="
log_end:
	.asciz	"\n"

	.bss
drive:
	.space	1
	.balign	2
chosen:
	.space	2			# number in the list, from 0
top:
	.space	2			# the one in the list's first row
count:
	.space	2
programs:
	.space	2 * ROOT_ENTRIES	# offsets of their entries, in segment 0
text:
	.space	16

	.section .note.GNU-stack, "", @progbits
