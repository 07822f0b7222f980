/*
 * The turn list of threads: those that play, in a circle by their links next, so that each
 * thread's successor is known without searching.  KSTACK's threads and PAGED's; their
 * thread.h, in front of this, says what a thread is.
 */
#ifndef TURNS_H
#define TURNS_H

/* A thread that has started: its turn comes after the running one's. */
static inline void join(struct thread *thread)
{
	if (!current)
		current = thread->next = thread;	/* the first of all */
	thread->next = current->next;
	current->next = thread;
	thread->playing = true;
}

/* A thread that ends.  Out: the next thread; 0 if there is no other. */
static inline struct thread *leave_turns(struct thread *thread)
{
	struct thread *before = thread;

	while (before->next != thread)
		before = before->next;
	before->next = thread->next;
	thread->playing = false;
	return thread->next == thread ? 0 : thread->next;
}

#endif
