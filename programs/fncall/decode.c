/*
 * Takes an instruction of 64-bit code apart (decode.h).
 *
 * Intel, volume 2, chapter 2 (format) and appendix A (opcode maps).  It knows the length of
 * each instruction of the one-byte map, of 0f, 0f 38 and 0f 3a, and of VEX and EVEX.
 */
#include "decode.h"

/* What follows an opcode. */
enum { NOTHING = '.', MODRM = 'm', IMM8 = 'b', IMM16 = 'w', IMMZ = 'z', MODRM_IMM8 = 'B', MODRM_IMMZ = 'Z',
	IMM32 = 'j', IMM_WIDE = 'v', ENTER = 'e', MOFFS = 'o', TEST = 'g', STRING = 's', XLAT = 'x', BAD = '?' };

/* The one-byte map, a row for each upper digit.  Prefixes never get here. */
static const char one_byte[] =
	"mmmmbz??mmmmbz?." "mmmmbz??mmmmbz??" "mmmmbz.?mmmmbz.?" "mmmmbz.?mmmmbz.?"
	"................" "................" "???m....zZbB..ss" "bbbbbbbbbbbbbbbb"
	"BZ?Bmmmmmmmmmmmm" "..........?....." "oooossssbz..ss.." "bbbbbbbbvvvvvvvv"
	"BBw...BZe.w..b?." "mmmm???xmmmmmmmm" "bbbbbbbbjj?b...." "......gg......mm";

/* 0f */
static const char two_byte[] =
	"mmmm?.....?.?m.B" "mmmmmmmmmmmmmmmm" "mmmm????mmmmmmmm" "......?.????????"
	"mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "BBBBmmm.mmmmmmmm"
	"jjjjjjjjjjjjjjjj" "mmmmmmmmmmmmmmmm" "...mBm??...mBmmm" "mmmmmmmmmmBmmmmm"
	"mmBmBBBm........" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm";

#define MAP_0F38	2	/* as VEX numbers them; 1 is 0f */
#define MAP_0F3A	3
#define LAST_MAP	3
#define ESCAPE		0x0f
#define MASKMOV		0xf7	/* of 0f: maskmovq, maskmovdqu: by rdi */
#define GROUP_15	0xae	/* of 0f: fxsave ... and, with f3 and a register, rdfsbase ... */
#define BIT_TEST	0xa3	/* of 0f: bt, and bts, btr, btc 8, 16, 24 further on */
#define GATHER		0x90	/* of 0f 38, with VEX or EVEX: four */
#define SCATTER		0xa0
#define RBX		3
#define RSP		4
#define RBP		5
#define RSI		6
#define RDI		7

struct reader {
	const uint8_t *code;
	int at, available, cut;
};

/* The next byte; 0 when there is none, which is remembered. */
static uint8_t next(struct reader *from)
{
	if (from->at >= from->available) {
		from->cut = 1;
		return 0;
	}
	return from->code[from->at++];
}

/* A number with sign; reads size bytes. */
static int64_t number(struct reader *from, int size)
{
	uint64_t value = 0;

	for (int byte = 0; byte < size; byte++)
		value |= (uint64_t)next(from) << 8 * byte;
	return size < 8 ? (int64_t)(value << (64 - 8 * size)) >> (64 - 8 * size) : (int64_t)value;
}

/* ModRM, SIB and displacement (volume 2, 2.1.5 and 2.2.1).  x and b extend index and base. */
static uint8_t address(struct reader *from, struct instruction *found, int x, int b)
{
	uint8_t modrm = next(from);
	int mod = modrm >> 6, rm = modrm & 7, disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	if (mod == 3)
		return modrm;
	found->memory = 1;
	found->base = rm | b << 3;
	if (rm == RSP) {
		uint8_t sib = next(from);

		found->scale = sib >> 6;
		found->index = (sib >> 3 & 7) | x << 3;
		found->base = (sib & 7) | b << 3;
		if (found->index == RSP)
			found->index = NO_REGISTER;
		if ((sib & 7) == RBP && mod == 0) {
			found->base = NO_REGISTER;
			disp = 4;
		}
	} else if (rm == RBP && mod == 0) {
		found->base = RIP_REGISTER;
		disp = 4;
	}
	found->displacement = number(from, disp);
	return modrm;
}

/* An operand of which the opcode alone says where it is. */
static void implied(struct instruction *found, int base)
{
	found->memory = 1;
	found->base = base;
}

/*
 * From:	rewrite.c's signal handler; it calls no library and touches no thread-local storage.
 * In:		code, and how many of its bytes may be read.  It reads no byte behind the
 *		instruction's last one.
 * Out:		WHOLE; CUT: the instruction goes on behind what may be read; UNKNOWN: no
 *		instruction that it knows.  *found holds what was found so far in all cases.
 */
