/*
 * All three scripts work in the same way: the words on the line so far are matched against the
 * known commands ("path" is the longest match), and the path decides what may follow: the next
 * words of longer commands, the options, environment names where an ENVIRONMENT is expected, and
 * file names where a file of the host is. That of bash knows the names of workspaces, too.
 * Behind `--` it is the command's own turn, so file names are offered.
 */
#include "cli/completion.h"

#include "base/buf.h"
#include "cli/command.h"

#include <string.h>

/* Every beginning of a command: "", "env", "env pull". Each once. */
struct paths {
	char v[256][48];
	size_t n;
};

static void add_path(struct paths *paths, const char *words, size_t len)
{
	for (size_t i = 0; i < paths->n; i++)
		if (strlen(paths->v[i]) == len && strncmp(paths->v[i], words, len) == 0)
			return;
	if (paths->n < ARRAY_SIZE(paths->v) && len < sizeof(paths->v[0]))
		memcpy(paths->v[paths->n++], words, len);
}

static void collect(struct paths *paths)
{
	memset(paths, 0, sizeof(*paths));
	add_path(paths, "", 0);
	for (size_t i = 0; i < commands_count; i++) {
		const char *words = commands[i].words;

		for (size_t len = 1; words && len <= strlen(words); len++)
			if (words[len] == ' ' || words[len] == '\0')
				add_path(paths, words, len);
	}
}

static const struct command *command_of(const char *path)
{
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].words && strcmp(commands[i].words, path) == 0)
			return &commands[i];
	return NULL;
}

static const char *last_word(const char *path)
{
	const char *blank = strrchr(path, ' ');

	return blank ? blank + 1 : path;
}

/* Whether `path` is `parent` and one word more. */
static bool is_child(const char *path, const char *parent)
{
	return *path && command_starts_with(path, parent) &&
	       last_word(path) == path + (*parent ? strlen(parent) + 1 : 0);
}

static bool takes_environment(const struct command *command, unsigned flags)
{
	const struct op_input *in =
		command && command->op ? ops_input(command->op, "environment") : NULL;

	return in && (in->flags & POS) == flags;
}

static const char *summary_of(const char *path)
{
	const struct command *command = command_of(path);

	if (command)
		return command->summary;
	for (const struct op_group *g = ops_groups; g->words; g++)
		if (strcmp(g->words, path) == 0)
			return g->text;
	return "";
}

/* Whether an argument in its place, not an option, is a file of the host. */
static bool takes_file(const struct command *command)
{
	for (const struct op_input *in = command && command->op ? command->op->inputs : NULL;
	     in && in->name; in++)
		if (in->flags & POS && in->flags & HOST_PATH)
			return true;
	return false;
}

static bool option_takes_file(const struct command_option *option)
{
	return option->is_content || (option->in && option->in->flags & HOST_PATH);
}

typedef void option_fn(struct buf *out, const struct command_option *option);

/* The options of a path; of pyro itself for "". */
static void each_option(const char *path, option_fn *fn, struct buf *out)
{
	static const struct command_option version = {"--version", .text = "Print the version"};
	static const struct command_option json = {"--json",
						   .text = "Print one JSON object on stdout"};
	static const struct command_option help = {"--help", .text = "Show help"};
	const struct command *command = command_of(path);
	struct command_option options[COMMAND_OPTIONS_MAX];
	size_t n = command && command->op ? command_options(command->op, options) : 0;

	if (!*path)
		fn(out, &version);
	for (size_t i = 0; i < n; i++)
		fn(out, &options[i]);
	if (command && command_has_json(command))
		fn(out, &json);
	fn(out, &help);
}

/* "--output|--seed-path", as the patterns of a shell's case: the options that take a file. */
static void file_options(struct buf *out)
{
	AUTO_BUF struct buf names = BUF_INIT(4096);
	struct command_option options[COMMAND_OPTIONS_MAX];

	buf_puts(&names, "|");
	for (size_t i = 0; i < OP_COUNT; i++) {
		size_t n = command_options(&ops_rows[i], options);

		for (size_t j = 0; j < n; j++) {
			AUTO_FREE char *name = mem_printf("|%s|", options[j].name);

			if (option_takes_file(&options[j]) && !strstr(buf_text(&names), name))
				buf_puts(&names, name + 1);
		}
	}
	buf_append(out, buf_text(&names) + 1, names.len - 2);
}

