/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LD_PRELOAD library that counts, per thread, the calls a packet path must not make: the allocator
 * and pthread locks. The counts live in a file that INTERPOSE_FILE names and everyone may map, so
 * that a test reads them while the program runs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS 256

/* A thread's line in the file; the reader knows this layout. */
struct slot {
	uint64_t tid;
	uint64_t allocs;
	uint64_t frees;
	uint64_t locks;
};

static struct slot unmapped; /* before the constructor ran, and without INTERPOSE_FILE */
static struct slot *slots;
static atomic_uint nb_slots;
/* initial-exec: the first access must not allocate. */
static __thread struct slot *mine __attribute__((tls_model("initial-exec")));

/* glibc's own names of its allocator: finding it by dlsym() would allocate. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

__attribute__((constructor)) static void
interpose_open(void)
{
	const char *const path = getenv("INTERPOSE_FILE");
	void *p;
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (ftruncate(fd, SLOTS * sizeof(struct slot)) == 0) {
		p = mmap(NULL, SLOTS * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				0);
		if (p != MAP_FAILED)
			slots = p;
	}
	close(fd);
}

static struct slot *
own_slot(void)
{
	unsigned int i;

	if (mine != NULL)
		return mine;
	if (slots == NULL)
		return &unmapped;
	i = atomic_fetch_add(&nb_slots, 1);
	if (i >= SLOTS)
		return &unmapped;
	mine = &slots[i];
	mine->tid = (uint64_t)gettid();
	return mine;
}

void *
malloc(size_t size)
{
	own_slot()->allocs++;
	return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	own_slot()->allocs++;
	return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
	own_slot()->allocs++;
	return __libc_realloc(p, size);
}

void *
aligned_alloc(size_t align, size_t size)
{
	own_slot()->allocs++;
	return __libc_memalign(align, size);
}

int
posix_memalign(void **p, size_t align, size_t size)
{
	own_slot()->allocs++;
	if (align % sizeof(void *) != 0 || (align & (align - 1)) != 0)
		return EINVAL;
	*p = __libc_memalign(align, size);
	return *p == NULL ? ENOMEM : 0;
}

void
free(void *p)
{
	own_slot()->frees++;
	__libc_free(p);
}

#define COUNT_LOCK(name, type)                                                                     \
	int name(type *lock)                                                                       \
	{                                                                                          \
		static int (*_Atomic real)(type *);                                                \
		int (*next)(type *) = atomic_load_explicit(&real, memory_order_relaxed);           \
                                                                                                   \
		if (next == NULL) {                                                                \
			next = (int (*)(type *))dlsym(RTLD_NEXT, #name);                           \
			atomic_store_explicit(&real, next, memory_order_relaxed);                  \
		}                                                                                  \
		own_slot()->locks++;                                                               \
		return next(lock);                                                                 \
	}

COUNT_LOCK(pthread_mutex_lock, pthread_mutex_t)
COUNT_LOCK(pthread_mutex_trylock, pthread_mutex_t)
COUNT_LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
COUNT_LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
COUNT_LOCK(pthread_spin_lock, pthread_spinlock_t)
