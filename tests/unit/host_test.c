#include "api/host.h"
#include "pyro/error.h"
#include "tests/test.h"

static char program[] = "/opt/pyro", mcp[] = "mcp", serve[] = "serve", mode[] = "--mode";
static char *command[] = {program, mcp, serve, NULL};

static struct host_wanted wanted(void)
{
	return (struct host_wanted){command, json_pack("{s:s}", "PYRO_ACCEL", "tcg")};
}

TEST("what claude prints of an entry is understood, and a project's own entry is not the user's")
{
	struct host_entry entry = {0};

	CHECK(host_claude_parse(
		"pyro:\n  Scope: User config (available in all your projects)\n"
		"  Status: \xe2\x9c\x94 Connected\n  Type: stdio\n  Command: /opt/pyro\n"
		"  Args: mcp serve\n  Environment:\n    Args: no\n",
		&entry));
	CHECK_STR(entry.scope, "user");
	CHECK_STR(entry.command[0], "/opt/pyro");
	CHECK_STR(entry.command[2], "serve");
	CHECK(!entry.command[3]);
	host_entry_done(&entry);

	entry = (struct host_entry){0};
	CHECK(host_claude_parse("pyro:\n  Scope: Local config (private)\n  Type: http\n  URL: x\n",
				&entry));
	CHECK_STR(entry.scope, "local");
	CHECK(!entry.command);
	host_entry_done(&entry);

	entry = (struct host_entry){0};
	CHECK(!host_claude_parse("pyro:\n  Scope: Project config (shared)\n  Command: x\n",
				 &entry));
	CHECK(!host_claude_parse("", &entry));
	CHECK(!host_claude_parse("\n  Scope:", &entry));
	CHECK(!entry.is_found && !entry.command);
}

TEST("an entry of Codex gets our command and environment and keeps what else it says")
{
	struct host_wanted w = wanted();
	struct host_entry old = {.is_found = true, .is_disabled = true};
	char *made =
		host_codex_edit("[mcp_servers.pyro]\n# mine\ncommand = \"old\"\nenabled = false\n"
				"startup_timeout_sec = 60 # slow disk\n[a]\nb = 1\n",
				&old, &w, NULL);

	CHECK_STR(made,
		  "[mcp_servers.pyro]\nargs = [\"mcp\", \"serve\"]\n"
		  "env = { \"PYRO_ACCEL\" = \"tcg\" }\n# mine\n"
		  "command = \"/opt/pyro\"\nenabled = true\nstartup_timeout_sec = 60 # slow disk\n"
		  "[a]\nb = 1\n");
	free(made);
	old.environment = json_pack("{s:s}", "A", "b");
	made = host_codex_edit(
		"[mcp_servers.pyro]\ncommand = \"old\"\n[mcp_servers.pyro.env]\nA = 'b' # it\n",
		&old, &w, NULL);
	CHECK(strstr(made, "[mcp_servers.pyro.env]\nPYRO_ACCEL = \"tcg\"\nA = 'b' # it\n"));
	free(made);
	CHECK(!host_codex_edit("mcp_servers.pyro.command = 'x'\n", &old, &w, NULL));
	json_decref(old.environment);
	json_decref(w.environment);
}

TEST("an entry of OpenCode gets our command and environment and keeps what else it says")
{
	struct host_wanted w = wanted();
	char *made = host_opencode_edit("{\"mcp\": {\"pyro\": {\"timeout\": 9, \"environment\": "
					"{\"A\": \"b\"}, \"command\": [], "
					"\"enabled\": false}, \"x\": 1}} // end",
					&w, NULL);

	CHECK_STR(made, "{\"mcp\": {\"pyro\": {\"timeout\": 9, \"environment\": {\"A\": \"b\", "
			"\"PYRO_ACCEL\": "
			"\"tcg\"}, \"command\": [\n  \"/opt/pyro\",\n  \"mcp\",\n  \"serve\"\n], "
			"\"enabled\": true, \"type\": \"local\"}, \"x\": 1}} // end");
	free(made);
	made = host_opencode_edit(
		"{\"mcp\": {\"servers\": {\"pyro\": {\"type\": \"local\", \"command\": [\"x\"], "
		"\"disabled\": true}}}}",
		&w, NULL);
	CHECK(strstr(made, "\"disabled\": false") && !strstr(made, "enabled"));
	free(made);
	json_decref(w.environment);
}

TEST("an entry of OpenCode for a server elsewhere is replaced as a whole")
{
	struct host_wanted w = wanted();
	char *made = host_opencode_edit(
		"{\"mcp\": {\"pyro\": {\"type\": \"remote\", \"url\": \"http://x\"}}}", &w, NULL);

	CHECK(!strstr(made, "url") && strstr(made, "\"type\": \"local\""));
	free(made);
	CHECK(!host_opencode_edit("{\"mcp\": ", &w, NULL));
	CHECK(!host_opencode_edit("[1]", &w, NULL));
	json_decref(w.environment);
}

TEST("an entry is as wanted only with the same words, what must be set, and switched on")
{
	struct host_wanted w = wanted();
	char *longer[] = {program, mcp, serve, mode, NULL};
	struct host_entry entry = {.is_found = true,
				   .command = command,
				   .environment = w.environment};

	CHECK(host_entry_is(&entry, &w));
	entry.is_disabled = true;
	CHECK(!host_entry_is(&entry, &w));
	entry.is_disabled = false;
	entry.command = longer;
	CHECK(!host_entry_is(&entry, &w));
	entry.command = NULL;
	CHECK(!host_entry_is(&entry, &w));
	entry.command = command;
	entry.environment = NULL;
	CHECK(!host_entry_is(&entry, &w));
	json_decref(w.environment);
}
