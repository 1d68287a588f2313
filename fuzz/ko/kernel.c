// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/ko/ko.h"
#include "fuzz/oracle.h"

FUZZ_QUIET_BEGIN

struct ko ko;
uint8_t ko_user[KO_USER] __attribute__((aligned(16)));
static struct {
	uint64_t at, length;
} fetched[64];
static uint32_t fetches;

void ko_reset(void)
{
	ORACLE(ko.live == 0, "memory of the kernel is lost");
	memset(&ko, 0, sizeof(ko));
}

void ko_call(void)
{
	ORACLE(ko.locks == 0, "a lock was not given back");
	fetches = 0;
}

void ko_print(const char *format, ...)
{
	static char text[512];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list); /* its arguments are read */
	va_end(list);
}

bool ko_warn(bool x)
{
	ORACLE(!x, "a warning of the kernel");
	return x;
}

static bool fails(uint32_t *countdown)
{
	return *countdown != 0 && --*countdown == 0;
}

/* ---- memory ---- */

void *ko_alloc(size_t n, bool zeroed)
{
	void *p = fails(&ko.fail_alloc) ? NULL : zeroed ? calloc(1, n) : malloc(n);

	ko.live += p != NULL;
	return p;
}

void kfree(const void *p)
{
	ko.live -= p != NULL;
	free((void *)(uintptr_t)p);
}

unsigned long get_zeroed_page(gfp_t flags)
{
	void *p = fails(&ko.fail_alloc) ? NULL : aligned_alloc(PAGE_SIZE, PAGE_SIZE);

	(void)flags;
	ko.live += p != NULL;
	if (p != NULL) {
		memset(p, 0, PAGE_SIZE);
	}
	return (unsigned long)p;
}

void free_page(unsigned long page)
{
	kfree((const void *)page);
}

/* ---- the user's memory ---- */

static bool user_has(const void *p, unsigned long n)
{
	uint64_t at = (uintptr_t)p - (uintptr_t)ko_user;

	ORACLE(ko.locks == 0 || ko.may_lock, "memory of a user is touched under a lock");
	return !fails(&ko.fail_copy) && range_within(at, n, KO_USER);
}

unsigned long copy_from_user(void *to, const void *from, unsigned long n)
{
	uint64_t at = (uintptr_t)from - (uintptr_t)ko_user;

	if (!user_has(from, n)) {
		memset(to, 0, n);
		return n;
	}
	for (uint32_t i = 0; i < fetches; i++) {
		ORACLE(!range_overlaps(at, n, fetched[i].at, fetched[i].length),
		       "double fetch of the user's memory");
	}
	if (fetches < 64) {
		fetched[fetches].at = at;
		fetched[fetches++].length = n;
	}
	memcpy(to, from, n);
	return 0;
}

unsigned long copy_to_user(void *to, const void *from, unsigned long n)
{
	if (!user_has(to, n)) {
		return n;
	}
	oracle_clean(from, n);
	memcpy(to, from, n);
	return 0;
}

void *memdup_user(const void *from, size_t n)
{
	void *p = ko_alloc(n, false);

	if (p == NULL) {
		return (void *)(intptr_t)-ENOMEM;
	}
	if (copy_from_user(p, from, n) != 0) {
		kfree(p);
		return (void *)(intptr_t)-EFAULT;
	}
	return p;
}

/* ---- locks ---- */

void mutex_init(struct mutex *m)
{
	m->held = false;
}

void mutex_lock(struct mutex *m)
{
	ORACLE(!m->held, "a lock is taken twice");
	m->held = true;
	ko.locks++;
}

bool ko_signal(void)
{
	return fails(&ko.fail_signal);
}

int mutex_lock_interruptible(struct mutex *m)
{
	if (ko_signal()) {
		return -EINTR;
	}
	mutex_lock(m);
	return 0;
}

void mutex_unlock(struct mutex *m)
{
	ORACLE(m->held, "a lock is given back that nobody has");
	m->held = false;
	ko.locks--;
}

void ko_held(bool held)
{
	ORACLE(held, "without its lock");
}

void init_rwsem(struct rw_semaphore *s)
{
	memset(s, 0, sizeof(*s));
}

void down_read(struct rw_semaphore *s)
{
	ORACLE(!s->writer && s->readers == 0, "a lock is taken twice");
	s->readers++;
	ko.locks++;
}

