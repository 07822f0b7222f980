/*
 * The first sector of the CD's image, for one that has been written to a USB stick: it
 * loads the partition that scripts/mkiso enters behind it, which is the floppy.
 *
 * A PC that boots the CD does not see this: it finds the floppy by El Torito.  A stick
 * it boots by its first sector, and many a BIOS wants a partition table there.
 *
 * From:	the BIOS, in real mode, by a jump to 0000:7c00.
 * In:		dl = drive.  It is a disk, whether the BIOS says so or not.
 * To:		boot.S at 0000:7c00; ds:si = the partition's entry, dl = drive.
 * Stack:	downwards from 0000:7c00.
 *
 * Memory:	00600-007ff	this sector, out of the way of the other one
 *		07c00-07dff	the partition's first sector
 *
 * Errors:	said on the screen; then a key restarts the machine.
 *		stick error	three tries to read that sector have failed
 */
	.code16
#ifndef __clang__
	.arch	i8086			# clang has no such directive
#endif

#define HERE			0x0600		/* the linker knows it, too */
#define BOOT_SECTOR		0x7c00
#define SECTOR_BYTES		512
#define TABLE			446		/* in the sector: four partitions */
#define PARTITION_START		8		/* in an entry: 32 bits */
#define DISK_RESET		0x00		/* ah, for int 0x13 */
#define DISK_READ_BY_NUMBER	0x42
#define FIRST_DISK		0x80

	.text
	.global	_start
_start:
	cli				# early 8088s allow an interrupt after mov %ss
	cld
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$BOOT_SECTOR, %sp
	sti
	mov	%sp, %si
	mov	$HERE, %di
	mov	$SECTOR_BYTES / 2, %cx
	rep movsw
	ljmp	$0, $1f

1:	or	$FIRST_DISK, %dl
	mov	$HERE + TABLE, %si
	les	PARTITION_START(%si), %ax	# es:ax
	mov	%ax, packet_sector
	mov	%es, packet_sector + 2
	mov	$3, %cx			# tries
2:	push	%cx
	push	%dx
	mov	$packet, %si
	mov	$DISK_READ_BY_NUMBER, %ah
	stc				# for a BIOS that knows no such call
	int	$0x13
	pop	%dx
	jnc	3f
	push	%dx
	mov	$DISK_RESET, %ah
	int	$0x13
	pop	%dx
	pop	%cx
	loop	2b

	mov	$complaint, %si
	jmp	5f
4:	mov	$0x0e, %ah		# like a teletype
	mov	$0x0007, %bx		# page 0; grey, should this be a graphics mode
	int	$0x10
5:	lodsb
	test	%al, %al
	jnz	4b
	cbw				# ax = 0: wait for a key
	int	$0x16
	ljmp	$0xffff, $0

3:	xor	%ax, %ax
	mov	%ax, %ds		# the BIOS may have lost it
	mov	$HERE + TABLE, %si
	ljmp	$0, $BOOT_SECTOR

/* What int 0x13, ah = 0x42, reads: a sector, to 0000:7c00. */
packet:
	.word	16, 1, BOOT_SECTOR, 0
packet_sector:
	.long	0, 0

complaint:
	.asciz	"stick error, press a key"

	.section .note.GNU-stack, "", @progbits
