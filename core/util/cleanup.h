/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-bound release of memory, descriptors and locks. */
#ifndef ALCOR_CORE_UTIL_CLEANUP_H
#define ALCOR_CORE_UTIL_CLEANUP_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Keeps errno, so that `return -errno` may follow a failed call in the same scope. */
static inline void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_unlock(pthread_mutex_t **m)
{
	pthread_mutex_unlock(*m);
}

#define CLEANUP_FREE   __attribute__((cleanup(cleanup_free)))
#define CLEANUP_CLOSE  __attribute__((cleanup(cleanup_close)))
#define CLEANUP_FCLOSE __attribute__((cleanup(cleanup_fclose)))

#define LOCK_SCOPE_CAT2(a, b) a##b
#define LOCK_SCOPE_CAT(a, b)  LOCK_SCOPE_CAT2(a, b)
/* Holds @m (pthread_mutex_t *) to the end of the scope. */
#define LOCK_SCOPE(m)                                                   \
	pthread_mutex_t *LOCK_SCOPE_CAT(lock_scope_, __LINE__)          \
		__attribute__((cleanup(cleanup_unlock), unused)) = (m); \
	pthread_mutex_lock(LOCK_SCOPE_CAT(lock_scope_, __LINE__))

/* Hands ownership on: yields the value and leaves NULL or -1 behind for the clean-up. */
#define TAKE_PTR(p)                       \
	__extension__({                   \
		__typeof__(p) taken_ = p; \
		(p) = NULL;               \
		taken_;                   \
	})
#define TAKE_FD(fd)              \
	__extension__({          \
		int taken_ = fd; \
		(fd) = -1;       \
		taken_;          \
	})

#endif