int down_read_interruptible(struct rw_semaphore *s)
{
	void (*meanwhile)(void) = ko.meanwhile;

	ko.meanwhile = NULL;
	if (ko_signal()) {
		return -EINTR;
	}
	if (meanwhile != NULL) {
		meanwhile();
	}
	down_read(s);
	return 0;
}

void up_read(struct rw_semaphore *s)
{
	ORACLE(s->readers-- > 0, "a lock is given back that nobody has");
	ko.locks--;
}

void down_write(struct rw_semaphore *s)
{
	ORACLE(!s->writer && s->readers == 0, "a lock is taken twice");
	s->writer = true;
	ko.locks++;
}

void up_write(struct rw_semaphore *s)
{
	ORACLE(s->writer, "a lock is given back that nobody has");
	s->writer = false;
	ko.locks--;
}

/* ---- references, numbers ---- */

void kref_init(struct kref *k)
{
	k->count = 1;
}

void kref_get(struct kref *k)
{
	ORACLE(k->count > 0, "a reference to what is gone");
	k->count++;
}

int kref_put(struct kref *k, void (*release)(struct kref *k))
{
	ORACLE(k->count > 0, "a reference to what is gone");
	if (--k->count == 0) {
		release(k);
		return 1;
	}
	return 0;
}

int ida_alloc_range(struct ida *ida, unsigned int first, unsigned int last, gfp_t flags)
{
	(void)flags;
	if (fails(&ko.fail_alloc)) {
		return -ENOMEM;
	}
	for (unsigned int i = first; i <= last; i++) {
		if ((ida->used[i / 64] >> (i % 64) & 1) == 0) {
			ida->used[i / 64] |= 1ull << (i % 64);
			return (int)i;
		}
	}
	return -ENOSPC;
}

void ida_free(struct ida *ida, unsigned int id)
{
	ORACLE((ida->used[id / 64] >> (id % 64) & 1) != 0, "a number is given back twice");
	ida->used[id / 64] &= ~(1ull << (id % 64));
}

unsigned long find_next_zero_bit(const unsigned long *map, unsigned long n, unsigned long from)
{
	while (from < n && (map[from / 64] >> (from % 64) & 1) != 0) {
		from++;
	}
	return from;
}

/* ---- work ---- */

struct workqueue_struct *alloc_workqueue(const char *name, int flags, int most)
{
	(void)name;
	(void)flags;
	(void)most;
	return ko.fail_queue ? NULL : (struct workqueue_struct *)&ko;
}

void destroy_workqueue(struct workqueue_struct *q)
{
	(void)q;
	while (ko_work()) {
	}
}

void queue_work(struct workqueue_struct *q, struct work_struct *w)
{
	(void)q;
	ORACLE(!w->queued && ko.works < 16, "work is queued twice");
	w->queued = true;
	ko.work[ko.works++] = w;
}

bool ko_work(void)
{
	struct work_struct *w;

	if (ko.works == 0) {
		return false;
	}
	w = ko.work[--ko.works];
	w->queued = false;
	w->f(w);
	return true;
}

/* ---- files ---- */

int anon_inode_getfd(const char *name, const struct file_operations *fops, void *data, int flags)
{
	(void)name;
	ORACLE((flags & O_CLOEXEC) != 0, "a descriptor that programs inherit");
	if (fails(&ko.fail_fd)) {
		return -EMFILE;
	}
	for (uint32_t i = 0; i < KO_FILES; i++) {
		struct ko_file *f = &ko.file[i];

		if (!f->used) {
			*f = (struct ko_file){ true, { data, O_NONBLOCK }, fops };
			return (int)i;
		}
	}
	return -EMFILE;
}

void ko_close(uint32_t i)
{
	struct ko_file *f = &ko.file[i];

	f->used = false;
	(void)f->fops->release(NULL, &f->file);
}

int misc_register(struct miscdevice *d)
{
	ko.device = ko.fail_misc ? NULL : d;
	return ko.fail_misc ? -ENODEV : 0;
}

bool boot_cpu_has(int what)
{
	return what != X86_FEATURE_HYPERVISOR || !ko.bare;
}

bool capable(int what)
{
	ORACLE(what == CAP_SYS_ADMIN, "another capability");
	return !ko.unable;
}

void misc_deregister(struct miscdevice *d)
{
	(void)d;
	ko.device = NULL;
}

FUZZ_QUIET_END
