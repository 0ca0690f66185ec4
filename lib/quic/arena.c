/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of one connection. */
#include <string.h>

#include <rte_branch_prediction.h>

#include "plm_sim.h"
#include "quic_priv.h"

#define SMALL  64 /* up to here classes are 16 bytes apart */
#define LARGER 8  /* classes to a block of twice the size */
/* What ngtcp2 (1.11) asks for in a handshake and gives back when that is over: packets' spaces, and what TLS says. Of another
 * version that has other sizes the connection just keeps the gaps. */
#define BRIEF_SPACE  1616
#define BRIEF_CRYPTO 1064

static unsigned int
class_of(size_t size)
{
	unsigned int shift;

	if (size <= SMALL)
		return (unsigned int)((size + 15) / 16);
	shift = rte_log2_u32((uint32_t)size) - 1; /* 2^shift < size <= 2^(shift + 1) */
	return SMALL / 16 + 1 + (shift - 6) * 8 +
			(unsigned int)((size - 1 - ((size_t)1 << shift)) >> (shift - 3));
}

/* Bytes of a block of a class. */
static uint32_t
class_size(unsigned int class)
{
	unsigned int shift, step;

	if (class <= SMALL / 16)
		return class * 16;
	class -= SMALL / 16 + 1;
	shift = 6 + class / 8;
	step = class % 8 + 1;
	return RTE_ALIGN_CEIL((1u << shift) + (step << (shift - 3)), 16u);
}

static void
region_add(struct quic_arena *arena, struct quic_region *region, void *base, size_t size)
{
	region->top = RTE_PTR_ALIGN_CEIL((uint8_t *)base, 16);
	region->end = (uint8_t *)base + size;
	region->nb_out = 0;
	arena->size += (uint32_t)(region->end - region->top);
}

void
quic_arena_init(struct quic_arena *arena, void *base, size_t size,
		const struct plm_quic_memory *memory)
{
	*arena = (struct quic_arena){ .memory = memory };
	region_add(arena, &arena->regions[0], base, size);
}

void
quic_arena_fini(struct quic_arena *arena)
{
	while (arena->nb_extents > 0)
		arena->memory->put(arena->memory->ctx, arena->extents[--arena->nb_extents]);
}

/* Free blocks of a region that goes. */
static void
forget(struct quic_arena *arena, uint32_t region)
{
	for (unsigned int class = 0; class < ARENA_CLASSES; class ++) {
		struct quic_block **at = &arena->free_list[class];

		while (*at != NULL)
			if ((*at)->region == region)
				*at = (*at)->next;
			else
				at = &(*at)->next;
	}
}

void
quic_arena_trim(struct quic_arena *arena)
{
	while (arena->nb_extents > 0 && arena->regions[arena->nb_extents].nb_out == 0) {
		forget(arena, arena->nb_extents);
		arena->nb_extents--;
		arena->size -= (uint32_t)arena->memory->size;
		arena->memory->put(arena->memory->ctx, arena->extents[arena->nb_extents]);
	}
}

static bool
extent_add(struct quic_arena *arena, uint32_t max_extents)
{
	void *extent;

	max_extents = RTE_MIN(max_extents, arena->max_extents);
	if (arena->memory == NULL || arena->nb_extents >= max_extents)
		return false;
	if (arena->nb_extents > 0 && arena->memory->more != NULL)
		extent = arena->memory->more(arena->memory->ctx);
	else
		extent = arena->memory->get(arena->memory->ctx);
	if (extent == NULL)
		return false;
	arena->extents[arena->nb_extents++] = extent;
	region_add(arena, &arena->regions[arena->nb_extents], extent, arena->memory->size);
	return true;
}

/* Where `size` bytes are left in what there is. NULL: nowhere. */
static struct quic_region *
region_of(struct quic_arena *arena, size_t size)
{
	struct quic_region *region = arena->regions;

	for (; region <= &arena->regions[arena->nb_extents]; region++)
		if (size <= (size_t)(region->end - region->top))
			return region;
	return NULL;
}

/* Or in another region. */
static struct quic_region *
region_with(struct quic_arena *arena, size_t size, uint32_t max_extents)
{
	struct quic_region *region = region_of(arena, size);

	if (region != NULL)
		return region;
	if (arena->memory == NULL || size > arena->memory->size || !extent_add(arena, max_extents))
		return NULL;
	return &arena->regions[arena->nb_extents];
}

bool
quic_arena_has(struct quic_arena *arena, size_t size, uint32_t max_extents)
{
	return region_with(arena, size, max_extents) != NULL;
}

/* Smaller ones are taken where there is room first, so what comes before that is not counted on. A block that takes
 * their place leaves them as much elsewhere: `beside` is no more than a block. */
bool
quic_arena_has_blocks(struct quic_arena *arena, size_t size, unsigned int n, size_t beside,
		uint32_t max_extents)
{
	const size_t need = class_size(class_of(size)) + sizeof(struct quic_block);
	const struct quic_block *block = arena->free_list[class_of(size)];
	unsigned int had = 0;

	for (; block != NULL && had < n; block = block->next)
		had++;
	for (;;) {
		unsigned int have = had;
		bool has_beside = false;

		for (uint32_t i = 0; i <= arena->nb_extents; i++) {
			const struct quic_region *r = &arena->regions[i];
			size_t left = (size_t)(r->end - r->top);

			if (!has_beside) {
				if (left < beside)
					continue;
				has_beside = true;
				left -= beside;
			}
			have += (unsigned int)(left / need);
		}
		if (has_beside && have >= n)
			return true;
		if (!extent_add(arena, max_extents))
			return false;
	}
}

