// SPDX-License-Identifier: MIT
/*
 * What each libFuzzer program asks of its sanitizer, unless ASAN_OPTIONS says otherwise. Freed memory is kept from use for as long as 16 MiB
 * more are freed, which no input does: with the 256 MiB that are usual, every allocation touches pages that the kernel has to make first.
 */
const char *__asan_default_options(void);

__attribute__((used, visibility("default"))) const char *__asan_default_options(void)
{
	return "quarantine_size_mb=16";
}
