// SPDX-License-Identifier: MIT
/*
 * What each libFuzzer program asks of its sanitizer, unless ASAN_OPTIONS says otherwise. Freed memory is kept from use for as long as 2 MiB
 * more are freed, three times what the hungriest input of the corpora frees: with the 256 MiB that are usual, or 16, every allocation
 * touches memory that is in no cache, or that the kernel has to make first.
 */
const char *__asan_default_options(void);

__attribute__((used, visibility("default"))) const char *__asan_default_options(void)
{
	return "quarantine_size_mb=2:thread_local_quarantine_size_kb=256";
}