enum decoded decode(const uint8_t *code, int available, struct instruction *found)
{
	struct reader from = { code, 0, available < LONGEST ? available : LONGEST, 0 };
	int rex = 0, word = 0, repeat = 0, map = 0, vex = 0, evex = 0, wide, x, b;
	uint8_t opcode;

	*found = (struct instruction){ .override = -1, .address_known = 1, .base = NO_REGISTER, .index = NO_REGISTER };

	/* Legacy prefixes, in any order; the last of fs and gs holds, and cs, ds, es and ss count for
	   nothing (volume 1, 3.3.7.1).  A REX that is not the last prefix counts for nothing as well. */
	for (;;) {
		opcode = next(&from);
		if (from.cut)
			goto cut;
		if (opcode == FS_PREFIX || opcode == GS_PREFIX) {
			found->override = from.at - 1;
			found->segment = opcode;
		} else if (opcode == 0x66) {
			word = 1;
		} else if (opcode == 0x67) {
			found->narrow = 1;
		} else if (opcode == 0xf2 || opcode == 0xf3) {
			repeat = opcode;
		} else if ((opcode & 0xf0) == 0x40) {
			rex = opcode;
			continue;
		} else if (opcode != 0xf0 && opcode != 0x26 && opcode != 0x2e && opcode != 0x36 && opcode != 0x3e) {
			break;
		}
		rex = 0;
	}
	wide = rex >> 3 & 1;
	x = rex >> 1 & 1;
	b = rex & 1;

	if (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62) {	/* VEX, EVEX (2.3.5, 2.7.1) */
		uint8_t payload = next(&from);

		vex = 1;
		evex = opcode == 0x62;
		map = 1;
		if (opcode != 0xc5) {
			x = !(payload >> 6 & 1);
			b = !(payload >> 5 & 1);
			map = payload & (evex ? 7 : 0x1f);
			next(&from);
			if (evex)
				next(&from);
		}
		opcode = next(&from);
	} else if (opcode == ESCAPE) {
		map = 1;
		opcode = next(&from);
		if (opcode == 0x38 || opcode == 0x3a) {
			map = opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
			opcode = next(&from);
		}
	}
	if (from.cut)
		goto cut;
	if (map > LAST_MAP || (vex && !map))
		return found->length = from.at, UNKNOWN;

	int what = map == 0 ? one_byte[opcode] : map == 1 ? two_byte[opcode] : map == MAP_0F38 ? MODRM : MODRM_IMM8;
	int z = word ? 2 : 4, immediate = 0;
	uint8_t modrm = 0;

	switch (what) {
	case MODRM_IMM8:
	case MODRM_IMMZ:
	case MODRM:
	case TEST:
		modrm = address(&from, found, x, b);
		immediate = what == MODRM ? 0 : what == MODRM_IMM8 ? 1 : what == MODRM_IMMZ ? z :
			    (modrm >> 3 & 7) > 1 ? 0 : opcode == 0xf6 ? 1 : z;
		break;
	case IMM8:	immediate = 1; break;
	case IMM16:	immediate = 2; break;
	case ENTER:	immediate = 3; break;
	case IMM32:	immediate = 4; break;
	case IMMZ:	immediate = z; break;
	case IMM_WIDE:	immediate = wide ? 8 : z; break;
	case MOFFS:
		implied(found, NO_REGISTER);
		found->displacement = number(&from, found->narrow ? 4 : 8);
		break;
	case STRING:	/* movs, cmps, lods, outs read by rsi; no prefix moves es:rdi */
		implied(found, RSI);
		break;
	case XLAT:
		implied(found, RBX);
		found->add_al = 1;
		break;
	case BAD:
		return found->length = from.at, UNKNOWN;
	}
	number(&from, immediate);
	if (from.cut)
		goto cut;

	if (map == 1 && opcode == MASKMOV && modrm >> 6 == 3)
		implied(found, RDI);
	if (map == 1 && opcode == GROUP_15 && modrm >> 6 == 3 && repeat == 0xf3 && (modrm >> 3 & 7) < 4)
		found->base_access = 1;
	if (map == 0 && opcode == 0x8d)		/* lea accesses nothing */
		found->memory = 0;
	if (vex && map == MAP_0F38 && ((opcode & 0xfc) == GATHER || (opcode & 0xfc) == SCATTER))
		found->address_known = 0;
	if (map == 1 && (opcode & 0xe7) == BIT_TEST)	/* the bit's number moves the address */
		found->address_known = 0;
	if (evex && modrm >> 6 == 1)		/* disp8 counts in operands (2.7.5) */
		found->address_known = 0;
	found->length = from.at;
	return WHOLE;
cut:
	found->length = from.at;
	return CUT;
}
