/*
 * The boot sector: finds one file on a FAT12 floppy, loads it and jumps to it.
 *
 * It has two sectors.  The BIOS loads the first one only.  That one finds the disk,
 * whatever the BIOS says about it, and reads the second one and the disk's tables.
 * The second one finds the file.
 *
 * From:	the BIOS, in real mode, by a jump to 0000:7c00 (some: 07c0:0000); or
 *		the code in front of a partition table (an MBR), in the same way.
 * In:		dl = drive; ds:si = the partition's entry, from an MBR.  Both are
 *		tried, neither is believed, and nothing else is used.
 * To:		1000:0100, the file's first byte, as DOS would start a .COM:
 *		cs = ds = es = ss = 1000, sp = fffe, dl = drive, IF set, DF clear.
 *		Only the word at 1000:0000 is 0: DOS has an int 0x20 there, and so
 *		may memory that DOS has left.
 *
 * Shift:	either one, held while the machine boots, brings MENU.COM in place of
 *		the program that is named at the end of the first sector.
 *
 * Again:	a program that wants the next one puts real mode, the interrupt
 *		vectors, the PICs and text mode back as it got them, writes the
 *		next one's name over the eleven bytes at 0000:7de5 (upper case,
 *		padded with spaces, no dot) and jumps to 0000:7c00 with dl = drive.
 *		Shift still counts; if it is not to, cli and clear bits 0 and 1 of
 *		the byte at 0000:0417 first.  But for the name, and for the place of
 *		the disk at 0000:7c1c (HIDDEN), the first sector is as it was.
 *
 * Disk:	four ways to it are tried, in this order, until one leads to the
 *		second sector (see Guards), so that a wrong one does no harm:
 *		1. drive dl.  A floppy has the tracks and heads that the BIOS says
 *		   (a stick may be called one, with 63 and 255).  A disk is read from
 *		   the sector on that the BPB counts as hidden (see HIDDEN).
 *		2. drive dl, with 18 sectors to a track and two heads, from sector 0
 *		   on: a 1.44 MB floppy in a drive that can do more; a damaged BPB
 *		3. drive 0x80: some BIOSes boot a disk and forget to say so
 *		4. the same from where the partition at ds:si starts
 *
 * Guards:	the words of the first sector's code (3e-1df) add up to SECTOR_SUM,
 *		and so do all words of the second sector: scripts/mkfloppy sees to
 *		it.  The first sector adds itself up before it does anything else,
 *		and the second one before that runs.  Any single bit that has changed
 *		is found, but the code that finds it and says so may be the one that
 *		is damaged: what comes before the sum, add_up, complain and say.  Of
 *		the 3,344 bits in 3e-1df, changed one by one, 200 end in silence, all
 *		of them there; so do 9 of the 24 bits of the jump to start.  Name and
 *		BPB are not added up, because others write there.
 *
 * Sum:		a directory entry may hold the sum of its file, as scripts/mkfloppy
 *		writes it there: all its 16-bit words in a row are one long number,
 *		and the sum is what is left when 65519, a prime, divides it.  It
 *		stands where FAT32 has the upper half of the first cluster.
 *		DOS, when it writes a file, leaves 0 there: not to be checked.
 *		Any two words that have changed places are seen: what a place counts
 *		comes again only after 32,759 words, and a file has 30,720.  (With
 *		65521 it comes after 585.)  What is not seen: a word of 0000-0010
 *		that becomes one of ffef-ffff, 65519 more, or the other way round;
 *		and of larger damage one case in 65,519.  A file whose sum is 0 by
 *		chance is not checked.
 *
 * Memory:	00500-07bff	stack; on its top the state of the disk; in it,
 *				at 0522, the diskette table, where DOS has its
 *		07c00-0bfff	disk sectors 0-33: the two of this file, FAT, its
 *				copy, root directory
 *		10100-1f0ff	the file, 60 KiB at most
 *		None of these crosses a multiple of 0x10000: floppy DMA cannot.
 *
 * Errors:	said on the screen, with the file's name; then a key restarts the
 *		machine.  Nothing of the file has run by then.
 *		bad boot sector	the first sector is not as it was written
 *		disk error XX	three tries failed; XX is what the BIOS says, of the
 *				first way.  00: it has read, but not the second
 *				sector, or that is not as it was written
 *		no 386		what is on this floppy needs one
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
#define RESERVED_SECTORS	2		/* these two */
#define FATS			2
#define FAT_SECTORS		9
#define ROOT_ENTRIES		224
#define ENTRY_BYTES		32
#define DISK_SECTORS		2880
#define TRACK_SECTORS		18
#define HEADS			2
#define MEDIA_1440K		0xf0
#define EXTENDED_BPB		0x29

