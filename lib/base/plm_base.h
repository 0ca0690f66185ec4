/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What every library shares: time units, the clock and randomness that are handed in, handles,
 * a byte cursor, bounded text and the log macro. No state, no threads.
 */
#ifndef PLM_BASE_H
#define PLM_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_log.h>

#define PLM_NS_PER_US UINT64_C(1000)
#define PLM_NS_PER_MS UINT64_C(1000000)
#define PLM_NS_PER_S  UINT64_C(1000000000)

/** Hot structures are laid out for this many workers. */
#define PLM_WORKERS_MAX 16
/** Ports (ethdevs) that one relay drives. */
#define PLM_PORTS_MAX 8
/** A room or participant name, NUL included: [A-Za-z0-9._-]+, bounded by the ufrag's 111 bytes. */
#define PLM_NAME_SIZE 64

/**
 * Monotonic time in nanoseconds; never 0. Nothing in lib/ reads a clock of its own: a turn is
 * told the time, and what must know how long a turn took asks this.
 */
struct plm_clock {
	uint64_t (*now_ns)(void *ctx);
	void *ctx;
};

static inline uint64_t
plm_clock_now(const struct plm_clock *clock)
{
	return clock->now_ns(clock->ctx);
}

/** Randomness, cryptographically strong in the program, a seeded generator in the simulator. */
struct plm_rand {
	void (*fill)(void *ctx, void *buf, size_t len);
	void *ctx;
};

static inline void
plm_rand_fill(const struct plm_rand *rand, void *buf, size_t len)
{
	rand->fill(rand->ctx, buf, len);
}

/** An index and the generation of what is meant by it; a stale one is recognised. */
struct plm_handle {
	uint32_t idx;
	uint32_t gen; /**< never 0 for something that exists */
};

#define PLM_HANDLE_NONE ((struct plm_handle){ 0, 0 })

static inline bool
plm_handle_eq(struct plm_handle a, struct plm_handle b)
{
	return a.idx == b.idx && a.gen == b.gen;
}

/** Reads untrusted bytes: check plm_cursor_left() first, then take. */
struct plm_cursor {
	const uint8_t *pos;
	const uint8_t *end;
};

static inline struct plm_cursor
plm_cursor(const void *buf, size_t len)
{
	const uint8_t *p = buf;

	return (struct plm_cursor){ p, p + len };
}

static inline size_t
plm_cursor_left(const struct plm_cursor *c)
{
	return (size_t)(c->end - c->pos);
}

/** Take one byte. The caller has checked that it is there; so for the others. */
static inline uint8_t
plm_cursor_u8(struct plm_cursor *c)
{
	return *c->pos++;
}

static inline uint16_t
plm_cursor_be16(struct plm_cursor *c)
{
	uint16_t v = (uint16_t)(c->pos[0] << 8 | c->pos[1]);

	c->pos += 2;
	return v;
}

static inline uint32_t
plm_cursor_be32(struct plm_cursor *c)
{
	uint32_t v = (uint32_t)c->pos[0] << 24 | (uint32_t)c->pos[1] << 16 |
			(uint32_t)c->pos[2] << 8 | c->pos[3];

	c->pos += 4;
	return v;
}

static inline const uint8_t *
plm_cursor_bytes(struct plm_cursor *c, size_t len)
{
	const uint8_t *p = c->pos;

	c->pos += len;
	return p;
}

/** Bounded text under construction; what does not fit is cut and remembered in `cut`. */
struct plm_text {
	char *buf; /**< always NUL-terminated once initialised */
	size_t size;
	size_t len;
	bool cut;
};

/** Start an empty text in `buf`, `size` bytes, at least 1. */
void plm_text_init(struct plm_text *text, char *buf, size_t size);

/** Append as printf() would. */
void plm_text_add(struct plm_text *text, const char *fmt, ...)
		__attribute__((format(printf, 2, 3)));

/** Append as vprintf() would. */
void plm_text_vadd(struct plm_text *text, const char *fmt, va_list ap)
		__attribute__((format(printf, 2, 0)));

/**
 * SipHash-2-4 of `len` bytes under a 16-byte key (Aumasson and Bernstein, 2012).
 * For tables that a peer could otherwise fill with colliding names.
 */
uint64_t plm_siphash(const uint8_t key[16], const void *buf, size_t len);

/**
 * Whether `name` is a room or participant name: 1 to PLM_NAME_SIZE - 1 characters of
 * [A-Za-z0-9._-]. `len` excludes any NUL.
 */
bool plm_name_valid(const char *name, size_t len);

/**
 * Log under the library's own type, one line, no trailing newline in `fmt`.
 * Never on the packet path. The file says RTE_LOG_REGISTER_DEFAULT(plm_logtype, INFO) first.
 */
#define PLM_LOG(level, fmt, ...)                                                                   \
	rte_log(RTE_LOG_##level, plm_logtype, "plenum: " fmt "\n", ##__VA_ARGS__)

#endif
