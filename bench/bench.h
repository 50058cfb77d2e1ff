/*
 * bench: what the parts of the bench share: series of values and their medians, rows of the result,
 * running pyro, and calls over a channel. Whatever goes wrong ends the bench with a message.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "raw.h"

#include "image/image.h"
#include "vm/vm.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_ENVIRONMENT "debian:12"
#define BENCH_STEP_MS 240000
#define BENCH_ROUNDS 20 /* unless told */
#define BENCH_MAX_ROUNDS 200

struct pyro_error;
struct remote;

struct series {
	double values[BENCH_MAX_ROUNDS];
	int n;
};

struct bench {
	const char *pyro; /* the program */
	int rounds;
	bool only_ratios; /* the clock is not that of a usual machine */
	struct pyro *p;
	struct loop *loop;
	char *dir; /* scratch */
	struct image image;
	struct vm_host host;
	struct vm_spec spec; /* of a fresh VM of the default shape */
	struct template template;
	json_t *rows;
};

/*
 * How often to repeat what is done n times in BENCH_ROUNDS rounds: less often in fewer rounds, at
 * least once, and never more often.
 */
int bench_times(const struct bench *b, int n);

void series_add(struct series *s, double value);
double series_median(const struct series *s);

/* err may be NULL. */
_Noreturn void bench_die(const char *what, const struct pyro_error *err);

/*
 * One line of the result. floor 0: there is none. limit 0: nothing is promised, else the most it
 * may be: of the ratio where there is a floor, of the value where there is none.
 */
void bench_report(struct bench *b, const char *name, const char *unit, double value, double floor,
		  double limit);
/* The same where the value is promised although there is a floor. */
void bench_report_within(struct bench *b, const char *name, const char *unit, double value,
			 double floor, double limit);

double elapsed_ms(int64_t begun_ns);

/* `pyro ARGUMENTS` from start to exit, in milliseconds. Every status but 0 is a failure. */
double bench_pyro(struct bench *b, const char *const *arguments);
#define BENCH_PYRO(b, ...) bench_pyro(b, (const char *const[]){__VA_ARGS__, NULL})

struct raw_source bench_source(const struct bench *b);

/* Arguments of the agent's call exec. */
json_t *bench_shell(const char *line);
json_t *bench_true(void);
/* Runs a command to its end; what it prints and how it exits does not matter. args is taken. */
void bench_exec(struct remote *remote, json_t *args);

/* The identity of the workspace of that name; owned by the caller. */
char *bench_workspace_id(struct bench *b, const char *name);
pid_t bench_supervisor(const char *vm_id);
/*
 * Memory in KiB that a process has for itself; 0 if it cannot be read. Clean pages of a file that
 * only one process maps at the moment are counted as private by the kernel, but are page cache.
 */
double bench_private_kib(pid_t pid);
/* The same of a process and all below it. */
double bench_tree_kib(pid_t pid);

void workspaces_measure(struct bench *b);
void sessions_measure(struct bench *b);
void mcp_measure(struct bench *b);

#endif
