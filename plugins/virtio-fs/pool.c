/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define N_THREADS 4

struct list {
	struct fs_call *head, **tail;
};

struct fs_pool {
	pthread_t threads[N_THREADS];
	unsigned n_threads;
	unsigned in_flight; /* submitted, not reaped */
	int fd;

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t work, complete;
	struct list todo, done;
	unsigned n_todo, n_idle;
	bool stop;
};

static void list_init(struct list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void list_append(struct list *list, struct fs_call *call)
{
	call->next = NULL;
	*list->tail = call;
	list->tail = &call->next;
}

static struct fs_call *list_take(struct list *list)
{
	struct fs_call *call = list->head;

	if (call)
		list->head = call->next;
	if (!list->head)
		list->tail = &list->head;
	return call;
}

/* With the lock held. The descriptor is readable exactly while something is done. */
static void complete(struct fs_pool *pool, struct fs_call *call)
{
	uint64_t one = 1;
	bool first = !pool->done.head;

	list_append(&pool->done, call);
	pthread_cond_signal(&pool->complete);
	while (first && write(pool->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* With the lock held, which is dropped meanwhile. */
static void run_one(struct fs_pool *pool)
{
	struct fs_call *call = list_take(&pool->todo);

	pool->n_todo--;
	pthread_mutex_unlock(&pool->lock);
	fs_call_run(call);
	pthread_mutex_lock(&pool->lock);
	complete(pool, call);
}

static void *worker(void *opaque)
{
	struct fs_pool *pool = opaque;

	pthread_setname_np(pthread_self(), "fs-io");
	pthread_mutex_lock(&pool->lock);
	while (!pool->stop) {
		if (pool->todo.head) {
			run_one(pool);
			continue;
		}
		pool->n_idle++;
		pthread_cond_wait(&pool->work, &pool->lock);
		pool->n_idle--;
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Signals are the business of other threads, and SIGXFSZ, of a write that the user's limits forbid,
 * must not end the program. */
static void worker_start(struct fs_pool *pool)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&pool->threads[pool->n_threads], NULL, worker, pool) == 0)
		pool->n_threads++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Without any thread to be had, the loop does the work itself. */
void fs_pool_submit(struct fs_pool *pool, struct fs_call *call)
{
	bool short_of;

	pool->in_flight++;
	pthread_mutex_lock(&pool->lock);
	list_append(&pool->todo, call);
	short_of = ++pool->n_todo > pool->n_idle;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (short_of && pool->n_threads < N_THREADS)
		worker_start(pool);
	if (pool->n_threads)
		return;
	pthread_mutex_lock(&pool->lock);
	run_one(pool);
	pthread_mutex_unlock(&pool->lock);
}

struct fs_call *fs_pool_reap(struct fs_pool *pool, bool wait)
{
	struct fs_call *call;
	uint64_t count;

	pthread_mutex_lock(&pool->lock);
	while (wait && pool->in_flight && !pool->done.head)
		pthread_cond_wait(&pool->complete, &pool->lock);
	call = list_take(&pool->done);
	if (call) {
		pool->in_flight--;
		while (!pool->done.head && read(pool->fd, &count, sizeof(count)) < 0 &&
		       errno == EINTR)
			;
	}
	pthread_mutex_unlock(&pool->lock);
	return call;
}

int fs_pool_fd(const struct fs_pool *pool)
{
	return pool->fd;
}

int fs_pool_new(struct fs_pool **ret_pool)
{
	struct fs_pool *pool = calloc(1, sizeof(*pool));
	int err;

	if (!pool)
		return -ENOMEM;
	pool->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->fd < 0) {
		err = -errno;
		free(pool);
		return err;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->complete, NULL);
	list_init(&pool->todo);
	list_init(&pool->done);
	*ret_pool = pool;
	return 0;
}

void fs_pool_free(struct fs_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->complete);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	close(pool->fd);
	free(pool);
}
