// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Memory of a partition: handed to the hypervisor, mapped by processes, and given back when nobody
 * can reach it. Mappings use struct pages, so get_user_pages() works on them; they are of whole units
 * where the address allows, never executable, and a child of fork() does not inherit them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/delay.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page-flags.h>
#include <linux/page_ref.h>

#include "hv/root/compat.h"
#include "hv/root/redoubt.h"

#define RD_WAIT_MIN 1u /* ms between looks at a unit that is in use */
#define RD_WAIT_MAX 500u

static_assert(RD_UNIT_SIZE == PMD_SIZE);
static_assert(RD_LOW_LIMIT % RD_UNIT_SIZE == 0 && RD_HIGH_BASE % RD_UNIT_SIZE == 0);

/* --- to the hypervisor --- */

/* Units `first` to `first + count - 1`, which are contiguous for the guest. */
static int rd_memory_map_part(struct rd_partition *partition, u64 gpa, u64 first, u64 count)
{
	const u64 most = (PAGE_SIZE - sizeof(struct hv_map_gpa_pages)) / sizeof(u64);
	struct hv_map_gpa_pages *in = partition->pages.in;
	int error = 0;

	mutex_lock(&partition->pages.lock);
	while (count && !error) {
		u32 now = min(count, most);

		if (fatal_signal_pending(current)) {
			error = -EINTR;
			break;
		}
		memset(in, 0, sizeof(*in));
		in->partition = partition->id;
		in->base = gpa >> PAGE_SHIFT;
		in->flags = HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE | HV_MAP_LARGE;
		memcpy(in + 1, partition->unit + first, now * sizeof(u64));
		error = rd_hypercall_rep(HVCALL_MAP_GPA_PAGES, in, NULL, now);
		gpa += now * RD_UNIT_SIZE;
		first += now;
		count -= now;
	}
	mutex_unlock(&partition->pages.lock);
	return error;
}

/* As rd_memory_offset() says: from 0, and what does not fit there from RD_HIGH_BASE. */
int rd_memory_map(struct rd_partition *partition)
{
	u64 low = min_t(u64, partition->units, RD_LOW_LIMIT >> RD_UNIT_SHIFT);
	int error;

	error = rd_memory_map_part(partition, 0, 0, low);
	if (!error)
		error = rd_memory_map_part(partition, RD_HIGH_BASE, low, partition->units - low);
	return error;
}

/* Pages into the launch measurement, in ascending order. The hypervisor looks at the addresses. */
int rd_memory_measure(struct rd_partition *partition, u64 gpa, u64 pages)
{
	const u64 most = (PAGE_SIZE - sizeof(struct rd_measure_pages)) / sizeof(u64);
	u64 number = gpa >> PAGE_SHIFT;
	int error = 0;

	while (pages && !error) {
		u32 now = min(pages, most);
		struct rd_measure_pages *in;
		u64 *list;
		u32 i;

		if (fatal_signal_pending(current))
			return -EINTR;
		mutex_lock(&partition->pages.lock);
		in = partition->pages.in;
		list = (u64 *)(in + 1);
		in->partition = partition->id;
		for (i = 0; i < now; i++)
			list[i] = number + i;
		error = rd_hypercall_rep(RD_HVCALL_MEASURE_PAGES, in, NULL, now);
		mutex_unlock(&partition->pages.lock);
		number += now;
		pages -= now;
	}
	return error;
}

/*
 * Wait until nobody refers to a page any more. No descriptor and no mapping is left, so a reference
 * belongs to I/O under way (or to a pipe), and a unit that rests has come to rest for good. All
 * references to the pages of a unit are counted in its first.
 */
void rd_memory_wait(struct rd_partition *partition)
{
	unsigned int delay = RD_WAIT_MIN;
	u64 i;

	for (i = 0; i < partition->units; i++) {
		struct page *page = pfn_to_page(partition->unit[i]);

		while (page_ref_count(page) != 1) {
			msleep(delay);
			delay = min(delay * 2, RD_WAIT_MAX);
		}
		folio_clear_dirty(page_folio(page));
		folio_clear_referenced(page_folio(page));
		cond_resched();
	}
	smp_mb(); /* what was done to the pages before, and their new life */
}

/* --- to processes --- */

static struct page *rd_memory_page(const struct rd_partition *partition, u64 number)
{
	u64 unit = number / RD_UNIT_PAGES;

	if (unit >= partition->units)
		return NULL;
	return pfn_to_page(partition->unit[unit] + number % RD_UNIT_PAGES);
}

/* The kernel maps the page's whole unit where all of it lies in the mapping. */
static vm_fault_t rd_memory_fault(struct vm_fault *vmf)
{
	struct page *page = rd_memory_page(vmf->vma->vm_file->private_data, vmf->pgoff);

	if (!page)
		return VM_FAULT_SIGBUS;
	get_page(page);
	vmf->page = page;
	return 0;
}

/* The mapping holds its file, and the file the memory: nothing to count at open and close. */
static const struct vm_operations_struct rd_memory_vm_ops = {
	.fault = rd_memory_fault,
};

static int rd_memory_mmap(struct file *file, struct vm_area_struct *vma)
{
	const struct rd_partition *partition = file->private_data;
	u64 total = partition->units * RD_UNIT_PAGES;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (vma->vm_pgoff > total || vma_pages(vma) > total - vma->vm_pgoff)
		return -EINVAL;
	/* Not VM_MIXEDMAP: large mappings would then end without giving back their reference. */
	vm_flags_mod(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP, VM_MAYEXEC);
	vma->vm_ops = &rd_memory_vm_ops;
	return 0;
}

static int rd_memory_release(struct inode *inode, struct file *file)
{
	struct rd_partition *partition = file->private_data;

	rd_memory_put(partition);
	rd_partition_put(partition);
	return 0;
}

static const struct file_operations rd_memory_fops = {
	.owner = THIS_MODULE,
	.release = rd_memory_release,
	.mmap = rd_memory_mmap,
	.get_unmapped_area = thp_get_unmapped_area, /* an address that suits large mappings */
	.llseek = noop_llseek,
};

/* A new descriptor of the memory. The caller holds the partition's. */
long rd_memory_create(struct rd_partition *partition)
{
	int fd;

	if (rd_partition_dead(partition))
		return -ENODEV;
	rd_partition_get(partition);
	rd_memory_get(partition);
	fd = anon_inode_getfd("[redoubt-memory]", &rd_memory_fops, partition, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		rd_memory_put(partition);
		rd_partition_put(partition);
	}
	return fd;
}
