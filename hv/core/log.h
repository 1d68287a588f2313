/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_LOG_H
#define HV_CORE_LOG_H
#include "hv/abi/redoubt.h"
#include "hv/core/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Console levels: what goes to the serial port while the hypervisor owns it, and to port 0xe9. */
void log_configure(enum log_level console_level, bool serial, bool debugcon);
/* From here on the serial port belongs to the root: only panics use it. */
void log_release_serial(void);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)

/* What a partition can trigger: each a burst of 64, then at most 8 a second; the rest is counted. */
struct vp;
void log_guest(struct vp *vp, const char *fmt, ...) PRINTF_LIKE(2, 3);

uint64_t log_read(uint64_t sequence, struct rd_log *out);
uint64_t log_dropped(void);

/* Our own bug or broken hardware: says so on every console and stops the machine. Never returns. */
NORETURN void panic(const char *fmt, ...) PRINTF_LIKE(1, 2);
#define CHECK(cond)                                                                  \
	do {                                                                         \
		if (__builtin_expect(!(cond), 0)) {                                  \
			panic("check failed: %s:%d: %s", __FILE__, __LINE__, #cond); \
		}                                                                    \
	} while (0)

#endif
