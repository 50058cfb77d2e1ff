#include "cli/builtin.h"

#include "base/buf.h"
#include "base/err.h"
#include "cli/args.h"
#include "cli/completion.h"
#include "cli/exit.h"
#include "cli/help.h"
#include "pyro.h"

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
