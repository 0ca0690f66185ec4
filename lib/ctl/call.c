/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls from other threads: a fixed number of slots, each moved by compare and exchange, so that
 * neither side ever waits for the other inside of one. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ctl_priv.h"

#define POLL_NS (200 * (long)PLM_NS_PER_US)

static bool
step(struct ctl_call *call, uint32_t from, uint32_t to)
{
	/* Release hands the slot's content over, acquire takes it; both sides come through here. */
	return atomic_compare_exchange_strong_explicit(&call->state, &from, to,
			memory_order_acq_rel, memory_order_acquire);
}

static struct ctl_call *
take(struct plm_ctl *ctl)
{
	for (unsigned int i = 0; i < CTL_CALLS; i++) {
		if (step(&ctl->calls[i], CTL_CALL_FREE, CTL_CALL_TAKEN))
			return &ctl->calls[i];
	}
	return NULL;
}

/* 0 once it is done; -ETIMEDOUT: the slot is not ours any more. */
static int
wait_done(struct plm_ctl *ctl, struct ctl_call *call, unsigned int timeout_ms)
{
	const struct timespec pause = { 0, POLL_NS };
	uint64_t end_ns = plm_clock_now(&ctl->conf.clock) + timeout_ms * PLM_NS_PER_MS;

	/* Acquire pairs with the slow path's step to DONE. */
	while (atomic_load_explicit(&call->state, memory_order_acquire) != CTL_CALL_DONE) {
		if (plm_clock_now(&ctl->conf.clock) >= end_ns) {
			if (step(call, CTL_CALL_POSTED, CTL_CALL_TAKEN)) {
				explicit_bzero(call->arg, sizeof(call->arg));
				step(call, CTL_CALL_TAKEN, CTL_CALL_FREE);
				return -ETIMEDOUT;
			}
			if (step(call, CTL_CALL_RUNNING, CTL_CALL_ABANDONED))
				return -ETIMEDOUT;
			break; /* done this very moment */
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

int
plm_ctl_call(struct plm_ctl *ctl, plm_call_fn fn, const void *arg, size_t arg_len,
		char out[PLM_CALL_TEXT], uint32_t *cursor, unsigned int timeout_ms)
{
	struct ctl_call *call;
	int ret;

	if (arg_len > PLM_CALL_ARG)
		return -EINVAL;
	call = take(ctl);
	if (call == NULL)
		return -EBUSY;
	call->fn = fn;
	call->cursor = *cursor;
	if (arg_len > 0)
		memcpy(call->arg, arg, arg_len);
	step(call, CTL_CALL_TAKEN, CTL_CALL_POSTED);

	ret = wait_done(ctl, call, timeout_ms);
	if (ret < 0) {
		out[0] = '\0';
		return ret;
	}
	memcpy(out, call->text, call->text_len + 1);
	*cursor = call->cursor;
	ret = call->ret;
	step(call, CTL_CALL_DONE, CTL_CALL_FREE);
	return ret;
}

/* One call a turn: an answer is up to 32 KB of text. */
unsigned int
ctl_call_run(struct plm_ctl *ctl)
{
	for (unsigned int i = 0; i < CTL_CALLS; i++) {
		struct ctl_call *call = &ctl->calls[i];
		struct plm_text text;

		if (atomic_load_explicit(&call->state, memory_order_relaxed) != CTL_CALL_POSTED ||
				!step(call, CTL_CALL_POSTED, CTL_CALL_RUNNING))
			continue;
		plm_text_init(&text, call->text, sizeof(call->text));
		call->ret = call->fn(ctl, call->arg, &text, &call->cursor, ctl->now_ns,
				ctl->wall_s);
		explicit_bzero(call->arg, sizeof(call->arg)); /* it may hold secrets */
		call->text_len = (uint32_t)text.len;
		if (!step(call, CTL_CALL_RUNNING, CTL_CALL_DONE))
			step(call, CTL_CALL_ABANDONED, CTL_CALL_FREE);
		return 1;
	}
	return 0;
}
