/* SPDX-License-Identifier: MIT */
#include "hv/core/gpa.h"

#include "hv/abi/regs_x86.h"
#include "hv/core/log.h"
#include "hv/core/owner.h"
#include "hv/core/pfn.h"
#include "hv/core/vp.h"
#include "hv/wire/view.h"

#define SLOT_DATA 0
#define SLOT_WALK 1

#define PTE_P (1ull << 0)
#define PTE_PS (1ull << 7)
#define PTE_ADDR 0x000ffffffffff000ull

/* The frame behind one guest page, where the access is allowed and it is ordinary memory. */
static bool frame_of(struct partition *p, gpa_t at, unsigned access, hpa_t *out)
{
	unsigned have;
	hpa_t h;

	if (!npt_lookup(&p->npt, at, &h, &have, NULL) || (have & access) != access) {
		return false;
	}
	*out = hpa(align_down(h.v, PAGE_SIZE));
	return p->root ? owner_is_root_ram(out->v, PAGE_SIZE) : pfn_is_of(*out, p->slot);
}

bool gpa_check(struct partition *p, gpa_t at, size_t len, unsigned access)
{
	uint64_t page = align_down(at.v, PAGE_SIZE);
	hpa_t h;

	if (len == 0) {
		return true;
	}
	if (!range_within(at.v, len, 1ull << 48)) {
		return false;
	}
	for (; page < at.v + len; page += PAGE_SIZE) {
		if (!frame_of(p, gpa(page), access, &h)) {
			return false;
		}
	}
	return true;
}

static bool copy(struct partition *p, gpa_t at, uint8_t *to, const uint8_t *from, size_t len)
{
	size_t done = 0;

	if (len != 0 && !range_within(at.v, len, 1ull << 48)) {
		return false;
	}
	while (done < len) {
		uint64_t g = at.v + done;
		size_t offset = g & (PAGE_SIZE - 1);
		size_t n = PAGE_SIZE - offset < len - done ? PAGE_SIZE - offset : len - done;
		uint8_t *w;
		hpa_t h;

		if (!frame_of(p, gpa(g), to != NULL ? NPT_R : NPT_W, &h)) {
			return false;
		}
		w = arch_window_open(SLOT_DATA, h);
		if (to != NULL) {
			__builtin_memcpy(to + done, w + offset, n);
		} else if (from != NULL) {
			__builtin_memcpy(w + offset, from + done, n);
		}
		arch_window_close(SLOT_DATA);
		done += n;
	}
	return true;
}

bool gpa_copy_in(struct partition *p, gpa_t at, void *to, size_t len)
{
	return copy(p, at, to, NULL, len);
}

bool gpa_copy_out(struct partition *p, gpa_t at, const void *from, size_t len)
{
	return copy(p, at, NULL, from, len);
}

bool gpa_or32(struct partition *p, gpa_t at, uint32_t bits, uint32_t *old)
{
	uint8_t *w;
	hpa_t h;

	CHECK((at.v & 3) == 0); /* of a slot or a word of flags, whatever the guest has said */
	if (!frame_of(p, at, NPT_RW, &h)) {
		return false;
	}
	w = arch_window_open(SLOT_DATA, h);
	*old = __atomic_fetch_or((uint32_t *)(w + (at.v & (PAGE_SIZE - 1))), bits,
				 __ATOMIC_SEQ_CST);
	arch_window_close(SLOT_DATA);
	return true;
}

/* One page-table entry of the guest; 4 or 8 bytes, never crossing a page. 0, not present, where there is no memory. */
static uint64_t read_entry(struct vp *vp, uint64_t at, unsigned size)
{
	uint64_t e = 0;
	hpa_t h;
	uint8_t *w;

	if (frame_of(vp->partition, gpa(at), NPT_R, &h)) {
		w = arch_window_open(SLOT_WALK, h);
		w += at & (PAGE_SIZE - 1);
		e = size == 8 ? le64(w) : le32(w);
		arch_window_close(SLOT_WALK);
	}
	return e;
}

/* 32-bit paging without PAE: two levels. */
static bool translate_legacy(struct vp *vp, uint64_t va, uint64_t *out)
{
	uint64_t e = read_entry(vp, (arch_vp_cr3(vp) & 0xfffff000) + ((va >> 22) & 1023) * 4, 4);

	if ((e & PTE_P) == 0) {
		return false;
	}
	if ((e & PTE_PS) != 0) {
		*out = (e & 0xffc00000) | (va & 0x3fffff);
		return true;
	}
	e = read_entry(vp, (e & 0xfffff000) + ((va >> 12) & 1023) * 4, 4);
	if ((e & PTE_P) == 0) {
		return false;
	}
	*out = (e & 0xfffff000) | (va & 0xfff);
	return true;
}

static bool translate_pae(struct vp *vp, uint64_t va, unsigned levels, uint64_t *out)
{
	uint64_t table = levels == 3 ? arch_vp_cr3(vp) & 0xffffffe0 : arch_vp_cr3(vp) & PTE_ADDR;

	for (unsigned l = levels; l >= 1; l--) {
		unsigned shift = PAGE_SHIFT + 9 * (l - 1);
		uint64_t index = (va >> shift) & (l == 3 && levels == 3 ? 3 : 511);
		uint64_t e = read_entry(vp, table + index * 8, 8);

		if ((e & PTE_P) == 0) {
			return false;
		}
		if (l == 1 || (l <= 3 && (e & PTE_PS) != 0 && !(l == 3 && levels == 3))) {
			uint64_t mask = (1ull << shift) - 1;

			*out = (e & PTE_ADDR & ~mask) | (va & mask);
			return true;
		}
		table = e & PTE_ADDR;
	}
	return false;
}

bool gva_translate(struct vp *vp, gva_t at, gpa_t *out)
{
	bool ok;

	if ((arch_vp_cr0(vp) & CR0_PG) == 0) {
		*out = gpa(at.v & 0xffffffff);
		return true;
	}
	if ((arch_vp_efer(vp) & EFER_LMA) != 0) {
		ok = translate_pae(vp, at.v, (arch_vp_cr4(vp) & CR4_LA57) != 0 ? 5 : 4, &out->v);
	} else if ((arch_vp_cr4(vp) & CR4_PAE) != 0) {
		ok = translate_pae(vp, at.v & 0xffffffff, 3, &out->v);
	} else {
		ok = translate_legacy(vp, at.v & 0xffffffff, &out->v);
	}
	return ok;
}

size_t gva_fetch(struct vp *vp, gva_t at, uint8_t *to, size_t max)
{
	size_t done = 0;

	while (done < max) {
		uint64_t va = at.v + done;
		size_t n = PAGE_SIZE - (va & (PAGE_SIZE - 1));
		gpa_t g;

		n = n < max - done ? n : max - done;
		if (!gva_translate(vp, (gva_t){ va }, &g) ||
		    !gpa_copy_in(vp->partition, g, to + done, n)) {
			break;
		}
		done += n;
	}
	return done;
}
