/* SPDX-License-Identifier: MIT */
#ifndef HV_ABI_REGS_TPM_H
#define HV_ABI_REGS_TPM_H
/* Registers of a TPM's FIFO interface (TCG PC Client Platform TPM Profile 1.05, section 6.5; what TIS 1.3 was). */

#define TIS_BASE 0xfed40000ull
#define TIS_LOCALITY_BYTES 0x1000ull
#define TIS_LOCALITIES 5u

#define TIS_ACCESS 0x00u /* 1 byte */
#define TIS_ACCESS_VALID 0x80u
#define TIS_ACCESS_RESERVED 0x40u
#define TIS_ACCESS_ACTIVE 0x20u /* writing it gives the locality up */
#define TIS_ACCESS_SEIZE 0x08u
#define TIS_ACCESS_REQUEST 0x02u

#define TIS_STS 0x18u /* 4 bytes */
#define TIS_STS_VALID 0x80u
#define TIS_STS_READY 0x40u
#define TIS_STS_GO 0x20u
#define TIS_STS_DATA 0x10u
#define TIS_STS_EXPECT 0x08u
#define TIS_STS_BURST 0xffff00u

#define TIS_FIFO 0x24u

#endif