static bool is_shells(const char *path)
{
	return strcmp(path, "completion") == 0;
}

static void bash_option(struct buf *out, const struct command_option *option)
{
	buf_printf(out, " %s", option->name);
}

/* What the word behind these is, nobody knows but the user. */
static void bash_valued(struct buf *out, const struct command_option *option)
{
	if (option->metavar && !option_takes_file(option))
		buf_printf(out, " %s", option->name);
}

static bool takes_workspace(const struct command *command)
{
	return command && command->op && command->op->inputs->name &&
	       strcmp(command->op->inputs->name, "workspace_id") == 0;
}

static void bash_case(const struct paths *paths, const char *path, struct buf *out)
{
	buf_printf(out, "\t'%s') offer='", path);
	for (size_t i = 0; i < paths->n; i++)
		if (is_child(paths->v[i], path))
			buf_printf(out, "%s ", last_word(paths->v[i]));
	if (is_shells(path))
		buf_puts(out, "bash zsh fish");
	each_option(path, bash_option, out);
	buf_puts(out, "' valued='");
	each_option(path, bash_valued, out);
	buf_puts(out, " '");
	if (takes_environment(command_of(path), POS))
		buf_puts(out, " environments=1");
	if (takes_workspace(command_of(path)))
		buf_puts(out, " workspaces=1");
	if (takes_file(command_of(path)))
		buf_puts(out, " files=1");
	buf_puts(out, " ;;\n");
}

static void path_pattern(const struct paths *paths, const char *separator, struct buf *out)
{
	for (size_t i = 1; i < paths->n; i++)
		buf_printf(out, "%s'%s'", i > 1 ? separator : "", paths->v[i]);
}

static void bash(const struct paths *paths, struct buf *out)
{
	buf_puts(out, "# bash completion for pyro; made by: pyro completion bash\n"
		      "_pyro_environments()\n{\n"
		      "\tpyro env list 2>/dev/null | sed -n '2,$s/ .*//p'\n}\n\n"
		      "_pyro_workspaces()\n{\n"
		      "\tpyro workspace list 2>/dev/null | sed -n '2,${s/^- *//;s/ .*//p;}'\n}\n\n"
		      "_pyro()\n{\n"
		      "\tlocal -a words\n"
		      "\tlocal line=${COMP_LINE:0:COMP_POINT} cur path='' word offer='' valued='' "
		      "environments=0 workspaces=0 files=0\n"
		      "\tread -ra words <<<\"$line\"\n"
		      "\t[[ $line == *[[:space:]] ]] && words+=('')\n"
		      "\tcur=${words[-1]}\n"
		      "\tfor word in \"${words[@]:1:${#words[@]}-2}\"; do\n"
		      "\t\tif [[ $word == -- ]]; then\n"
		      "\t\t\tcompopt -o default\n\t\t\tCOMPREPLY=()\n\t\t\treturn\n\t\tfi\n"
		      "\t\tcase \"${path:+$path }$word\" in\n\t\t");
	path_pattern(paths, " | ", out);
	buf_puts(out, ")\n\t\t\tpath=\"${path:+$path }$word\" ;;\n\t\tesac\n\tdone\n"
		      "\tcase \"$path\" in\n");
	for (size_t i = 0; i < paths->n; i++)
		bash_case(paths, paths->v[i], out);
	buf_puts(out, "\tesac\n\tcase ${words[-2]} in\n\t");
	file_options(out);
	buf_puts(out, ")\n\t\tfiles=1 ;;\n\tesac\n"
		      "\tif ((workspaces)) && [[ $cur != -* && ${words[*]:1:${#words[@]}-2} == "
		      "\"$path\" ]]; then\n"
		      "\t\toffer=$(_pyro_workspaces) files=0\n\tfi\n"
		      "\tif ((files)) && [[ $cur != -* ]]; then\n"
		      "\t\tcompopt -o default\n\t\tCOMPREPLY=()\n\t\treturn\n\tfi\n"
		      "\tif [[ ${words[-2]} == --environment ]]; then\n"
		      "\t\toffer=$(_pyro_environments)\n"
		      "\telif [[ $valued == *\" ${words[-2]} \"* ]]; then\n"
		      "\t\toffer=''\n"
		      "\telif ((environments)) && [[ $cur != -* ]]; then\n"
		      "\t\toffer+=\" $(_pyro_environments)\"\n\tfi\n"
		      "\tmapfile -t COMPREPLY < <(compgen -W \"$offer\" -- \"$cur\")\n"
		      "\t# bash takes the colon of debian:12 for the end of a word.\n"
		      "\tif [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
		      "\t\tCOMPREPLY=(\"${COMPREPLY[@]#\"${cur%:*}:\"}\")\n\tfi\n}\n"
		      "complete -F _pyro pyro\n");
}

