/*
 * The boot sector: finds one file on a FAT12 floppy, loads it and jumps to it.
 *
 * From:	the BIOS, in real mode, by a jump to 0000:7c00 (some: 07c0:0000).
 * In:		dl = drive.  Nothing else is believed of registers and memory.
 * To:		1000:0100, the file's first byte, as DOS would start a .COM:
 *		cs = ds = es = ss = 1000, sp = fffe, dl = drive, IF set, DF clear.
 *
 * Shift:	either one, held while the machine boots, brings MENU.COM in place of
 *		the program that is named at the end of this sector.
 *
 * Again:	a program that wants the next one puts real mode, the interrupt
 *		vectors, the PICs and text mode back as it got them, writes the
 *		next one's name over the eleven bytes at 0000:7de5 (upper case,
 *		padded with spaces, no dot) and jumps to 0000:7c00 with dl = drive.
 *		Shift still counts; if it is not to, cli and clear bits 0 and 1 of
 *		the byte at 0000:0417 first.  But for the name, this sector is as
 *		it was.
 *
 * Sum:		a directory entry may hold the sum of its file, as scripts/mkfloppy
 *		writes it there: all its 16-bit words in a row are one long number,
 *		and the sum is what is left when 65521, a prime, divides it.  It
 *		stands where FAT32 has the upper half of the first cluster.
 *		Whoever writes a file anew leaves 0 there: not to be checked.
 *
 * Memory:	00500-07bff	stack; on its top the drive and the disk packet
 *		07c00-07dff	this sector
 *		0c000-0ffff	disk sectors 1-32: FAT, its copy, root directory
 *		10100-1f0ff	the file, 60 KiB at most
 *		None of these crosses a multiple of 0x10000: floppy DMA cannot.
 *
 * Errors:	said on the screen, with the file's name; then a key restarts the
 *		machine.  Nothing of the file has run by then.
 *		no 386		what is on this floppy needs one
 *		disk error XX	three tries failed; XX is what the BIOS says
 *		no file		no such file in the root directory
 *		bad file	it is empty, or larger than 60 KiB; its clusters
 *				leave the disk, or are more or fewer than its
 *				size says; or its bytes do not give its sum
 *
 * No instruction is younger than the 8086: an old CPU must get far enough to
 * say that it is too old.
 */
	.code16
#ifndef __clang__
	.arch	i8086			# clang has no such directive; gas wants .code16 before it
#endif

/*
 * The disk.  These numbers fill the table that DOS reads (the BPB), and the code
 * uses them directly: damage to the table does not mislead it.
 */
#define SECTOR_BYTES		512
#define CLUSTER_SECTORS		1
#define RESERVED_SECTORS	1		/* this one */
#define FATS			2
#define FAT_SECTORS		9
#define ROOT_ENTRIES		224
#define ENTRY_BYTES		32
#define DISK_SECTORS		2880
#define TRACK_SECTORS		18
#define HEADS			2
#define MEDIA_1440K		0xf0
#define EXTENDED_BPB		0x29

#if SECTOR_BYTES != 512 || CLUSTER_SECTORS != 1 || HEADS != 2
#error "read and load shift where these numbers would have to multiply"
#endif

#define ROOT_BYTES		(ROOT_ENTRIES * ENTRY_BYTES)
#define FATS_BYTES		(FATS * FAT_SECTORS * SECTOR_BYTES)
#define TABLES_SECTORS		((FATS_BYTES + ROOT_BYTES) / SECTOR_BYTES)
#define FILES_SECTOR		(RESERVED_SECTORS + TABLES_SECTORS)

/* In a directory entry. */
#define NAME_BYTES		11
#define ENTRY_ATTRIBUTES	11
#define ENTRY_SUM		20
#define ENTRY_CLUSTER		26
#define ENTRY_SIZE		28		/* 32 bits */
#define NO_FILE			0x18		/* label (as long names are), directory */
#define SUM_DIVISOR		65521

/* In the FAT. */
#define FIRST_CLUSTER		2		/* the one at FILES_SECTOR */
#define CLUSTERS		(DISK_SECTORS - FILES_SECTOR)
#define CHAIN_END		0xff8		/* or more */

