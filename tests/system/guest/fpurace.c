// SPDX-License-Identifier: MIT
/*
 * Shows QEMU's defect of docs/architecture.md, "A defect of QEMU that looks like ours": one CPU restores floating-point state without
 * end while another one makes #VMEXITs. usage: fpurace RESTORING_CPU EXITING_CPU SECONDS
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile int stop;
static unsigned long restores, exits;
static char area[512] __attribute__((aligned(64)));

static void pin(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *restore(void *cpu)
{
	pin((long)cpu);
	__asm__ volatile("fxsave64 %0" : "=m"(area));
	while (!stop) {
		__asm__ volatile("fxrstor64 %0" : : "m"(area));
		restores++;
	}
	return NULL;
}

static void *leave(void *cpu)
{
	pin((long)cpu);
	while (!stop) {
		unsigned a = 0, b, c = 0, d;

		__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		exits++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[2];
	struct timespec t;

	if (argc != 4) {
		fprintf(stderr, "usage: fpurace RESTORING_CPU EXITING_CPU SECONDS\n");
		return 2;
	}
	t = (struct timespec){ atoi(argv[3]), 0 };
	pthread_create(&thread[0], NULL, restore, (void *)atol(argv[1]));
	pthread_create(&thread[1], NULL, leave, (void *)atol(argv[2]));
	nanosleep(&t, NULL);
	stop = 1;
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	printf("RT info fpurace %lu restores on CPU %s, %lu exits on CPU %s\n", restores, argv[1],
	       exits, argv[2]);
	return 0;
}
