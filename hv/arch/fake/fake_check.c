// SPDX-License-Identifier: MIT
/* Hypercalls with few words, and the invariants of partitions. */
#include <string.h>

#include "hv/arch/fake/fake.h"
#include "hv/arch/fake/fake_page.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/pfn.h"

#define ENTRIES 512u
#define UNIT_PAGES (PFN_UNIT / PAGE_SIZE)
#define CALL_WINDOWS (UNIT_PAGES + 64) /* that one call may open: interrupts wait for so long */

static struct partition *by_slot[PARTITION_SLOTS];
static struct partition *child[PARTITION_SLOTS]; /* those that there are, by number */
static uint32_t child_slot[PARTITION_SLOTS], children;
static bool skip; /* tables and units, which were judged before the call that changed nothing */

static void watch_input(struct vp *vp, uint64_t at)
{
	hpa_t h = hpa(UINT64_MAX);

	(void)(at == UINT64_MAX || npt_lookup(&vp->partition->npt, gpa(at), &h, NULL, NULL));
	fake.input_frame = h.v;
	fake.input_fetches = 0;
}

uint64_t fake_hypercall(struct vp *vp, uint64_t control, const void *in, size_t in_size, void *out,
			size_t out_size)
{
	const struct exit_info e = { .kind = EXIT_HYPERCALL, .length = 3 };
	uint64_t at = vp->partition->root ? FAKE_CALL_PAGE : FAKE_CHILD_CALL_PAGE;
	uint64_t rip = vp->rip, opened = fake.windows_opened;
	uint8_t *page = fake_guest_page(vp->partition, at), *answer;

	if (in_size > PAGE_SIZE || out_size > PAGE_SIZE) {
		fake_fail("a call of more than a page", in_size);
	}
	if (page != NULL && in_size != 0) {
		memcpy(page, in, in_size);
	}
	vp->regs[REG_RCX] = control;
	vp->regs[REG_RDX] = at;
	vp->regs[REG_R8] = at + PAGE_SIZE;
	if ((control >> 16 & 1) != 0) {
		uint64_t fast[2] = { 0, 0 };

		memcpy(fast, in, in_size < sizeof(fast) ? in_size : sizeof(fast));
		vp->regs[REG_RDX] = fast[0];
		vp->regs[REG_R8] = fast[1];
	}
	watch_input(vp, page != NULL && (control >> 16 & 1) == 0 ? at : UINT64_MAX);
	if (fake_exit(vp, &e) != FAKE_RETURNED) {
		fake_fail("a hypercall did not return", control);
	}
	if (fake.input_fetches > 1) {
		fake_fail("a hypercall fetched its input twice", control);
	}
	if (fake.windows_opened - opened > CALL_WINDOWS) {
		fake_fail("a hypercall did too much at once", control);
	}
	fake.input_frame = UINT64_MAX;
	if (vp->rip == rip) {
		return FAKE_AGAIN;
	}
	answer = fake_guest_page(vp->partition, at + PAGE_SIZE);
	if (answer != NULL && out_size != 0 && (vp->regs[REG_RAX] & 0xffff) == HV_SUCCESS) {
		memcpy(out, answer, out_size);
	}
	return vp->regs[REG_RAX];
}

static void must(bool ok, const char *what, uint64_t value)
{
	if (!ok) {
		fake_fail(what, value);
	}
}

/* Present entries of a table; *tables grows by one. */
static const uint64_t *table(uint64_t entry, unsigned level, uint64_t *tables)
{
	(*tables)++;
	return arch_heap_va(arch_npte_addr(entry, level));
}

/* One leaf of a child: a whole unit that belongs to it at this address. */
static void check_leaf(const struct partition *p, uint64_t at, uint64_t entry)
{
	uint32_t unit;

	must(arch_npte_is_leaf(entry, 2), "a child's table of small pages", at);
	unit = pfn_unit(arch_npte_addr(entry, 2));
	must(unit != PFN_NONE, "a child maps what is not the pool's", at);
	must(arch_npte_access(entry) == NPT_RWX, "a child's access", at);
	must(pfn_address(unit).v == arch_npte_addr(entry, 2).v, "a leaf within a unit", at);
	must(pfn_state(unit) == PFN_OWNED && pfn_slot(unit) == p->slot,
	     "a child maps a unit that is not its own", at);
	must(pfn_gpa(unit).v == at, "a unit is mapped elsewhere than the table of units says", at);
}

