/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_KO_KO_H
#define FUZZ_KO_KO_H
/* What the harness of redoubt.ko has of fuzz/ko/kernel.c: the user's memory, descriptors, failures on demand. */
#include "fuzz/ko/kernel.h"

#define KO_FILES 160u
#define KO_USER 8192u /* bytes of the user's memory; any other address faults */

struct ko_file {
	bool used;
	struct file file;
	const struct file_operations *fops;
};

struct ko {
	struct ko_file file[KO_FILES];
	uint32_t live;                           /* allocations */
	uint32_t locks;                          /* held */
	uint32_t fail_alloc, fail_fd, fail_copy; /* countdowns to a failure; 0: none */
	uint32_t fail_signal;                    /* the same, to a signal */
	bool may_lock; /* locks may be held while the user's memory is touched */
	bool fail_misc, fail_queue, unable; /* to register, to make a queue, to administer */
	bool bare;                          /* the machine has no hypervisor */
	void (*meanwhile)(
		void); /* what another thread does while the next one waits for a lock, once */
	struct miscdevice *device;
	struct work_struct *work[16];
	uint32_t works;
};

extern struct ko ko;
extern uint8_t ko_user[KO_USER];

void ko_reset(void);
/* A new system call begins: what was fetched before may be fetched again. */
void ko_call(void);
/* One that waits; false: none. */
bool ko_work(void);
/* Takes a descriptor out of the table and releases it. */
void ko_close(uint32_t i);

#endif