/* In memory. */
#define BOOT_SECTOR		0x7c00
#define ROOT			(0x10000 - ROOT_BYTES)
#define FAT			(ROOT - FATS_BYTES)
#define PROGRAM			0x1000		/* segment */
#define PROGRAM_START		0x0100
#define PROGRAM_STACK		0xfffe
#define PROGRAM_BYTES		0xf000		/* at most */

/* The BIOS' own. */
#define KEYBOARD_FLAGS		0x0417
#define SHIFT_KEYS		0x03

#if FIRST_CLUSTER != 2 || (FAT & 0x4700) != 0x4000
#error "load counts clusters down twice; start has FAT popped as FLAGS, with NT and without TF, IF, DF"
#endif

/* In this sector. */
#define NAME			0x1e5		/* others know this one: see above */
#define FILE_BYTES		5		/* the word before it */
#define SIGNATURE		0x1fe		/* the BIOS looks here for 55 aa */

/*
 * What int 0x13, ah = 0x42, reads is described by a packet of 16 bytes.  It is
 * also where the state of a read is kept, and bp points at it: some BIOSes come
 * back with other registers changed than they should.
 */
#define PACKET_BYTES		16
#define PACKET_COUNT		2		/* sectors */
#define PACKET_OFFSET		4		/* of the buffer */
#define PACKET_SEGMENT		6
#define PACKET_SECTOR		8		/* 64 bits */
#define DRIVE			16		/* above the packet: dl as it came */

	.text
	.global	_start
_start:
	jmp	start
	nop				# some BIOSes boot nothing but eb ?? 90

	.ascii	"RINGPONG"
	.word	SECTOR_BYTES
	.byte	CLUSTER_SECTORS
	.word	RESERVED_SECTORS
	.byte	FATS
	.word	ROOT_ENTRIES
	.word	DISK_SECTORS
	.byte	MEDIA_1440K
	.word	FAT_SECTORS
	.word	TRACK_SECTORS
	.word	HEADS
	.long	0, 0			# hidden sectors, sectors beyond 65535
	.byte	0, 0, EXTENDED_BPB	# drive, reserved; the three below exist
	.long	0			# serial number: mformat's, as is the label
	.ascii	"RINGPONG   "
	.ascii	"FAT12   "


/* ---- start ------------------------------------------------------------- */

start:
	cli				# early 8088s allow an interrupt after mov %ss
	ljmp	$0, $1f			# cs = 0, too
1:	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss

	# With Shift, "MENU    " is pushed over the name, the last letters first.
	testb	$SHIFT_KEYS, KEYBOARD_FLAGS
	jz	1f
	mov	$name + 8, %sp
	mov	$' ' << 8 | ' ', %cx
	push	%cx
	push	%cx
	mov	$'U' << 8 | 'N', %cx
	push	%cx
	mov	$'E' << 8 | 'M', %cx
	push	%cx

1:	mov	$BOOT_SECTOR, %sp
	push	%dx			# DRIVE
	push	%ax			# PACKET_SECTOR: 48 bits that stay 0
	push	%ax
	push	%ax
	push	%ax			# and 16 that read fills in
	push	%ax			# PACKET_SEGMENT
	mov	$FAT, %bx
	push	%bx			# PACKET_OFFSET
	push	%ax			# PACKET_COUNT
	mov	$PACKET_BYTES, %al
	push	%ax
	mov	%sp, %bp

	# Of bits 12-15 of FLAGS an 8086 has all set and a 286 in real mode none,
	# whatever is popped.  A 386 takes bit 14 (NT), as FAT has it, never bit 15.
	push	%bx
	popf
	pushf
	pop	%cx
	push	%ds			# 0: no IOPL, no NT, and DF clear
	popf
	sti				# the disk needs its interrupt
	shl	$1, %ch			# OF = bits 14 and 15 differ
	jo	1f
	call	complain
	.asciz	"no 386: "

	# FAT, its copy and the root directory lie in a row and are read as one.
	# The copy is of no use here, but leaving it out would take seven bytes.
1:	mov	$RESERVED_SECTORS, %al	# ah = 0, still
	mov	$TABLES_SECTORS, %cl
	call	read

	push	%ds			# the BIOS may have lost es
	pop	%es
	mov	$ROOT, %di
entry:
	cmp	%ah, (%di)		# ah = 0, by read: no entry has been used
	je	no_file			# from here on
	testb	$NO_FILE, ENTRY_ATTRIBUTES(%di)
	jnz	1f
	mov	$name, %si
	mov	$NAME_BYTES, %cx
	repe cmpsb
	je	load
