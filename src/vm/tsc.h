/*
 * The frequency of the host's time stamp counter.
 *
 * A guest under TCG reads the host's counter, but cannot calibrate it reliably against emulated
 * timers: some boots hang for ever. So it is told the frequency on its kernel command line, and a
 * wrong value would make its clocks run wrong.
 */
#ifndef VM_TSC_H
#define VM_TSC_H

#include <stdint.h>

/*
 * kHz, or 0 where the kernel does not trust the counter as a clock, so nobody should. Takes about
 * 50 ms. Right to about 1 ppm of CLOCK_MONOTONIC_RAW, which the kernel never slews; the frequency
 * that CPUID states is preferred where it says the same.
 */
uint32_t tsc_khz(void);

#endif
