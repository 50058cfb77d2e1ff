/* A workspace to make records of, for the tests of src/workspace. */
#ifndef TESTS_UNIT_WORKSPACE_SAMPLE_H
#define TESTS_UNIT_WORKSPACE_SAMPLE_H

#include "base/mem.h"
#include "pyro/error.h"
#include "tests/test.h"
#include "workspace/records.h"
#include "workspace/workspaces.h"

#define SAMPLE_ID "ws-00000000000000aa"
#define SAMPLE_LABELS_MAX 4

static inline struct records *sample_open(void)
{
	struct pyro_error err;
	struct records *r = records_open(test_dir(), &err);

	if (!r)
		test_fail(__FILE__, __LINE__, "%s", err.message);
	return r;
}

/* Adds one whose creation is not complete. name and labels may be NULL. */
static inline int sample_begin(struct records *r, const char *id, const char *name,
			       const char *const *labels, struct pyro_error *err)
{
	struct pyro_workspace ws = {
		.workspace_id = mem_strdup(id),
		.name = mem_strdup(name),
		.labels = mem_zalloc(SAMPLE_LABELS_MAX + 1, sizeof(*ws.labels)),
		.environment = mem_strdup("debian:12"),
		.state = mem_strdup("started"),
		.vcpu_count = 2,
		.mem_mib = 512,
		.created_at = 100,
		.expires_at = 1e10,
		.last_activity_at = 100,
		.network_policy = mem_strdup("off"),
		.workspace_seed = {.mode = mem_strdup("directory"),
				   .seed_path = mem_strdup("/made/up"),
				   .origin_kind = mem_strdup("manual_seed_path")},
	};
	int result;

	for (int i = 0; labels && labels[i] && i < SAMPLE_LABELS_MAX; i++)
		ws.labels[i] = mem_strdup(labels[i]);
	result = workspaces_add(r, &ws, err);
	pyro_workspace_done(&ws);
	return result;
}

/* Adds one that is ready. */
static inline void sample_add(struct records *r, const char *id, const char *name,
			      const char *const *labels, double now)
{
	char own_id[64];
	const struct pyro_workspace ready = {
		.workspace_id = own_id,
		.expires_at = 1e10,
		.workspace_seed = {.entry_count = 3, .bytes_written = 4096},
	};
	struct pyro_error err;

	CHECK_OK(sample_begin(r, id, name, labels, &err), err);
	(void)snprintf(own_id, sizeof(own_id), "%s", id);
	CHECK_OK(workspaces_set_ready(r, &ready, "guest_vsock", "tcg", now, &err), err);
}

#endif