/* Every leaf of a child's nested table. */
static void check_npt(const struct partition *p)
{
	const uint64_t *l4 = arch_heap_va(p->npt.root);
	uint64_t tables = 1, leaves = 0;

	for (unsigned i = page_next(l4, 0); i < ENTRIES; i = page_next(l4, i + 1)) {
		const uint64_t *l3 = arch_npte_present(l4[i]) ? table(l4[i], 4, &tables) : NULL;

		for (unsigned j = l3 == NULL ? ENTRIES : page_next(l3, 0); j < ENTRIES;
		     j = page_next(l3, j + 1)) {
			const uint64_t *l2;

			if (!arch_npte_present(l3[j])) {
				continue;
			}
			must(!arch_npte_is_leaf(l3[j], 3), "a leaf of 1 GiB", j);
			l2 = table(l3[j], 3, &tables);
			for (unsigned k = page_next(l2, 0); k < ENTRIES; k = page_next(l2, k + 1)) {
				if (arch_npte_present(l2[k])) {
					check_leaf(p,
						   (uint64_t)i << 39 | (uint64_t)j << 30 |
							   (uint64_t)k << 21,
						   l2[k]);
					leaves++;
				}
			}
		}
	}
	must(tables == p->npt.tables, "tables are not counted right", tables);
	must(leaves * UNIT_PAGES == p->pages, "pages are not counted right", leaves);
}

static void check_unit(uint32_t unit, bool deep)
{
	uint64_t at = pfn_address(unit).v, span;
	unsigned access = 0;
	hpa_t h;
	bool granted = npt_lookup(&partition_root->npt, gpa(at), &h, &access, &span);
	struct partition *p;

	if (pfn_state(unit) == PFN_DIRTY || pfn_state(unit) == PFN_CLEAN) {
		must(!granted, "the root maps a unit that nobody owns", unit);
		must(!deep || pfn_state(unit) == PFN_DIRTY || fake_pool_zero(at, PFN_UNIT),
		     "a clean unit is not zero", unit);
		return;
	}
	p = by_slot[pfn_slot(unit)];
	must(p != NULL, "a unit of a partition that is gone", unit);
	if (pfn_state(unit) == PFN_LEAVING) {
		must(p->revoked && !granted, "a unit is leaving", unit);
		return;
	}
	must(!p->revoked, "a unit is owned after the revocation", unit);
	must(granted && h.v == at && access == NPT_RW && span == PFN_UNIT,
	     "the root's grant is not that of the unit", unit);
	must(npt_lookup(&p->npt, pfn_gpa(unit), &h, &access, &span) && h.v == at &&
		     access == NPT_RWX && span == PFN_UNIT,
	     "the owner does not map its unit", unit);
}

/* How often the VP is in its CPU's lists. */
static uint32_t listed(const struct vp *vp)
{
	uint32_t n = 0;

	for (const struct vp *v = cpu_table[vp->cpu].vps; v != NULL; v = v->next) {
		n += v == vp;
	}
	for (const struct vp *v = cpu_table[vp->cpu].arrivals; v != NULL; v = v->next) {
		n += v == vp;
	}
	return n;
}

static void check_vp(const struct partition *p, uint32_t i, uint32_t vps[CPU_MAX])
{
	const struct vp *vp = p->vp[i];
	uint64_t first = UINT64_MAX;

	must(vp->partition == p && vp->index == i && vp->cpu < cpu_count && vp->arch != NULL,
	     "a VP's identity", i);
	must(listed(vp) == (vp->detached == 0 ? 1 : 0), "a VP in the lists of its CPU", i);
	must(vp->detached == 0 || !vp->arch->loaded, "a detached VP is loaded", i);
	must(vp->detached == 0 || p->state == RD_PARTITION_DYING, "a detached VP", i);
	must(vp->irq_offered == -1, "an offered vector outside the guest", i);
	must(vp->synic.waiting <= SYNIC_QUEUE &&
		     (vp->synic.waiting == 0 || vp->synic.queue != NULL),
	     "waiting messages", vp->synic.waiting);
	for (unsigned t = 0; t < VP_TIMER_COUNT; t++) {
		first = vp->deadline[t] < first ? vp->deadline[t] : first;
	}
	must(first == vp->deadline_first, "the first deadline", first);
	vps[vp->cpu] += vp->detached == 0 && !p->root;
}

/* Without the sanitizer's questions about each. */
__attribute__((no_sanitize("address", "undefined"))) static bool
vps_dense(const struct partition *p)
{
	uint64_t missing = p->vp_count > CPU_MAX, more = 0;

	for (uint32_t i = 0; missing == 0 && i < p->vp_count; i++) {
		missing |= p->vp[i] == NULL;
	}
	for (uint32_t i = p->vp_count; i < CPU_MAX; i++) {
		more |= (uint64_t)p->vp[i];
	}
	return missing == 0 && more == 0;
}