1:	or	$ENTRY_BYTES - 1, %di	# from anywhere in an entry to the next one
	inc	%di
	jnz	entry			# the directory ends where segment 0 does
no_file:
	call	complain
	.asciz	"no "


/* ---- errors ------------------------------------------------------------ */

/*
 * complain - says what is wrong with the file, waits for a key and restarts the
 * machine
 *
 * From:	a call with the text behind it; never comes back.
 * In:		ds = 0; dx = number for the text's DIGITs.
 */
complain:
	pop	%si
	call	say
	mov	$file, %si
	call	say
	cbw				# ax = 0, as al is: wait for a key
	int	$0x16

	# Not int 0x19: that would boot with the interrupt vectors that are there,
	# and they may be those of a program that came back here.
	ljmp	$0xffff, $0

/*
 * say - writes a text
 *
 * In:		si = text, up to a 0, with a DIGIT wherever the next hexadecimal
 *		digit of dx belongs.
 * Out:		al = 0.
 * Clobbers:	ah, bx, cl, dx, si; bp with some BIOSes, when the screen scrolls.
 */
#define DIGIT			1

digit:
	mov	$4, %cl
	rol	%cl, %dx
	mov	%dl, %al
	and	$0x0f, %al
	cmp	$10, %al		# 0-9: less 0x6a, and das takes 0x66 more
	sbb	$0x69, %al		# A-F: less 0x69, and das takes 0x60 more
	das
character:
	mov	$0x0e, %ah		# like a teletype
	mov	$0x0007, %bx		# page 0; grey, should this be a graphics mode
	int	$0x10
say:
	lodsb
	cmp	$DIGIT, %al
	ja	character
	je	digit
	ret


/* ---- the file ---------------------------------------------------------- */

/*
 * load - reads the file, checks all there is to check, and enters it
 *
 * In:		di = directory entry + NAME_BYTES, cx = 0.
 * Errors:	bad file, disk error.
 *
 * Clusters that follow each other on the disk are one run, and one read.  The
 * size alone says how many are read; so even a chain that goes round in circles
 * comes to the check that it ends there.  Whether the right clusters were read,
 * and what stands in them, the sum knows.
 */
load:
	push	ENTRY_SUM - NAME_BYTES(%di)
	mov	ENTRY_SIZE - NAME_BYTES(%di), %ax
	dec	%ax			# 0 is too large, now
	cmp	$PROGRAM_BYTES, %ax
	jae	bad
	cmp	%cx, ENTRY_SIZE + 2 - NAME_BYTES(%di)
	jne	bad

	# The tables have left PACKET_OFFSET at 0, so 1000:0100 is called 1010:0000.
	movw	$PROGRAM + PROGRAM_START / 16, PACKET_SEGMENT(%bp)
	shr	$1, %ax
	push	%ax			# words, but for the last one
	mov	%ah, %ch		# ch = clusters due, but for the last one
	mov	$4, %cl
	mov	ENTRY_CLUSTER - NAME_BYTES(%di), %ax

run:
	mov	%ax, %di		# di = first cluster of the run
next:
	mov	%ax, %dx
	dec	%ax			# FIRST_CLUSTER is 2:
	dec	%ax			# 0 and 1 become the largest of all
	cmp	$CLUSTERS, %ax
	jae	bad

	# The FAT has 12 bits for each cluster: number n at byte n * 3/2, in the upper
	# bits of the word there if n is odd.  bx and si count from FIRST_CLUSTER.
	mov	%ax, %si
	shr	$1, %si			# CF = odd
	xchg	%ax, %bx
	mov	FAT + FIRST_CLUSTER * 3 / 2(%bx,%si), %ax
	jc	1f
	shl	%cl, %ax
1:	shr	%cl, %ax		# ax = what follows cluster dx

	inc	%dx			# dx = end of the run
	dec	%ch
	js	1f			# that was the last
	cmp	%ax, %dx
	je	next