/* A young one's have nothing else in extents but what is brief. */
static void
grow_old(struct quic_arena *arena)
{
	quic_arena_trim(arena);
	if (arena->nb_extents == 0)
		arena->age = QUIC_ARENA_OLD;
}

void
quic_arena_grow_up(struct quic_arena *arena)
{
	if (arena->age != QUIC_ARENA_YOUNG)
		return;
	arena->age = QUIC_ARENA_GROWN;
	grow_old(arena);
}

static void *
take(struct quic_arena *arena, struct quic_block *block)
{
	arena->used += class_size(block->class) + (uint32_t)sizeof(*block);
	arena->regions[block->region].nb_out++;
	arena->peak = RTE_MAX(arena->peak, arena->used);
	return block + 1;
}

static void *
take_free(struct quic_arena *arena, unsigned int class)
{
	struct quic_block *block = arena->free_list[class];

	arena->free_list[class] = block->next;
	return take(arena, block);
}

static struct quic_block *
carve(struct quic_arena *arena, struct quic_region *region, unsigned int class)
{
	struct quic_block *block = (struct quic_block *)region->top;

	region->top += class_size(class) + sizeof(*block);
	block->class = class;
	block->region = (uint32_t)(region - arena->regions);
	return block;
}

/* In an extent, so that no gap is left where the connection goes on to live. NULL: there is none. */
static void *
alloc_brief(struct quic_arena *arena, size_t size)
{
	const unsigned int class = class_of(size);
	const size_t need = class_size(class) + sizeof(struct quic_block);
	struct quic_region *region;

	if (arena->memory == NULL || (arena->nb_extents == 0 && !extent_add(arena, 1)))
		return NULL;
	region = &arena->regions[1];
	if ((size_t)(region->end - region->top) < need)
		return NULL;
	return take(arena, carve(arena, region, class));
}

void *
quic_arena_alloc(struct quic_arena *arena, size_t size)
{
	struct quic_region *region;
	unsigned int class;
	uint32_t need;

	if (size == 0 || size > PLM_QUIC_BLOCK_MAX)
		return NULL;
	class = class_of(size);
	if (likely(arena->free_list[class] != NULL))
		return take_free(arena, class);
	need = class_size(class) + (uint32_t)sizeof(struct quic_block);
	region = region_of(arena, need);
	if (unlikely(region == NULL)) {
		/* What a handshake left behind, before there is more. */
		unsigned int most = RTE_MIN(class + LARGER, ARENA_CLASSES - 1u);

		for (unsigned int c = class + 1; c <= most; c++)
			if (arena->free_list[c] != NULL)
				return take_free(arena, c);
		region = region_with(arena, need, PLM_QUIC_EXTENTS_MAX);
	}
	if (likely(region != NULL))
		return take(arena, carve(arena, region, class));
	for (class ++; class < ARENA_CLASSES; class ++)
		if (arena->free_list[class] != NULL)
			return take_free(arena, class);
	return NULL;
}

void
quic_arena_release(struct quic_arena *arena, void *buf)
{
	struct quic_block *block;

	if (buf == NULL)
		return;
	block = (struct quic_block *)buf - 1;
	if (plm_mutant(QUIC_ARENA) && arena->nb_extents > 0)
		arena->memory->put(arena->memory->ctx, arena->extents[--arena->nb_extents]);
	arena->used -= class_size(block->class) + (uint32_t)sizeof(*block);
	arena->regions[block->region].nb_out--;
	if (unlikely(arena->age != QUIC_ARENA_OLD) && block->region > 0) {
		if (arena->age == QUIC_ARENA_GROWN)
			grow_old(arena);
		return;
	}
	block->next = arena->free_list[block->class];
	arena->free_list[block->class] = block;
}

static void *
mem_malloc(size_t size, void *ctx)
{
	struct quic_arena *arena = ctx;
	void *buf = NULL;

	if (unlikely(arena->is_brief) && (size == BRIEF_SPACE || size == BRIEF_CRYPTO))
		buf = alloc_brief(arena, size);
	return buf != NULL ? buf : quic_arena_alloc(arena, size);
}

static void
mem_free(void *buf, void *arena)
{
	quic_arena_release(arena, buf);
}

static void *
mem_calloc(size_t n, size_t size, void *arena)
{
	void *buf;

	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	buf = quic_arena_alloc(arena, n * size);
	if (buf != NULL)
		memset(buf, 0, n * size);
	return buf;
}

static void *
mem_realloc(void *old, size_t size, void *arena)
{
	uint32_t has;
	void *buf;

	if (old == NULL)
		return quic_arena_alloc(arena, size);
	has = class_size(((struct quic_block *)old - 1)->class);
	if (size <= has)
		return old;
	buf = quic_arena_alloc(arena, size);
	if (buf == NULL)
		return NULL;
	memcpy(buf, old, has);
	quic_arena_release(arena, old);
	return buf;
}

void
quic_arena_mem(struct quic_arena *arena, ngtcp2_mem *mem)
{
	*mem = (ngtcp2_mem){ arena, mem_malloc, mem_free, mem_calloc, mem_realloc };
}
