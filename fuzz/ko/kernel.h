/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_KO_KERNEL_H
#define FUZZ_KO_KERNEL_H
/*
 * As much of Linux as redoubt.ko uses, in user space and on one thread, so that the module's own sources run under a fuzzer. Every
 * <linux/...> header that they include is this one (tools/cmake/module.cmake). Where the kernel promises, this checks: locks are
 * not taken twice and are given back, references do not end twice, memory of a user is fetched once and not under a lock. What it
 * does not have is concurrency.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef long long s64;
typedef u64 phys_addr_t;
typedef unsigned int __poll_t;
typedef unsigned int vm_fault_t;
typedef unsigned long vm_flags_t;
typedef unsigned int gfp_t;

#define __user
#define __rcu
#define __init
#define __exit
#define __ro_after_init
#define THIS_MODULE NULL
#define KBUILD_MODNAME "redoubt"
#define MODULE_DESCRIPTION(x) _Static_assert(1, "")
#define MODULE_AUTHOR(x) _Static_assert(1, "")
#define MODULE_LICENSE(x) _Static_assert(1, "")
#define module_init(f)      \
	int ko_init(void)   \
	{                   \
		return f(); \
	}                   \
	_Static_assert(1, "")
#define module_exit(f)     \
	void ko_exit(void) \
	{                  \
		f();       \
	}                  \
	_Static_assert(1, "")
int ko_init(void);
void ko_exit(void);
#define static_assert(x) _Static_assert(x, #x)
#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(t, a, b) ((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PMD_SIZE (1ull << 21)
#define BITS_PER_LONG 64
#define ERESTARTSYS 512
#define KERNEL_VERSION(a, b, c) ((a) << 16 | (b) << 8 | (c))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 12, 0)

__attribute__((format(printf, 1, 2))) void ko_print(const char *format, ...);
#define pr_err(...) ko_print(__VA_ARGS__)
#define pr_warn(...) ko_print(__VA_ARGS__)
#define pr_info(...) ko_print(__VA_ARGS__)
#define WARN_ON_ONCE(x) ko_warn(x)
bool ko_warn(bool x);

/* ---- memory; each may fail where the script says so ---- */
#define GFP_KERNEL 0u
#define GFP_KERNEL_ACCOUNT 0u
void *ko_alloc(size_t n, bool zeroed);
void kfree(const void *p);
#define kzalloc(n, flags) ko_alloc(n, true)
#define kvmalloc_array(n, size, flags) ko_alloc((n) * (size), false)
#define kvfree kfree
unsigned long get_zeroed_page(gfp_t flags);
void free_page(unsigned long page);
static inline phys_addr_t virt_to_phys(void *p)
{
	return (uintptr_t)p;
}
void *memdup_user(const void *from, size_t n);
#define IS_ERR(p) ((uintptr_t)(p) >= (uintptr_t)-4095)
#define PTR_ERR(p) ((long)(intptr_t)(p))
#define u64_to_user_ptr(v) ((void *)(uintptr_t)(v))

/* ---- memory of the user: what was not copied ---- */
unsigned long copy_from_user(void *to, const void *from, unsigned long n);
unsigned long copy_to_user(void *to, const void *from, unsigned long n);

/* ---- locks ---- */
struct mutex {
	bool held;
};
struct rw_semaphore {
	int readers;
	bool writer;
};
typedef struct mutex spinlock_t;
#define DEFINE_SPINLOCK(name) spinlock_t name
#define spin_lock mutex_lock
#define spin_unlock mutex_unlock
void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
int mutex_lock_interruptible(struct mutex *m);
void mutex_unlock(struct mutex *m);
#define lockdep_assert_held(m) ko_held((m)->held)
void ko_held(bool held);
void init_rwsem(struct rw_semaphore *s);
int down_read_interruptible(struct rw_semaphore *s);
void down_read(struct rw_semaphore *s);
void up_read(struct rw_semaphore *s);
void down_write(struct rw_semaphore *s);
void up_write(struct rw_semaphore *s);

