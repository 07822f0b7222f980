/*
 * FNCALL where fs is not ours: user code that was compiled for fs is changed, at each
 * instruction that faults, to use gs (rewrite.c).
 */
#ifndef REWRITE_H
#define REWRITE_H

#include <stdint.h>

/* Why an instruction stays as it is: error_code with TRAP_REFUSED. */
#define REFUSALS(X)	\
	X(REFUSED_CUT,		"the instruction goes on in a page that is not there") \
	X(REFUSED_FIXED,	"its code sums itself up: a changed byte would be noticed") \
	X(REFUSED_BASE,		"rdfsbase and its like read or write the base itself, which is the host's") \
	X(REFUSED_FOREIGN,	"no declared code of a user: libc's own fs must stay") \
	X(REFUSED_UNKNOWN,	"no instruction that the decoder knows") \
	X(REFUSED_BY_HOST,	"the host lets nothing write to that page")
#define NUMBER(name, why)	name,
enum refusal { NOT_REFUSED, REFUSALS(NUMBER) };
#undef NUMBER

/* What has happened so far, in all threads. */
struct rewritten {
	uint64_t faults;	/* signals while a user ran */
	uint64_t rewritten;	/* instructions */
	uint64_t late;		/* faults of an instruction that another thread had just rewritten */
};
extern struct rewritten rewritten;

const char *why_refused(enum refusal refusal);
enum refusal declare_code(const void *start, const void *end, int fixed, const void **where);
const char *leave_fs_alone(void);

#endif