#if SECTOR_BYTES != 512 || CLUSTER_SECTORS != 1
#error "read and load shift where these numbers would have to multiply"
#endif

#define ROOT_BYTES		(ROOT_ENTRIES * ENTRY_BYTES)
#define FAT_BYTES		(FAT_SECTORS * SECTOR_BYTES)
#define FILES_SECTOR		(RESERVED_SECTORS + FATS * FAT_SECTORS + ROOT_BYTES / SECTOR_BYTES)

/* In a directory entry. */
#define NAME_BYTES		11
#define BASE_BYTES		8		/* of them before the dot */
#define ENTRY_ATTRIBUTES	11
#define ENTRY_SUM		20
#define ENTRY_CLUSTER		26
#define ENTRY_SIZE		28		/* 32 bits */
#define NO_FILE			0x18		/* label (as long names are), directory */
#define SUM_DIVISOR		65519

/* In the FAT. */
#define FIRST_CLUSTER		2		/* the one at FILES_SECTOR */
#define CLUSTERS		(DISK_SECTORS - FILES_SECTOR)
#define CHAIN_END		0xff8		/* or more */

#if FIRST_CLUSTER != 2
#error "load counts clusters down twice"
#endif

/* In a partition's entry. */
#define PARTITION_START		8		/* its first sector, 32 bits */

/* In memory: disk sector n is at BOOT_SECTOR + n * SECTOR_BYTES. */
#define BOOT_SECTOR		0x7c00
#define FAT			(BOOT_SECTOR + RESERVED_SECTORS * SECTOR_BYTES)
#define ROOT			(FAT + FATS * FAT_BYTES)
#define PROGRAM			0x1000		/* segment */
#define PROGRAM_START		0x0100
#define PROGRAM_STACK		0xfffe
#define PROGRAM_BYTES		0xf000		/* at most */
#define DISKETTE_TABLE		0x0522

#define NT			0x4000		/* in FLAGS */

/* The BIOS' own. */
#define KEYBOARD_FLAGS		0x0417
#define SHIFT_KEYS		0x03
#define DISKETTE_VECTOR		(4 * 0x1e)	/* leads to a table, not to code */
#define DISKETTE_TABLE_BYTES	11
#define DISKETTE_LAST_SECTOR	4		/* of a track */
#define DISK_RESET		0x00		/* ah, for int 0x13 */
#define DISK_READ		0x02
#define DISK_GEOMETRY		0x08
#define DISK_READ_BY_NUMBER	0x42
#define FIRST_DISK		0x80		/* drives below it are floppies */

/* In the first sector. */
#define HIDDEN			(BOOT_SECTOR + 0x1c)	/* where the disk starts: 32 bits */
#define NAME			0x1e5		/* others know this one: see above */
#define FILE_BYTES		5		/* the word before it */
#define BALANCE			(NAME - FILE_BYTES - 2)	/* makes the sum SECTOR_SUM */
#define CODE			0x03e		/* from here on the sector adds itself up, */
#define CODE_WORDS		((BALANCE + 2 - CODE) / 2)	/* BALANCE included */
#define SIGNATURE		0x1fe		/* the BIOS looks here for 55 aa */

/* In the second. */
#define BALANCE_2		0x3fe

#define DIGIT			1		/* in a text: see say */
#define SECTOR_SUM		0x5052		/* "RP"; neither of zeros nor of f6f6 */