/* ---- references, lists, numbers, atomics ---- */
struct kref {
	int count;
};
void kref_init(struct kref *k);
void kref_get(struct kref *k);
int kref_put(struct kref *k, void (*release)(struct kref *k));

struct list_head {
	struct list_head *next, *prev;
};
#define INIT_LIST_HEAD(l) ((l)->next = (l)->prev = (l))
#define list_empty(l) ((l)->next == (l))
static inline void list_add(struct list_head *n, struct list_head *l)
{
	n->next = l->next;
	n->prev = l;
	l->next->prev = n;
	l->next = n;
}
static inline void list_del_init(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	INIT_LIST_HEAD(n);
}
#define list_for_each_entry_safe(p, n, l, member)                     \
	for (p = container_of((l)->next, __typeof__(*p), member),     \
	    n = container_of(p->member.next, __typeof__(*p), member); \
	     &p->member != (l); p = n, n = container_of(n->member.next, __typeof__(*n), member))

struct ida {
	u64 used[16];
};
#define DEFINE_IDA(name) struct ida name
int ida_alloc_range(struct ida *ida, unsigned int first, unsigned int last, gfp_t flags);
void ida_free(struct ida *ida, unsigned int id);

typedef struct {
	int v;
} atomic_t;
typedef struct {
	s64 v;
} atomic64_t;
#define atomic_inc(a) ((void)(a)->v++)
#define atomic_dec(a) ((void)(a)->v--)
#define atomic_read(a) ((a)->v)
#define atomic64_read(a) ((a)->v)
#define atomic64_set(a, x) ((void)((a)->v = (x)))
#define atomic64_inc(a) ((void)(a)->v++)
#define atomic64_add(n, a) ((void)((a)->v += (s64)(n)))
static inline s64 atomic64_xchg(atomic64_t *a, s64 v)
{
	s64 was = a->v;

	a->v = v;
	return was;
}
#define READ_ONCE(x) (*(volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define smp_load_acquire(p) READ_ONCE(*(p))
#define smp_store_release(p, v) WRITE_ONCE(*(p), v)
#define smp_mb() ((void)0)
static inline unsigned long ko_xchg(unsigned long *p, unsigned long v)
{
	unsigned long was = *p;

	*p = v;
	return was;
}
#define xchg ko_xchg
#define DECLARE_BITMAP(name, n) unsigned long name[((n) + 63) / 64]
unsigned long find_next_zero_bit(const unsigned long *map, unsigned long n, unsigned long from);
#define __set_bit(i, map) ((void)((map)[(i) / 64] |= 1ul << ((i) % 64)))
#define __clear_bit(i, map) ((void)((map)[(i) / 64] &= ~(1ul << ((i) % 64))))
#define __ffs(x) ((unsigned int)__builtin_ctzl(x))

struct rcu_head {
	void *unused;
};
#define rcu_assign_pointer(p, v) ((p) = (v))
#define RCU_INIT_POINTER(p, v) ((p) = (v))
#define rcu_dereference(p) (p)
#define rcu_read_lock() ((void)0)
#define rcu_read_unlock() ((void)0)
#define kfree_rcu(p, head) kfree(p)

/* ---- waiting: others run once, then a wait ends as by a signal ---- */
typedef struct {
	int sleepers;
} wait_queue_head_t;
#define init_waitqueue_head(w) ((void)((w)->sleepers = 0))
#define wq_has_sleeper(w) ((w)->sleepers != 0)
#define wake_up_interruptible_poll(w, events) ((void)((w)->sleepers = 0), (void)(events))
#define wait_event_interruptible(w, condition) (ko_others(), (condition) ? 0 : -ERESTARTSYS)
#define cond_resched() ((void)0)
#define msleep(ms) ((void)(ms), ko_others())
#define msleep_interruptible(ms) ((void)(ms), ko_signal() ? 1 : 0)
#define fatal_signal_pending(task) ko_signal()
#define current NULL
/* Others run meanwhile: the harness's. */
void ko_others(void);
/* A signal for the caller is there. */
bool ko_signal(void);

