// SPDX-License-Identifier: MIT
/*
 * Watches the hypervisor's heap (linked with --wrap): a frame that nobody has is poisoned, so that its use after the freeing ends the
 * process at once, and no address of it is given out. And the copy of what is in use, which tells what a refused call changed.
 */
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include "hv/arch/fake/fake.h"
#include "hv/arch/fake/fake_page.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"

#define FRAMES (FAKE_REGION_SIZE / PAGE_SIZE)
#define WORDS (FRAMES / 64)

void __real_heap_init(hpa_t base, uint64_t bytes);
void *__real_heap_alloc(uint64_t pages);
void __real_heap_free(void *va, uint64_t pages);
void __wrap_heap_init(hpa_t base, uint64_t bytes);
void *__wrap_heap_alloc(uint64_t pages);
void __wrap_heap_free(void *va, uint64_t pages);

static uint64_t used[WORDS]; /* a bit for each frame of the region */
static uint64_t allocating;  /* pages that heap_alloc is about to take */
static bool off, poisoned;   /* poisoned: all of the region was, once */

static uint8_t copy[FAKE_REGION_SIZE] __attribute__((aligned(1 << 21)));
static uint64_t copied[WORDS]; /* the frames of it that count */
static uint64_t there[FRAMES]; /* which lines of a frame's copy count; the others are zero */
static uint8_t unused[FRAMES]; /* lines at a frame's end that are poisoned, too, and zero */
static uint64_t heap_left;
static struct partition *child[PARTITION_SLOTS]; /* those that there were */
static uint32_t children;
/* But for what VPs and CPUs have of their own: the copy is the heap; the heap, and the copy, are as they were judged to be good. */
static bool same, checked, copy_checked;

static uint64_t bit(uint64_t i)
{
	return 1ull << (i % 64);
}

static uint8_t *frame(uint64_t i)
{
	return fake_ram(FAKE_REGION_BASE) + i * PAGE_SIZE;
}

void fake_heap_touched(void)
{
	same = false;
	checked = false;
}

void fake_heap_good(void)
{
	checked = true;
}

bool fake_heap_known(void)
{
	return checked;
}

/* --- frames that nobody has --- */

void __wrap_heap_init(hpa_t base, uint64_t bytes)
{
	for (uint64_t w = 0; w < WORDS; w++) {
		for (uint64_t left = off ? 0 : used[w]; left != 0; left &= left - 1) {
			ASAN_POISON_MEMORY_REGION(frame(w * 64 + (unsigned)__builtin_ctzll(left)),
						  PAGE_SIZE);
		}
		used[w] = 0;
	}
	__builtin_memset(unused, 0, sizeof(unused));
	if (!off && !poisoned) {
		ASAN_POISON_MEMORY_REGION(frame(0), FAKE_REGION_SIZE);
		poisoned = true;
		(void)madvise(copy, sizeof(copy), MADV_HUGEPAGE);
	}
	fake_heap_touched();
	__real_heap_init(base, bytes);
}

void *__wrap_heap_alloc(uint64_t pages)
{
	void *va;

	allocating = pages;
	va = __real_heap_alloc(pages);
	allocating = 0;
	fake_heap_touched();
	return va;
}

void __wrap_heap_free(void *va, uint64_t pages)
{
	uint64_t first = va == NULL ? 0 : (arch_heap_pa(va).v - FAKE_REGION_BASE) / PAGE_SIZE;

	if (va != NULL && unused[first] != 0) {
		ASAN_UNPOISON_MEMORY_REGION(va, PAGE_SIZE);
		unused[first] = 0;
	}
	__real_heap_free(va, pages);
	if (va == NULL) {
		return;
	}
	for (uint64_t i = first; i < first + pages; i++) {
		used[i / 64] &= ~bit(i);
	}
	if (!off) {
		ASAN_POISON_MEMORY_REGION(va, pages * PAGE_SIZE);
	}
	fake_heap_touched();
}

void fake_heap_object(void *va, size_t size)
{
	uint64_t i = (arch_heap_pa(va).v - FAKE_REGION_BASE) / PAGE_SIZE;

	if (!off && va == frame(i) && size < PAGE_SIZE) {
		ASAN_POISON_MEMORY_REGION((uint8_t *)va + size, PAGE_SIZE - size);
		unused[i] = (uint8_t)((PAGE_SIZE - size) / (4 * PAGE_LINE) * 4);
	}
}

void fake_heap_unwatched(void)
{
	off = true;
	ASAN_UNPOISON_MEMORY_REGION(frame(0), FAKE_REGION_SIZE);
}