/*
 * The state of the disk, at bp.  Its first 16 bytes are the packet that tells
 * int 0x13, ah = 0x42, what to read.
 */
#define PACKET_BYTES		16
#define PACKET_COUNT		2		/* sectors */
#define PACKET_OFFSET		4		/* of the buffer */
#define PACKET_SEGMENT		6
#define PACKET_SECTOR		8		/* 64 bits, from the start of the drive */
#define SECTOR			16		/* as read counts them */
#define TRACK			18		/* sectors on a track */
#define SIDES			20		/* heads */
#define DRIVE			22
#define PARTITION		24		/* 32 bits */
#define SHIFT			28		/* KEYBOARD_FLAGS as they were */

	.text
	.global	_start
_start:
	jmp	start
	nop				# some BIOSes boot nothing but eb ?? 90

	.ascii	"RINGPONG"		# Windows writes something else here
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
	.long	0, 0			# HIDDEN; sectors beyond 65535
	.byte	0, 0, EXTENDED_BPB	# drive, reserved; the three below exist
	.long	0			# serial number: mformat's, as is the label
	.ascii	"RINGPONG   "
	.ascii	"FAT12   "


/* ---- start ------------------------------------------------------------- */

	.org	CODE
start:
	cli				# early 8088s allow an interrupt after mov %ss
	cld
	ljmp	$0, $1f			# cs = 0, too
1:	and	$~1, %si		# a word at ffff would be an exception
	les	PARTITION_START(%si), %bx	# es:bx, just to have it in registers
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$BOOT_SECTOR, %sp
	push	KEYBOARD_FLAGS		# SHIFT, before a key can change it
	push	%es			# PARTITION
	push	%bx
	push	%dx			# DRIVE
	mov	%ax, %es

	mov	$start, %si
	mov	$CODE_WORDS, %cx
	call	add_up
	je	1f
	call	complain
	.asciz	"bad boot sector: "

1:	mov	$HEADS, %ax
	push	%ax			# SIDES
	mov	$TRACK_SECTORS, %al
	push	%ax			# TRACK
	push	%ax			# SECTOR: read fills it in
	push	%cx			# PACKET_SECTOR: 32 bits that stay 0, as add_up
	push	%cx			# has left cx
	push	%cx			# and 32 that read fills in
	push	%cx
	push	%cx			# PACKET_SEGMENT
	push	%cx			# PACKET_OFFSET, PACKET_COUNT: likewise
	push	%cx
	mov	$PACKET_BYTES, %al
	push	%ax
	mov	%sp, %bp

	mov	$DISK_GEOMETRY, %ah
	xor	%di, %di		# es:di = 0: some BIOSes want that
	call	bios_disk
	jc	1f
	and	$0x3f, %cx		# the upper bits are the last cylinder's
	cmp	$TRACK_SECTORS, %cl
	jb	1f			# this is no answer: the disk has as many
	mov	%cx, TRACK(%bp)
	mov	%dh, %dl		# the last head
	mov	$0, %dh
	inc	%dx
	mov	%dx, SIDES(%bp)

	# Some BIOSes read no farther than to the last sector that their table for
	# floppies knows, and that may be the 9th.  So they get another table.
1:	push	%ds
	pop	%es
	lds	DISKETTE_VECTOR, %si
	mov	$DISKETTE_TABLE, %di
	mov	$DISKETTE_TABLE_BYTES, %cx
	rep movsb
	push	%es
	pop	%ds
	mov	TRACK(%bp), %al
	mov	%al, DISKETTE_TABLE + DISKETTE_LAST_SECTOR
	movw	$DISKETTE_TABLE, DISKETTE_VECTOR
	mov	%ds, DISKETTE_VECTOR + 2

	# The four ways to the disk.  look does not come back from the right one.
	call	look
	push	%ax			# ah = status: it is the first way's that is told

	xor	%ax, %ax		# the second
	mov	%ax, HIDDEN
	mov	%ax, HIDDEN + 2
	mov	$HEADS, %al
	mov	%ax, SIDES(%bp)
	mov	$TRACK_SECTORS, %al
	mov	%ax, TRACK(%bp)
	call	look

	orb	$FIRST_DISK, DRIVE(%bp)	# the third
	call	look

	les	PARTITION(%bp), %ax	# the fourth; es:ax
	mov	%ax, HIDDEN
	mov	%es, HIDDEN + 2
	call	look
	pop	%ax

