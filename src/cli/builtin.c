#include "cli/builtin.h"

#include "base/buf.h"
#include "base/err.h"
#include "cli/args.h"
#include "cli/completion.h"
#include "cli/exit.h"
#include "cli/help.h"
#include "pyro.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int builtin_help(char **args)
{
	AUTO_BUF struct buf out = BUF_INIT(HELP_MAX);
	struct pyro_error err;

	if (help_find(args, &out, &err) < 0)
		return exit_error(&err, args_has(args, "--json"));
	return exit_text(&out, 0);
}

int builtin_version(char **args)
{
	AUTO_BUF struct buf out = BUF_INIT(64);

	(void)args;
	buf_puts(&out, "pyro " PYRO_VERSION "\n");
	return exit_text(&out, 0);
}

int builtin_completion(char **args)
{
	AUTO_BUF struct buf out = BUF_INIT(HELP_MAX);
	struct pyro_error err;

	if (completion_script(args[0] ? args[0] : "", &out) < 0) {
		(void)err_set(&err, PYRO_E_USAGE, "no completion for the shell '%s'",
			      args[0] ? args[0] : "");
		(void)err_hint(&err, "pyro completion bash, or zsh, or fish");
		return exit_error(&err, /* as_json= */ false);
	}
	return exit_text(&out, 0);
}

/* Where it is told, beside this program in the build tree, or as installed. */
static void exec_helper(const char *name, char **args)
{
	const char *given = getenv("PYRO_LIBEXEC_DIR");
	const char *const places[] = {given ? given : "", "../mcp", "../libexec/pyro",
				      PYRO_LIBEXECDIR};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		AUTO_FREE char *path = places[i][0] == '/'
					       ? mem_printf("%s/%s", places[i], name)
					       : mem_printf("%s/%s/%s", self, places[i], name);

		(void)execv(path, args);
	}
}

int builtin_mcp_serve(char **args)
{
	struct pyro_error err;

	/* args[-1] is the word "serve", whose place argv[0] takes. */
	args[-1] = (char[]){"pyro-mcp"};
	exec_helper("pyro-mcp", args - 1);
	(void)err_sys(&err, errno, "start the program 'pyro-mcp'");
	(void)err_hint(&err, "install pyro as a whole: make install");
	return exit_error(&err, /* as_json= */ false);
}
