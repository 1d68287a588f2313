/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_OPTIONS_H
#define HV_WIRE_OPTIONS_H
/* Redoubt's own options: words on its command line, or lines `key = value` ('#' comments) in its configuration module. */
#include "hv/wire/view.h"

enum options_iommu { OPTIONS_IOMMU_AUTO = 0, OPTIONS_IOMMU_OFF, OPTIONS_IOMMU_REQUIRE };
enum options_log { OPTIONS_LOG_ERROR = 0, OPTIONS_LOG_WARN, OPTIONS_LOG_INFO, OPTIONS_LOG_DEBUG };

struct hv_options {
	uint64_t pool_bytes; /* pool=512M: for child partitions; multiple of 2 MiB (refused otherwise); default 0 */
	uint32_t root_cpus; /* cpus=N: use only the first N CPUs; 0 = all */
	bool debugcon;      /* debugcon=on|off: also log to port 0xe9; default off */
	enum options_log
		loglevel; /* loglevel=error|warn|info|debug: what goes to the serial port during boot; default info */
	enum options_iommu iommu; /* iommu=auto|off|require */
	bool serial;              /* serial=on|off: default on */
	uint16_t serial_port;     /* serial_port=0x3f8 */
	char root_cmdline
		[2048]; /* root_cmdline="...": replaces the kernel module's arguments when present */
	bool root_cmdline_set;
};

void options_defaults(struct hv_options *o);

/*
 * Parses a command line (words separated by blanks; a value may be in double quotes) and merges it into *o.
 * Numbers: decimal or 0x; sizes with K, M, G. An unknown key, a missing or malformed value, a key given twice in the same text,
 * a word without '=': refused, *why names the key in `field` through a static string and why->value is the byte offset of the word.
 * The first word of a Multiboot 1 command line may be the file name of the image: a first word with '/' and no '=' before it, or one that ends in ".elf" without '=', is skipped.
 */
bool options_parse_cmdline(const char *text, size_t len, struct hv_options *o,
			   struct wire_fault *why);

/* The same keys, one per line, from the configuration module. why->value is the line number. */
bool options_parse_config(const char *text, size_t len, struct hv_options *o,
			  struct wire_fault *why);

#endif
