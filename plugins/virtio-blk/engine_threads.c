/* SPDX-License-Identifier: Apache-2.0 */
/* A few threads that do blocking I/O. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"

#define N_THREADS 4

struct io_list {
	struct blk_io *head, **tail;
};

struct threads {
	struct blk_engine engine; /* first */
	const struct blk_image *image;
	pthread_t threads[N_THREADS];
	unsigned n_threads;

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t work, complete;
	struct io_list todo, done;
	unsigned n_todo, n_idle;
	bool signalled; /* the eventfd has been written and not been read */
	bool stop;
};

static void list_init(struct io_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void list_append(struct io_list *list, struct blk_io *io)
{
	io->next = NULL;
	*list->tail = io;
	list->tail = &io->next;
}

static struct blk_io *list_take(struct io_list *list)
{
	struct blk_io *io = list->head;

	list->head = io->next;
	if (!list->head)
		list->tail = &list->head;
	return io;
}

/* With the lock held. One signal stands for all completions until reap() has seen it. */
static void complete(struct threads *pool, struct blk_io *io)
{
	uint64_t one = 1;

	list_append(&pool->done, io);
	pthread_cond_signal(&pool->complete);
	if (pool->signalled)
		return;
	pool->signalled = true;
	while (write(pool->engine.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *worker(void *opaque)
{
	struct threads *pool = opaque;

	pthread_setname_np(pthread_self(), "blk-io");
	pthread_mutex_lock(&pool->lock);
	while (!pool->stop) {
		struct blk_io *io;

		if (!pool->todo.head) {
			pool->n_idle++;
			pthread_cond_wait(&pool->work, &pool->lock);
			pool->n_idle--;
			continue;
		}
		io = list_take(&pool->todo);
		pool->n_todo--;
		pthread_mutex_unlock(&pool->lock);
		blk_io_run(pool->image, io);
		pthread_mutex_lock(&pool->lock);
		complete(pool, io);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Signals are the business of other threads. */
static void worker_start(struct threads *pool)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&pool->threads[pool->n_threads], NULL, worker, pool) == 0)
		pool->n_threads++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Without any thread to be had, the loop does the work itself. */
static void threads_submit(struct blk_engine *engine, struct blk_io *io)
{
	struct threads *pool = (struct threads *)engine;
	bool short_of;

	engine->in_flight++;
	pthread_mutex_lock(&pool->lock);
	list_append(&pool->todo, io);
	short_of = ++pool->n_todo > pool->n_idle;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (short_of && pool->n_threads < N_THREADS)
		worker_start(pool);
	if (pool->n_threads)
		return;
	pthread_mutex_lock(&pool->lock);
	io = list_take(&pool->todo);
	pool->n_todo--;
	blk_io_run(pool->image, io);
	complete(pool, io);
	pthread_mutex_unlock(&pool->lock);
}

static void threads_commit(struct blk_engine *engine)
{
}

static void threads_reap(struct blk_engine *engine, bool wait)
{
	struct threads *pool = (struct threads *)engine;
	struct blk_io *io;
	uint64_t count;

	pthread_mutex_lock(&pool->lock);
	while (wait && engine->in_flight && !pool->done.head)
		pthread_cond_wait(&pool->complete, &pool->lock);
	io = pool->done.head;
	list_init(&pool->done);
	if (pool->signalled && read(engine->fd, &count, sizeof(count)) == sizeof(count))
		pool->signalled = false;
	pthread_mutex_unlock(&pool->lock);
	while (io) {
		struct blk_io *next = io->next;

		engine->in_flight--;
		engine->done(engine->opaque, io);
		io = next;
	}
}

static void threads_destroy(struct blk_engine *engine)
{
	struct threads *pool = (struct threads *)engine;

	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->complete);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	close(engine->fd);
	free(pool);
}

static const struct blk_engine_ops threads_ops = {
	.submit = threads_submit,
	.commit = threads_commit,
	.reap = threads_reap,
	.destroy = threads_destroy,
};

int blk_threads_new(const struct blk_image *image, struct blk_engine **ret_engine)
{
	struct threads *pool = calloc(1, sizeof(*pool));
	int err;

	if (!pool)
		return -ENOMEM;
	pool->engine.ops = &threads_ops;
	pool->image = image;
	pool->engine.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->engine.fd < 0) {
		err = -errno;
		free(pool);
		return err;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->complete, NULL);
	list_init(&pool->todo);
	list_init(&pool->done);
	*ret_engine = &pool->engine;
	return 0;
}
