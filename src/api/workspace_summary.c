/*
 * The review of a session: only what pyro itself observed, from the history and the live tree.
 */
#include "api/handle.h"
#include "api/remote.h"
#include "api/workspace.h"
#include "base/err.h"
#include "ops/ops.h"
#include "workspace/history.h"
#include "workspace/services.h"
#include "workspace/shells.h"
#include "workspace/snapshots.h"

#include <stdlib.h>
#include <string.h>

#define LAST_COMMANDS 20
#define ENTRIES_SHOWN 100

static bool has_failed(const struct pyro_workspace_command *c)
{
	return strcmp(c->state, "running") != 0 && c->exit_code != 0;
}

static void add_commands(struct pyro_workspace_command *commands, size_t count,
			 struct pyro_summary_commands *ret)
{
	size_t first = count > LAST_COMMANDS ? count - LAST_COMMANDS : 0;

	ret->total = (int64_t)count;
	for (size_t i = 0; i < count; i++)
		ret->failed += has_failed(&commands[i]);
	ret->last = mem_zalloc(count - first + 1, sizeof(*ret->last));
	for (size_t i = first; i < count; i++)
		ret->last[ret->last_count++] = (struct pyro_summary_command){
			.sequence = commands[i].sequence,
			.state = TAKE_PTR(commands[i].state),
			.command = TAKE_PTR(commands[i].command),
			.exit_code = commands[i].exit_code,
			.duration_ms = commands[i].duration_ms,
			.timed_out = commands[i].timed_out,
		};
}

static int take_commands(struct pyro *p, struct pyro_workspace_summary *s, struct pyro_error *err)
{
	struct pyro_workspace_command *commands = NULL;
	size_t count = 0;

	if (history_commands(p->records, s->workspace_id, &commands, &count, err) < 0)
		return -1;
	add_commands(commands, count, &s->commands);
	for (size_t i = 0; i < count; i++)
		pyro_workspace_command_done(&commands[i]);
	free(commands);
	return 0;
}

static void append(struct pyro_review_event **list, size_t *count, struct pyro_review_event *event)
{
	*list = mem_resize(*list, *count + 1, sizeof(**list));
	(*list)[(*count)++] = *event;
	*event = (struct pyro_review_event){0};
}

static int take_events(struct pyro *p, struct pyro_workspace_summary *s, struct pyro_error *err)
{
	struct pyro_review_event *events = NULL;
	size_t count = 0;

	if (history_events(p->records, s->workspace_id, &events, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(events[i].kind, "export") == 0)
			append(&s->artifacts.exports, &s->artifacts.exports_count, &events[i]);
		else if (strncmp(events[i].kind, "service", 7) == 0)
			append(&s->services.events, &s->services.events_count, &events[i]);
		else if (strncmp(events[i].kind, "snapshot", 8) == 0)
			append(&s->snapshots.events, &s->snapshots.events_count, &events[i]);
		else if (strncmp(events[i].kind, "shell", 5) == 0)
			pyro_review_event_done(&events[i]); /* those that are open are told */
		else
			append(&s->edits, &s->edits_count, &events[i]);
	}
	free(events);
	return 0;
}