void fake_heap_opened(uint64_t at)
{
	uint64_t first = at / PAGE_SIZE, n = allocating;

	if (n == 0) {
		if (!off && (used[first / 64] & bit(first)) == 0) {
			fake_fail("the address of a frame that nobody has", at);
		}
		return;
	}
	allocating = 0;
	if (at % PAGE_SIZE != 0 || n > FRAMES - first) {
		fake_fail("frames beyond the heap", at);
	}
	for (uint64_t i = first; i < first + n; i++) {
		if ((used[i / 64] & bit(i)) != 0) {
			fake_fail("a frame is given out twice", i);
		}
		used[i / 64] |= bit(i);
	}
	ASAN_UNPOISON_MEMORY_REGION(frame(first), n * PAGE_SIZE);
}

/* --- what a refused call changed --- */

static void frame_copy(uint64_t i)
{
	there[i] = page_copy(copy + i * PAGE_SIZE, frame(i), PAGE_LINES - unused[i]);
}

static bool frame_same(uint64_t i)
{
	return page_same(copy + i * PAGE_SIZE, there[i], frame(i), PAGE_LINES - unused[i]);
}

static void copy_at(const void *va)
{
	if (va != NULL) {
		frame_copy((arch_heap_pa(va).v - FAKE_REGION_BASE) / PAGE_SIZE);
	}
}

static void copy_vps(const struct partition *p)
{
	for (uint32_t i = 0; i < p->vp_count; i++) {
		if (p->vp[i] != NULL) {
			copy_at(p->vp[i]);
			copy_at(p->vp[i]->arch);
		}
	}
}

/* A harness sets registers of VPs between two calls. */
static void copy_own(void)
{
	copy_vps(partition_root);
	for (uint32_t i = 0; i < children; i++) {
		copy_vps(child[i]);
	}
	for (uint32_t i = 0; i < cpu_count; i++) {
		copy_at(cpu_table[i].scratch);
		copy_at(cpu_table[i].scratch + PAGE_SIZE);
	}
}

static void find_children(void)
{
	struct partition *p;

	children = 0;
	if (checked) { /* the core has not run since: it need not be asked again */
		while ((p = fake_child(children)) != NULL) {
			child[children++] = p;
		}
		return;
	}
	for (uint64_t id = 0; (p = partition_next(id)) != NULL; id = p->id + 1) {
		child[children++] = p;
	}
}

void fake_remember(void)
{
	heap_left = heap_available();
	copy_checked = checked;
	find_children();
	if (same) {
		copy_own();
		return;
	}
	for (uint64_t w = 0; w < WORDS; w++) {
		copied[w] = used[w];
		for (uint64_t left = used[w]; left != 0; left &= left - 1) {
			frame_copy(w * 64 + (unsigned)__builtin_ctzll(left));
		}
	}
	same = true;
}

static bool callers_own(const struct vp *caller, const uint8_t *page)
{
	const uint8_t *scratch = cpu_table[caller->cpu].scratch;

	return page == (const uint8_t *)caller || page == (const uint8_t *)caller->arch ||
	       page == scratch || page == scratch + PAGE_SIZE;
}

static void copy_line(uint64_t line)
{
	if ((there[line / 64] & bit(line)) == 0) {
		__builtin_memset(copy + line * PAGE_LINE, 0, PAGE_LINE);
		there[line / 64] |= bit(line);
	}
}

/* A lock's tickets count whoever took it. */
static void forget_lock(const struct lock *l)
{
	uint64_t at = (uint64_t)((const uint8_t *)l - frame(0));

	if (at < FAKE_REGION_SIZE) {
		copy_line(at / PAGE_LINE);
		copy_line((at + sizeof(*l) - 1) / PAGE_LINE);
		__builtin_memcpy(copy + at, l, sizeof(*l));
	}
}

static void forget_locks(const struct partition *p)
{
	forget_lock(&p->lock);
	for (uint32_t i = 0; i < p->vp_count; i++) {
		if (p->vp[i] != NULL) {
			forget_lock(&p->vp[i]->synic.lock);
		}
	}
}

bool fake_unchanged(const struct vp *caller)
{
	if (heap_available() != heap_left) {
		return false;
	}
	forget_locks(partition_root);
	for (uint32_t i = 0; i < children; i++) {
		forget_locks(child[i]);
	}
	for (uint64_t w = 0; w < WORDS; w++) {
		if (copied[w] != used[w]) {
			return false;
		}
		for (uint64_t left = used[w]; left != 0; left &= left - 1) {
			uint64_t i = w * 64 + (unsigned)__builtin_ctzll(left);

			if (!frame_same(i) && !callers_own(caller, frame(i))) {
				return false;
			}
		}
	}
	same = true;
	checked = copy_checked;
	return true;
}