/* Text inside single quotes, as zsh and fish both read it: their quotes end before a '. */
static void quoted(struct buf *out, const char *text, const char *quote)
{
	for (; *text; text++)
		if (*text == '\'')
			buf_puts(out, quote);
		else
			buf_append(out, text, 1);
}

static void zsh_word(struct buf *out, const char *word, const char *text)
{
	buf_printf(out, " '%s:", word);
	quoted(out, text, "'\\''");
	buf_puts(out, "'");
}

static void zsh_option(struct buf *out, const struct command_option *option)
{
	zsh_word(out, option->name, option->text);
}

static void zsh_case(const struct paths *paths, const char *path, struct buf *out)
{
	buf_printf(out, "\t('%s')\n\t\toffer=(", path);
	for (size_t i = 0; i < paths->n; i++)
		if (is_child(paths->v[i], path))
			zsh_word(out, last_word(paths->v[i]), summary_of(paths->v[i]));
	if (is_shells(path))
		buf_puts(out, " bash zsh fish");
	buf_puts(out, " )\n\t\toptions=(");
	each_option(path, zsh_option, out);
	buf_puts(out, " )\n");
	if (takes_environment(command_of(path), POS))
		buf_puts(out, "\t\tenvironments=1\n");
	if (takes_file(command_of(path)))
		buf_puts(out, "\t\tfiles=1\n");
	buf_puts(out, "\t\t;;\n");
}

static void zsh(const struct paths *paths, struct buf *out)
{
	buf_puts(out, "#compdef pyro\n# zsh completion for pyro; made by: pyro completion zsh\n"
		      "_pyro_environments()\n{\n"
		      "\tlocal -a names\n"
		      "\tnames=(${(f)\"$(pyro env list 2>/dev/null | sed -n '2,$s/ .*//p')\"})\n"
		      "\tcompadd -a names\n}\n\n"
		      "_pyro()\n{\n"
		      "\tlocal word cmd='' environments=0 files=0\n\tlocal -a offer options\n"
		      "\tfor word in ${words[2,CURRENT-1]}; do\n"
		      "\t\tif [[ $word == -- ]]; then\n\t\t\t_files\n\t\t\treturn\n\t\tfi\n"
		      "\t\tcase \"${cmd:+$cmd }$word\" in\n\t\t(");
	path_pattern(paths, "|", out);
	buf_puts(out, ")\n\t\t\tcmd=\"${cmd:+$cmd }$word\" ;;\n\t\tesac\n\tdone\n"
		      "\tcase $cmd in\n");
	for (size_t i = 0; i < paths->n; i++)
		zsh_case(paths, paths->v[i], out);
	buf_puts(out, "\tesac\n\tcase ${words[CURRENT-1]} in\n\t(");
	file_options(out);
	buf_puts(out, ")\n\t\tfiles=1 ;;\n\tesac\n"
		      "\tif ((files)) && [[ ${words[CURRENT]} != -* ]]; then\n"
		      "\t\t_files\n\t\treturn\n\tfi\n"
		      "\tif [[ ${words[CURRENT-1]} == --environment ]]; then\n"
		      "\t\t_pyro_environments\n\t\treturn\n\tfi\n"
		      "\t((environments)) && [[ ${words[CURRENT]} != -* ]] && _pyro_environments\n"
		      "\t(($#offer)) && _describe -t commands command offer\n"
		      "\t_describe -o -t options option options\n}\n\n"
		      "if [[ $funcstack[1] == _pyro ]]; then\n\t_pyro \"$@\"\nelse\n"
		      "\tcompdef _pyro pyro\nfi\n");
}