struct work_struct {
	void (*f)(struct work_struct *w);
	bool queued;
};
struct workqueue_struct;
#define WQ_UNBOUND 0
#define WQ_UNBOUND_MAX_ACTIVE 0
#define INIT_WORK(w, function) ((w)->f = (function), (w)->queued = false)
struct workqueue_struct *alloc_workqueue(const char *name, int flags, int most);
void destroy_workqueue(struct workqueue_struct *q);
void queue_work(struct workqueue_struct *q, struct work_struct *w);

/* ---- files ---- */
struct inode;
struct file {
	void *private_data;
	unsigned int f_flags;
};
typedef struct poll_table poll_table;
#define poll_wait(file, w, table) ((void)(file), (void)((w)->sleepers = 1), (void)(table))
struct vm_area_struct;
struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	ssize_t (*read)(struct file *file, char *to, size_t size, loff_t *offset);
	ssize_t (*write)(struct file *file, const char *from, size_t size, loff_t *offset);
	__poll_t (*poll)(struct file *file, poll_table *table);
	long (*unlocked_ioctl)(struct file *file, unsigned int command, unsigned long argument);
	long (*compat_ioctl)(struct file *file, unsigned int command, unsigned long argument);
	int (*mmap)(struct file *file, struct vm_area_struct *vma);
	void *get_unmapped_area;
	void *llseek;
};
#define compat_ptr_ioctl NULL
#define noop_llseek NULL
#define thp_get_unmapped_area NULL
int anon_inode_getfd(const char *name, const struct file_operations *fops, void *data, int flags);
struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	unsigned int mode;
};
#define MISC_DYNAMIC_MINOR 255
int misc_register(struct miscdevice *d);
void misc_deregister(struct miscdevice *d);
#define CAP_SYS_ADMIN 21
bool capable(int what);
#define X86_FEATURE_HYPERVISOR 0
bool boot_cpu_has(int what);
void cpuid(u32 leaf, u32 *a, u32 *b, u32 *c, u32 *d);

/* ---- mappings ---- */
struct page {
	int count;
};
#define VM_SHARED 1ul
#define VM_EXEC 2ul
#define VM_WRITE 4ul
#define VM_DONTCOPY 8ul
#define VM_DONTEXPAND 16ul
#define VM_DONTDUMP 32ul
#define VM_MIXEDMAP 64ul
#define VM_MAYWRITE 128ul
#define VM_MAYEXEC 256ul
#define VM_FAULT_SIGBUS 2u
struct vm_operations_struct;
struct vm_area_struct {
	unsigned long vm_start, vm_end, vm_pgoff;
	vm_flags_t vm_flags;
	const struct vm_operations_struct *vm_ops;
	struct file *vm_file;
};
struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff;
	struct page *page;
};
struct vm_operations_struct {
	vm_fault_t (*fault)(struct vm_fault *f);
};
#define vma_pages(v) (((v)->vm_end - (v)->vm_start) >> PAGE_SHIFT)
#define vm_flags_mod(v, set, clear) ((void)((v)->vm_flags = ((v)->vm_flags | (set)) & ~(clear)))
#define virt_to_page(p) ((struct page *)(p))
int vm_insert_page(struct vm_area_struct *v, unsigned long at, struct page *p);
struct page *pfn_to_page(u64 pfn);
#define get_page(p) ((void)(p)->count++)
#define page_ref_count(p) ((p)->count)
#define page_folio(p) (p)
#define folio_clear_dirty(p) ((void)(p))
#define folio_clear_referenced(p) ((void)(p))

#endif
