#include "api/handle.h"
#include "api/host.h"
#include "base/buf.h"
#include "image/image.h"
#include "ops/ops.h"
#include "workspace/names.h"
#include "workspace/records.h"
#include "workspace/state.h"

#include <string.h>

#define TEXT_MAX (1024 * 1024)

static void add_environments(struct buf *out)
{
	struct pyro_environment_list list;

	if (image_list(&list, NULL) < 0)
		return;
	for (size_t i = 0; i < list.environments_count; i++)
		buf_printf(out, "%s\t%s\n", list.environments[i].name,
			   list.environments[i].installed ? "installed" : "not installed");
	pyro_environment_list_done(&list);
}

/* A host is connected by its own program, or we print, or write, what its file should say. */
static void add_hosts(const char *operation, struct buf *out)
{
	static const struct host *const hosts[] = {&host_claude, &host_codex, &host_opencode};

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		if (strcmp(operation, "repair_host") == 0 ||
		    hosts[i]->has_commands == (strcmp(operation, "connect_host") == 0))
			buf_printf(out, "%s\t%s\n", hosts[i]->name, hosts[i]->title);
}

static void add_records(const char *input, const char *workspace, struct buf *out)
{
	AUTO_FREE char *state = state_find();
	struct records *r = state ? records_open_to_read(state, NULL) : NULL;

	if (r)
		names_list(r, input, workspace, out);
	(void)records_close(r);
}

char *pyro_complete(const char *operation, const char *input, const char *workspace)
{
	AUTO_BUF struct buf out = BUF_INIT(TEXT_MAX);

	if (strcmp(operation, "create_snapshot") == 0 && strcmp(input, "snapshot_name") == 0)
		return NULL; /* a name that is still to be made */
	if (strcmp(input, "environment") == 0)
		add_environments(&out);
	else if (strcmp(input, "host") == 0)
		add_hosts(operation, &out);
	else
		add_records(input, workspace, &out);
	return out.len ? mem_strdup(buf_text(&out)) : NULL;
}