static int count_snapshots(struct pyro *p, struct pyro_workspace_summary *s, struct pyro_error *err)
{
	struct pyro_snapshot *snapshots = NULL;
	size_t count = 0;

	if (snapshots_list(p->records, s->workspace_id, &snapshots, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		s->snapshots.named_count += strcmp(snapshots[i].kind, "named") == 0;
		pyro_snapshot_done(&snapshots[i]);
	}
	free(snapshots);
	return 0;
}

static int take_services(struct pyro *p, struct pyro_workspace_summary *s, struct pyro_error *err)
{
	struct pyro_service *services = NULL;
	size_t count = 0;

	if (services_list(p->records, s->workspace_id, &services, &count, err) < 0)
		return -1;
	s->services.current = mem_zalloc(count + 1, sizeof(*s->services.current));
	s->services.current_count = count;
	for (size_t i = 0; i < count; i++) {
		s->services.current[i] = (struct pyro_service_brief){
			.service_name = TAKE_PTR(services[i].service_name),
			.state = TAKE_PTR(services[i].state),
		};
		pyro_service_done(&services[i]);
	}
	free(services);
	return 0;
}

static void take_diff(struct pyro_workspace_diff *diff, struct pyro_summary_changes *ret)
{
	ret->available = true;
	ret->changed = diff->changed;
	ret->summary = diff->summary;
	for (size_t i = ENTRIES_SHOWN; i < diff->entries_count; i++)
		pyro_diff_entry_done(&diff->entries[i]);
	ret->entries = TAKE_PTR(diff->entries);
	ret->entries_count =
		diff->entries_count < ENTRIES_SHOWN ? diff->entries_count : ENTRIES_SHOWN;
	diff->entries_count = 0;
	pyro_workspace_diff_done(diff);
}

/* A live tree that cannot be compared is no reason to lose the rest. */
static void take_changes(struct pyro *p, const struct pyro_workspace *ws,
			 struct pyro_summary_changes *ret)
{
	struct pyro_workspace_diff diff = {0};
	struct remote *remote = NULL;
	struct pyro_error why;

	ret->has_summary = true;
	if (strcmp(ws->state, "started") != 0) {
		ret->reason = mem_printf("the workspace is %s", ws->state);
		return;
	}
	remote = remote_connect(p, ws->workspace_id, &why);
	if (remote && workspace_diff(p, ws, remote, "", NULL, &diff, &why) == 0)
		take_diff(&diff, ret);
	else
		ret->reason = mem_strdup(why.message);
	(void)remote_free(remote);
}

static char *outcome_of(const struct pyro_workspace_summary *s)
{
	const struct pyro_summary_command *last =
		s->commands.last_count ? &s->commands.last[s->commands.last_count - 1] : NULL;
	AUTO_FREE char *changes =
		!s->changes.available ? mem_strdup("what changed cannot be told now")
		: !s->changes.changed
			? mem_strdup("nothing changed")
			: mem_printf("%lld %s", (long long)s->changes.summary.total,
				     s->changes.summary.total == 1 ? "entry changed"
								   : "entries changed");

	if (!last)
		return mem_printf("No command was run; %s.", changes);
	if (last->timed_out)
		return mem_printf("The last command timed out; %s.", changes);
	if (last->exit_code == PYRO_NONE || strcmp(last->state, "cancelled") == 0)
		return mem_printf("The last command %s %s; %s.",
				  strcmp(last->state, "running") == 0 ? "is" : "was", last->state,
				  changes);
	return mem_printf("The last command exited with %lld; %s.", (long long)last->exit_code,
			  changes);
}

static int summarize(struct pyro *p, struct pyro_workspace *ws, struct pyro_workspace_summary *s,
		     struct pyro_error *err)
{
	double started =
		ws->last_reset_at == (double)PYRO_NONE ? ws->created_at : ws->last_reset_at;

	s->workspace_id = mem_strdup(ws->workspace_id);
	s->name = mem_strdup(ws->name);
	s->environment = mem_strdup(ws->environment);
	s->state = mem_strdup(ws->state);
	s->session = (struct pyro_summary_session){started, ws->last_activity_at, ws->reset_count};
	s->has_session = s->has_commands = s->has_changes = s->has_services = true;
	s->has_artifacts = s->has_snapshots = true;
	if (take_commands(p, s, err) < 0 || take_events(p, s, err) < 0 ||
	    count_snapshots(p, s, err) < 0 || take_services(p, s, err) < 0 ||
	    shells_list(p->records, s->workspace_id, &s->shells, &s->shells_count, err) < 0)
		return -1;
	take_changes(p, ws, &s->changes);
	s->outcome = outcome_of(s);
	return 0;
}

static int summarize_found(struct pyro *p, const char *id_or_name,
			   struct pyro_workspace_summary *ret, struct pyro_error *err)
{
	struct pyro_workspace_summary s = {0};
	struct pyro_workspace ws = {0};
	int result;

	if (workspace_find(p, id_or_name, &ws, err) < 0)
		return -1;
	result = summarize(p, &ws, &s, err);
	pyro_workspace_done(&ws);
	if (result < 0)
		pyro_workspace_summary_done(&s);
	else
		*ret = s;
	return result;
}

int pyro_summarize_workspace(struct pyro *p, const struct pyro_summarize_workspace_args *given,
			     struct pyro_workspace_summary *ret, struct pyro_error *err)
{
	struct pyro_summarize_workspace_args a;

	if (ops_apply_defaults(OP_summarize_workspace, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0
		       ? -1
		       : handle_end(p, summarize_found(p, a.workspace_id, ret, err));
}