static void fish_option(struct buf *out, const struct command_option *option)
{
	const char *name = option->name + strspn(option->name, "-");

	buf_printf(out, " -%c %s%s -d '", option->name[1] == '-' ? 'l' : 's', name,
		   option_takes_file(option) ? " -r -F"
		   : option->metavar         ? " -x"
					     : "");
	quoted(out, option->text, "\\'");
	buf_puts(out, "'\n");
}

/* each_option() prints one line an option, so the condition goes before each of them. */
static void fish_options(const char *path, struct buf *out)
{
	AUTO_BUF struct buf lines = BUF_INIT(64 * 1024);
	const char *line;

	each_option(path, fish_option, &lines);
	for (line = buf_text(&lines); *line; line += strcspn(line, "\n") + 1) {
		buf_printf(out, "complete -c pyro -n '__pyro_at \"%s\"'", path);
		buf_append(out, line, strcspn(line, "\n") + 1);
	}
}

static void fish_path(const struct paths *paths, const char *path, struct buf *out)
{
	for (size_t i = 0; i < paths->n; i++) {
		if (!is_child(paths->v[i], path))
			continue;
		buf_printf(out, "complete -c pyro -n '__pyro_at \"%s\"' -a '%s' -d '", path,
			   last_word(paths->v[i]));
		quoted(out, summary_of(paths->v[i]), "\\'");
		buf_puts(out, "'\n");
	}
	if (is_shells(path))
		buf_printf(out, "complete -c pyro -n '__pyro_at \"%s\"' -a 'bash zsh fish'\n",
			   path);
	if (takes_environment(command_of(path), POS))
		buf_printf(out,
			   "complete -c pyro -n '__pyro_at \"%s\"' -a '(__pyro_environments)'\n",
			   path);
	if (takes_file(command_of(path)))
		buf_printf(out, "complete -c pyro -n '__pyro_at \"%s\"' -F\n", path);
	if (takes_environment(command_of(path), 0))
		buf_printf(out,
			   "complete -c pyro -n '__pyro_at \"%s\"' -l environment -x "
			   "-a '(__pyro_environments)'\n",
			   path);
	fish_options(path, out);
}

static void fish(const struct paths *paths, struct buf *out)
{
	buf_puts(out, "# fish completion for pyro; made by: pyro completion fish\n"
		      "function __pyro_environments\n"
		      "\tpyro env list 2>/dev/null | sed -n '2,$s/ .*//p'\nend\n\n"
		      "function __pyro_at\n"
		      "\tset -l known ");
	path_pattern(paths, " ", out);
	buf_puts(out, "\n\tset -l path ''\n"
		      "\tset -l tokens (commandline -opc)\n"
		      "\tfor word in $tokens[2..-1]\n"
		      "\t\ttest \"$word\" = --; and return 1\n"
		      "\t\tset -l longer (string trim -- \"$path $word\")\n"
		      "\t\tcontains -- \"$longer\" $known; and set path $longer\n"
		      "\tend\n"
		      "\ttest \"$path\" = \"$argv[1]\"\nend\n\n"
		      "function __pyro_behind\n"
		      "\tcontains -- -- (commandline -opc)\nend\n\n"
		      "complete -c pyro -n 'not __pyro_behind' -f\n");
	for (size_t i = 0; i < paths->n; i++)
		fish_path(paths, paths->v[i], out);
}

int completion_script(const char *shell, struct buf *out)
{
	struct paths paths;

	collect(&paths);
	if (strcmp(shell, "bash") == 0)
		bash(&paths, out);
	else if (strcmp(shell, "zsh") == 0)
		zsh(&paths, out);
	else if (strcmp(shell, "fish") == 0)
		fish(&paths, out);
	else
		return -1;
	return 0;
}