1:	push	%ax
	push	%cx
	sub	%di, %dx
	mov	%dl, %cl
	lea	FILES_SECTOR - FIRST_CLUSTER(%di), %ax
	call	read
	pop	%cx
	pop	%ax
	test	%ch, %ch
	jns	run

	cmp	$CHAIN_END, %ax
	jb	bad

	# The sum.  Each word stands behind what is left of those before it, as in a
	# long division on paper; an odd byte at the end has a 0 to follow on the disk.
	mov	$PROGRAM, %ax
	mov	%ax, %es		# not ds: complain wants its texts
	pop	%cx			# words, but for the last one
	pop	%di			# sum
	test	%di, %di
	jz	enter			# not to be checked
	inc	%cx
	mov	$PROGRAM_START, %si
	mov	$SUM_DIVISOR, %bx
	cwtd				# dx = what is left: 0, so far
1:	lodsw	%es:(%si), %ax
	div	%bx			# dx:ax, for dx the remainder
	loop	1b
	cmp	%di, %dx
	je	enter
bad:
	call	complain
	.asciz	"bad "

enter:
	mov	DRIVE(%bp), %dl
	push	%es
	pop	%ds
	push	%es
	pop	%ss			# no interrupt before the next instruction is done
	mov	$PROGRAM_STACK, %sp
	ljmp	$PROGRAM, $PROGRAM_START


/* ---- the disk ---------------------------------------------------------- */

/*
 * read - reads sectors that lie in a row
 *
 * In:		ax = first sector (0 is this one), cl = how many (1-120);
 *		PACKET_SEGMENT:PACKET_OFFSET = buffer.
 * Out:		PACKET_OFFSET = end of what was read; ah = 0.
 * Clobbers:	everything but bp, sp, ds and ss.
 * Errors:	disk error.
 *
 * One int 0x13 for each track that is touched: few BIOSes read on beyond the end
 * of a floppy's track.
 */
read:
	mov	%ax, PACKET_SECTOR(%bp)
track:
	mov	$3, %ch			# tries
try:
	push	%cx
	mov	PACKET_SECTOR(%bp), %ax
	cwtd				# dh = 0
	mov	$TRACK_SECTORS, %bx
	div	%bl			# al = track, ah = sector in it
	sub	%ah, %bl		# bx = sectors from there to its end,
	cmp	%cl, %bl
	jb	1f
	mov	%cl, %bl		# or as many as are wanted
1:	mov	%bx, PACKET_COUNT(%bp)
	push	%bx

	# Two calls, one set of registers.  Floppies are read by track, head and
	# sector.  Sticks and disks, from drive 0x80 on, are not: what they have of
	# these is made up, differently by each BIOS.
	shr	$1, %al			# tracks of the two heads take turns: CF = head
	adc	%dh, %dh
	xchg	%al, %ah
	inc	%ax			# sectors count from 1
	xchg	%ax, %cx
	xchg	%ax, %bx		# al = count
	les	PACKET_OFFSET(%bp), %bx
	mov	%bp, %si
	mov	$0x02, %ah		# es:bx, ch = cylinder, cl = sector, dh = head
	mov	DRIVE(%bp), %dl
	test	%dl, %dl
	jns	1f
	mov	$0x42, %ah		# ds:si = packet
1:	stc				# for a BIOS that knows no such call
	int	$0x13
	pop	%di			# di = count, as it was asked for
	pop	%cx
	jnc	3f

	dec	%ch
	jnz	2f
	xchg	%ax, %dx		# dh = status
	call	complain
	.ascii	"disk error "
	.byte	DIGIT, DIGIT
	.asciz	": "

2:	mov	$0, %ah			# reset: a motor was too slow, a floppy changed
	mov	DRIVE(%bp), %dl
	int	$0x13
	jmp	try

3:	xchg	%ax, %di
	add	%ax, PACKET_SECTOR(%bp)
	add	%al, PACKET_OFFSET + 1(%bp)	# a sector is 2 * 256 bytes
	add	%al, PACKET_OFFSET + 1(%bp)
	sub	%al, %cl
	jnz	track
	ret


/* ---- the end ----------------------------------------------------------- */

/* boot_room, for nm: bytes that are free.  .org fails when there are none left. */
code_end:
	.global	boot_room
boot_room = file - code_end

	# What every complaint ends in.
	.org	NAME - FILE_BYTES
file:
	.ascii	"file "
	.org	NAME
name:
	.ascii	"P_PROC  COM"
	.asciz	", press a key"
	.org	SIGNATURE
	.byte	0x55, 0xaa

	.section .note.GNU-stack, "", @progbits
