/* SPDX-License-Identifier: BSD-3-Clause */
/* Fibers over ucontext. It makes a system call at each change, so after the first one the jump is
 * _longjmp()'s; but AddressSanitizer, which wants to be told of stacks, takes no jump for one. */
#include "fiber.h"

#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#define STACK_SIZE (1024 * 1024)
#else
#define STACK_SIZE (256 * 1024)
#endif
#define GUARD_SIZE 4096

struct sim_fiber {
	ucontext_t context;
	ucontext_t caller;
	jmp_buf here;
	jmp_buf back;
	void (*body)(void *arg);
	void *arg;
	char *stack;
	bool started;
	bool done;
	void *fake_stack; /* ASan's, of this fiber and of its caller */
	void *caller_fake_stack;
	const void *caller_stack;
	size_t caller_stack_size;
};

static struct sim_fiber *current;

struct sim_fiber *
sim_fiber_self(void)
{
	return current;
}

bool
sim_fiber_done(const struct sim_fiber *fiber)
{
	return fiber->done;
}

static void
entered(struct sim_fiber *fiber)
{
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(fiber->fake_stack, &fiber->caller_stack,
			&fiber->caller_stack_size);
#endif
}

static void
leave(struct sim_fiber *fiber)
{
	current = NULL;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&fiber->fake_stack, fiber->caller_stack,
			fiber->caller_stack_size);
	swapcontext(&fiber->context, &fiber->caller);
	entered(fiber);
#else
	if (_setjmp(fiber->here) == 0)
		_longjmp(fiber->back, 1);
#endif
}

static void
trampoline(void)
{
	struct sim_fiber *fiber = current;

	entered(fiber);
	for (;;) {
		fiber->body(fiber->arg);
		fiber->done = true;
		leave(fiber);
	}
}

struct sim_fiber *
sim_fiber_create(void (*body)(void *arg), void *arg)
{
	struct sim_fiber *fiber = calloc(1, sizeof(*fiber));

	if (fiber == NULL)
		abort();
	fiber->body = body;
	fiber->arg = arg;
	fiber->stack = mmap(NULL, STACK_SIZE + GUARD_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fiber->stack == MAP_FAILED || mprotect(fiber->stack, GUARD_SIZE, PROT_NONE) != 0)
		abort();
	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = fiber->stack + GUARD_SIZE;
	fiber->context.uc_stack.ss_size = STACK_SIZE;
	makecontext(&fiber->context, trampoline, 0);
	return fiber;
}

void
sim_fiber_resume(struct sim_fiber *fiber)
{
	fiber->done = false;
	current = fiber;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&fiber->caller_fake_stack, fiber->stack + GUARD_SIZE,
			STACK_SIZE);
	swapcontext(&fiber->caller, &fiber->context);
	__sanitizer_finish_switch_fiber(fiber->caller_fake_stack, NULL, NULL);
#else
	if (_setjmp(fiber->back) != 0)
		return;
	if (fiber->started)
		_longjmp(fiber->here, 1);
	fiber->started = true;
	setcontext(&fiber->context);
#endif
}

void
sim_fiber_yield(void)
{
	leave(current);
}