/* In: ah = what the BIOS says. */
disk_error:
	xchg	%ax, %dx		# dh = status
	call	complain
	.ascii	"disk error "
	.byte	DIGIT, DIGIT
	.asciz	": "

/*
 * look - is the disk there?
 *
 * To:		second, if it is; all disk sectors before the files are in memory then.
 * Out:		if not, ah = what the BIOS says, 0 if it has only read something else.
 * Clobbers:	everything but bp, sp, ds and ss.
 */
look:
	movw	$second, PACKET_OFFSET(%bp)
	mov	$1, %ax
	mov	$FILES_SECTOR - 1, %cl
	call	read
	jc	1f
	mov	$second, %si
	mov	$SECTOR_BYTES / 2, %cx
	call	add_up
	mov	%cl, %ah		# cl = 0
	jne	1f
	jmp	second
1:	ret

/*
 * add_up - adds words up
 *
 * In:		ds:si = the words, cx = how many.
 * Out:		ZF set if the sum is SECTOR_SUM; cx = 0.
 * Clobbers:	ax, dx, si.
 */
add_up:
	mov	$SECTOR_SUM, %dx
1:	lodsw
	sub	%ax, %dx		# loop leaves ZF alone
	loop	1b
	ret


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


/* ---- the disk ---------------------------------------------------------- */

/*
 * read - reads sectors that lie in a row
 *
 * In:		ax = first sector (0 is _start), cl = how many (1-120);
 *		PACKET_SEGMENT:PACKET_OFFSET = buffer.
 * Out:		CF clear: PACKET_OFFSET = end of what was read.
 *		CF set: three tries have failed; ah = what the BIOS says.
 * Clobbers:	everything but bp, sp, ds and ss.
 *
 * One int 0x13 for each track that is touched: few BIOSes read on beyond the end
 * of a floppy's track.
 */
read:
	mov	%ax, SECTOR(%bp)
track:
	mov	$3, %ch			# tries
try:
	push	%cx
	les	HIDDEN, %ax		# es:ax
	mov	%es, %dx
	add	SECTOR(%bp), %ax
	adc	$0, %dx
	mov	%ax, PACKET_SECTOR(%bp)
	mov	%dx, PACKET_SECTOR + 2(%bp)

	mov	SECTOR(%bp), %ax	# a floppy has no partitions
	xor	%dx, %dx
	mov	TRACK(%bp), %bx
	div	%bx			# ax = track, dx = sector in it
	sub	%dx, %bx		# bx = sectors from there to its end,
	cmp	%cl, %bl
	jb	1f
	mov	%cl, %bl		# or as many as are wanted
1:	mov	%bx, PACKET_COUNT(%bp)
	push	%bx

	# Two calls, one set of registers.  Floppies are read by track, head and
	# sector.  Sticks and disks, from drive 0x80 on, are not: what they have of
	# these is made up, differently by each BIOS.
	mov	%dx, %cx
	inc	%cx			# sectors count from 1
	xor	%dx, %dx
	divw	SIDES(%bp)		# tracks of the heads take turns
	mov	%al, %ch
	mov	%dl, %dh
	xchg	%ax, %bx		# al = count
	les	PACKET_OFFSET(%bp), %bx
	mov	%bp, %si
	mov	$DISK_READ, %ah		# es:bx, ch = cylinder, cl = sector, dh = head
	testb	$FIRST_DISK, DRIVE(%bp)
	jz	1f
	mov	$DISK_READ_BY_NUMBER, %ah	# ds:si = packet