static void check_partition(const struct partition *p, uint32_t vps[CPU_MAX])
{
	bool detached = true;

	must(p->state >= RD_PARTITION_CREATED && p->state <= RD_PARTITION_DYING, "state", p->state);
	must(p->port_ranges <= PARTITION_PORT_RANGES, "port ranges", p->port_ranges);
	must(vps_dense(p), "VPs are not dense", p->vp_count);
	for (uint32_t i = 0; i < p->vp_count; i++) {
		check_vp(p, i, vps);
		detached = detached && p->vp[i]->detached != 0;
	}
	if (p->revoked) {
		must(detached && p->state == RD_PARTITION_DYING, "revoked too early", p->id);
	} else if (!p->root && !skip) {
		check_npt(p);
	}
}

static void check_cpu(const struct cpu *c, uint32_t vps)
{
	bool current = c->current == NULL, loaded = c->loaded == NULL;
	uint64_t first = UINT64_MAX;

	must(c->children == vps, "children of a CPU", c->children);
	for (const struct vp *vp = c->vps; vp != NULL; vp = vp->next) {
		current = current || vp == c->current;
		loaded = loaded || vp == c->loaded;
		must(vp->arch->loaded == (vp == c->loaded), "loaded by whom", vp->index);
		first = vp->deadline_first < first ? vp->deadline_first : first;
	}
	must(current && loaded, "a CPU knows a VP that is not its own", c->index);
	for (unsigned t = 0; t < CPU_TIMER_COUNT; t++) {
		first = c->timer[t] < first ? c->timer[t] : first;
	}
	must(first >= c->timer_first, "a deadline is earlier than what its CPU waits for", first);
}

/* Fills by_slot and the list of children. true: they are what they were, and so is the heap. */
static bool find_partitions(void)
{
	struct partition *p;
	uint32_t before = children, n = 0;
	bool same = true;

	for (uint32_t i = 0; i < before; i++) {
		by_slot[child_slot[i]] = NULL;
	}
	for (uint64_t id = PARTITION_ID_ROOT + 1; (p = partition_next(id)) != NULL;
	     id = p->id + 1) {
		must(!p->root && p->slot != 0 && p->slot < PARTITION_SLOTS &&
			     by_slot[p->slot] == NULL,
		     "a partition's identity", p->id);
		same = same && n < before && child[n] == p && child_slot[n] == p->slot;
		by_slot[p->slot] = p;
		child[n] = p;
		child_slot[n++] = p->slot;
	}
	children = n;
	same = same && n == before && fake_heap_known();
	for (uint32_t i = 0; i < n && !same; i++) {
		must(partition_find(child[i]->id) == child[i], "a partition is not found", i);
	}
	return same;
}

/* The table below a table's entry for this address; NULL: none. */
static const uint64_t *below(const uint64_t *t, unsigned level, uint64_t at)
{
	uint64_t e = t == NULL ? 0 : t[at >> (PAGE_SHIFT + 9 * (level - 1)) & (ENTRIES - 1)];

	return arch_npte_present(e) && !arch_npte_is_leaf(e, level)
		       ? arch_heap_va(arch_npte_addr(e, level))
		       : NULL;
}

/* The root maps nothing of the hypervisor's. */
static void check_region(void)
{
	const uint64_t *l4 = arch_heap_va(partition_root->npt.root), *l1;
	uint64_t end = FAKE_REGION_BASE + boot_handoff.region_size;
	hpa_t h;

	for (uint64_t at = FAKE_REGION_BASE; at < end; at += PFN_UNIT) {
		uint64_t pages = (end - at) / PAGE_SIZE;

		pages = pages < UNIT_PAGES ? pages : UNIT_PAGES;
		l1 = below(below(below(l4, 4, at), 3, at), 2, at);
		must(l1 == NULL || page_next(l1, 0) >= pages, "the root maps the hypervisor", at);
		must(l1 != NULL || !npt_lookup(&partition_root->npt, gpa(at), &h, NULL, NULL),
		     "the root maps the hypervisor", at);
	}
}

static void check_memory(bool deep)
{
	for (uint32_t u = 0; u < pfn_units(); u++) {
		check_unit(u, deep);
	}
	check_region();
}

void fake_check_partitions(bool deep)
{
	uint32_t vps[CPU_MAX] = { 0 };

	skip = find_partitions() && !deep;
	for (uint32_t i = 0; i < children; i++) {
		check_partition(child[i], vps);
	}
	check_partition(partition_root, vps);
	if (!skip) {
		check_memory(deep);
	}
	for (uint32_t i = 0; i < cpu_count; i++) {
		check_cpu(&cpu_table[i], vps[i]);
	}
	fake_heap_good();
}

struct partition *fake_child(uint32_t i)
{
	return i < children ? child[i] : NULL;
}
