/* SPDX-License-Identifier: BSD-3-Clause */
/* The linker leads the relay's calls of rte_malloc_socket() and rte_free() here (--wrap); those
 * for views are served from pages of their own, handed out once a run. */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "plm_sim.h"

#define ARENA_SIZE ((size_t)256 << 20)
#define PAGE       4096

void *__real_rte_malloc_socket(const char *type, size_t size, unsigned int align, int socket);
void *__wrap_rte_malloc_socket(const char *type, size_t size, unsigned int align, int socket);
void __real_rte_free(void *ptr);
void __wrap_rte_free(void *ptr);

static struct {
	uint8_t *base;
	size_t used;
	uint32_t *pages; /* of the view that begins in this page */
} arena;

static void
arena_init(void)
{
	arena.base = mmap(NULL, ARENA_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	arena.pages = calloc(ARENA_SIZE / PAGE, sizeof(*arena.pages));
	if (arena.base == MAP_FAILED || arena.pages == NULL)
		abort();
}

bool
sim_guard_hit(const void *addr)
{
	const uint8_t *p = addr;

	return arena.base != NULL && p >= arena.base && p < arena.base + ARENA_SIZE;
}

void
sim_guard_clear(void)
{
	if (arena.used == 0)
		return;
	/* Anew, so that the pages are given back to the system, too. */
	if (mmap(arena.base, arena.used, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			    0) == MAP_FAILED)
		abort();
	arena.used = 0;
}

void *
__wrap_rte_malloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	size_t bytes = (size + PAGE - 1) / PAGE * PAGE;
	uint8_t *p;

	if (type == NULL || strcmp(type, "plm_view") != 0)
		return __real_rte_malloc_socket(type, size, align, socket);
	if (plm_fault(MEMORY_VIEW))
		return NULL;
	if (arena.base == NULL)
		arena_init();
	if (arena.used + bytes > ARENA_SIZE)
		abort();
	p = arena.base + arena.used;
	if (mprotect(p, bytes, PROT_READ | PROT_WRITE) != 0)
		abort();
	arena.pages[arena.used / PAGE] = (uint32_t)(bytes / PAGE);
	arena.used += bytes;
	/* Not zeroed by rte_malloc_socket() either. */
	memset(p, 0xdd, size);
	return p;
}

void
__wrap_rte_free(void *ptr)
{
	uint8_t *p = ptr;

	if (!sim_guard_hit(p)) {
		__real_rte_free(ptr);
		return;
	}
	if (mprotect(p, (size_t)arena.pages[(p - arena.base) / PAGE] * PAGE, PROT_NONE) != 0)
		abort();
}
