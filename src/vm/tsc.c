/*
 * One reading is a clock_gettime() between two rdtsc. The time between those two is how far the
 * reading can be off, so of many readings at either end of the window the tightest is taken: being
 * preempted in one of them, or between them, does no harm. What clock_gettime() itself costs is the
 * same at both ends and cancels out.
 */
#include "vm/tsc.h"

#include "base/buf.h"
#include "base/file.h"
#include "vm/host.h"

#include <cpuid.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#define WINDOW_MS 50
#define READINGS 64
#define TRIES 3
#define TIGHT_PPM 3  /* ends no wider than this need no second try */
#define AGREE_PPM 20 /* quartzes are better than this, and other frequencies are further away */

struct reading {
	uint64_t tsc;
	int64_t ns;
	uint64_t width; /* ticks within which it was taken */
};

static struct reading read_once(void)
{
	struct timespec ts;
	uint64_t before = __rdtsc(), after;

	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	after = __rdtsc();
	return (struct reading){.tsc = before + (after - before) / 2,
				.ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec,
				.width = after - before};
}

static struct reading read_tightest(void)
{
	struct reading best = read_once();

	for (int i = 1; i < READINGS; i++) {
		struct reading next = read_once();

		if (next.width < best.width)
			best = next;
	}
	return best;
}

/* Returns kHz; *ret_ppm is how wide both ends were, in millionths of the window. */
static double measure_window(double *ret_ppm)
{
	struct reading first = read_tightest(), last;
	double ticks;

	(void)poll(NULL, 0, WINDOW_MS);
	last = read_tightest();
	ticks = (double)(last.tsc - first.tsc);
	*ret_ppm = 1e6 * (double)(first.width + last.width) / ticks;
	return ticks * 1e6 / (double)(last.ns - first.ns);
}

static double measure_khz(void)
{
	double best_khz = 0, best_ppm = 1e6;

	for (int i = 0; i < TRIES && best_ppm > TIGHT_PPM; i++) {
		double ppm, khz = measure_window(&ppm);

		if (ppm < best_ppm) {
			best_ppm = ppm;
			best_khz = khz;
		}
	}
	return best_khz;
}

/* What CPUID says: the crystal's leaf, or the one by which hypervisors tell. 0: nothing. */
static double stated_khz(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(0x15, &a, &b, &c, &d) && a && b && c)
		return (double)c * b / a / 1000;
	if (vm_host_slowness() == 1)
		return 0;
	__cpuid(0x40000000, a, b, c, d);
	if (a < 0x40000010 || a > 0x400000ff)
		return 0;
	__cpuid(0x40000010, a, b, c, d);
	return a;
}

/* The kernel drops the counter from this list when it finds it stopping, drifting or unequal. */
static bool is_trusted(void)
{
	AUTO_BUF struct buf list = BUF_INIT(4096);

	buf_puts(&list, " ");
	if (file_read("/sys/devices/system/clocksource/clocksource0/available_clocksource", &list,
		      NULL) < 0)
		return false;
	return strstr(list.data, " tsc ") || strstr(list.data, " tsc\n");
}

uint32_t tsc_khz(void)
{
	double measured, stated;

	if (!is_trusted())
		return 0;
	measured = measure_khz();
	stated = stated_khz();
	if (stated > measured * (1 - AGREE_PPM / 1e6) && stated < measured * (1 + AGREE_PPM / 1e6))
		measured = stated;
	return measured < UINT32_MAX ? (uint32_t)(measured + 0.5) : 0;
}