1:	call	bios_disk
	pop	%di			# di = count, as it was asked for
	pop	%cx
	jnc	2f
	dec	%ch			# leaves CF alone
	jz	3f
	mov	$DISK_RESET, %ah	# a motor was too slow, a floppy changed
	call	bios_disk
	jmp	try

2:	xchg	%ax, %di
	add	%ax, SECTOR(%bp)
	add	%al, PACKET_OFFSET + 1(%bp)	# a sector is 2 * 256 bytes
	add	%al, PACKET_OFFSET + 1(%bp)
	sub	%al, %cl
	jnz	track			# CF is clear
3:	ret

/*
 * bios_disk - int 0x13, and what BIOSes have lost or left by then
 *
 * In:		ah, and all but dl, as the call wants them.
 * Out:		as from the call; DF clear and IF set; bp and ds as before.
 */
bios_disk:
	mov	DRIVE(%bp), %dl
	push	%ds
	push	%bp
	stc				# for a BIOS that knows no such call
	int	$0x13
	pop	%bp
	pop	%ds
	cld
	sti
	ret


/* ---- the first sector's end -------------------------------------------- */

/* boot_room, second_room, for nm: free bytes.  .org fails when none are left. */
code_end:
	.global	boot_room
boot_room = _start + BALANCE - code_end

	.org	BALANCE
	.word	0			# scripts/mkfloppy fills it in
file:
	.ascii	"file "			# what every complaint ends in
	.org	NAME
name:
	.ascii	"P_PROC  COM"
	.asciz	", press a key"
	.org	SIGNATURE
	.byte	0x55, 0xaa


/* ---- the second sector: the processor, the name ------------------------ */

second:
	# Of bits 12-15 of FLAGS an 8086 has all set and a 286 in real mode none,
	# whatever is popped.  A 386 takes bit 14 (NT), never bit 15.
	mov	$NT, %ax
	push	%ax
	popf
	pushf
	pop	%cx
	push	%ds			# 0: no IOPL, no NT, and DF clear
	popf
	sti
	shl	$1, %ch			# OF = bits 14 and 15 differ
	jo	1f
	call	complain
	.asciz	"no 386: "

1:	push	%ds
	pop	%es
	testb	$SHIFT_KEYS, SHIFT(%bp)
	jz	1f
	mov	$menu, %si
	mov	$name, %di
	mov	$BASE_BYTES, %cx
	rep movsb
1:	mov	$ROOT, %di
entry:
	cmpb	$0, (%di)		# no entry has been used from here on
	je	no_file
	testb	$NO_FILE, ENTRY_ATTRIBUTES(%di)
	jnz	1f
	mov	$name, %si
	mov	$NAME_BYTES, %cx
	repe cmpsb
	je	load
1:	and	$~(ENTRY_BYTES - 1), %di	# from anywhere in an entry to the next one
	add	$ENTRY_BYTES, %di
	cmp	$ROOT + ROOT_BYTES, %di
	jb	entry
no_file:
	call	complain
	.asciz	"no "

menu:
	.ascii	"MENU    "


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

	movw	$PROGRAM, PACKET_SEGMENT(%bp)
	movw	$PROGRAM_START, PACKET_OFFSET(%bp)
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
	jc	1f
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
2:	lodsw	%es:(%si), %ax
	div	%bx			# dx:ax, for dx the remainder
	loop	2b
	cmp	%di, %dx
	je	enter
bad:
	call	complain
	.asciz	"bad "
1:	jmp	disk_error

enter:
	mov	DRIVE(%bp), %dl
	push	%es
	pop	%ds
	movw	$0, 0			# DOS has not started this: see To
	push	%es
	pop	%ss			# no interrupt before the next instruction is done
	mov	$PROGRAM_STACK, %sp
	ljmp	$PROGRAM, $PROGRAM_START


/* ---- the second sector's end ------------------------------------------- */

second_end:
	.global	second_room
second_room = _start + BALANCE_2 - second_end

	.org	BALANCE_2
	.word	0			# scripts/mkfloppy fills it in

	.section .note.GNU-stack, "", @progbits
