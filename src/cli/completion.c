#include "cli/completion.h"

#include "base/buf.h"

#include <string.h>

/*
 * bash takes the colon of debian:12 for the end of a word, and would put what is offered behind
 * it. A program that was typed as a path is that program: there may be several.
 */
static const char bash[] =
	"# bash completion for pyro; made by: pyro completion bash\n"
	"_pyro()\n"
	"{\n"
	"\tlocal -a words\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} breaks=${COMP_WORDBREAKS//[!:=@]/} pyro=pyro "
	"cut='' i\n"
	"\t[[ $1 == */* ]] && pyro=${1/#\\~\\//\"$HOME/\"}\n"
	"\t# Without -r: what is escaped on the line belongs to its word.\n"
	"\t# shellcheck disable=SC2162\n"
	"\tread -a words <<<\"$line\"\n"
	"\t[[ $line == *[!\\\\][[:space:]] ]] && words+=('')\n"
	"\tmapfile -t COMPREPLY < <(\"$pyro\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
	"\tif [[ ${COMPREPLY[0]-} == :files ]]; then\n"
	"\t\tcompopt -o default\n"
	"\t\tCOMPREPLY=()\n"
	"\t\treturn\n"
	"\tfi\n"
	"\t[[ $breaks ]] && cut=${words[-1]%\"${words[-1]##*[$breaks]}\"}\n"
	"\tfor i in \"${!COMPREPLY[@]}\"; do\n"
	"\t\tline=${COMPREPLY[i]%%$'\\t'*}\n"
	"\t\tprintf -v 'COMPREPLY[i]' %q \"${line#\"$cut\"}\"\n"
	"\tdone\n"
	"}\n"
	"complete -F _pyro pyro\n";

static const char zsh[] = "#compdef pyro\n"
			  "# zsh completion for pyro; made by: pyro completion zsh\n"
			  "_pyro()\n"
			  "{\n"
			  "\tlocal -a lines names shown\n"
			  "\tlocal pyro=pyro line\n"
			  "\t[[ $words[1] == */* ]] && pyro=${words[1]/#\\~\\//$HOME/}\n"
			  "\tlines=(${(f)\"$($pyro __complete \"${(@Q)words[2,CURRENT-1]}\" "
			  "\"${(Q)PREFIX}\" 2>/dev/null)\"})\n"
			  "\tif [[ $lines[1] == :files ]]; then\n"
			  "\t\tcompset -P '--*='\n"
			  "\t\t_files\n"
			  "\t\treturn\n"
			  "\tfi\n"
			  "\tfor line in $lines; do\n"
			  "\t\tnames+=(\"${line%%$'\\t'*}\")\n"
			  "\t\tshown+=(\"${line/$'\\t'/  -- }\")\n"
			  "\tdone\n"
			  "\tcompadd -l -d shown -a names\n"
			  "}\n"
			  "\n"
			  "if [[ $funcstack[1] == _pyro ]]; then\n"
			  "\t_pyro \"$@\"\n"
			  "else\n"
			  "\tcompdef _pyro pyro\n"
			  "fi\n";

static const char fish[] = "# fish completion for pyro; made by: pyro completion fish\n"
			   "function __pyro_complete\n"
			   "\tset -l words (commandline -opc)\n"
			   "\tset -l current (commandline -ct)\n"
			   "\tset current (string unescape -- \"$current\")\n"
			   "\tset -l pyro pyro\n"
			   "\tif string match -q '*/*' -- $words[1]\n"
			   "\t\tset pyro (string replace -r '^~/' \"$HOME/\" -- $words[1])\n"
			   "\tend\n"
			   "\tset -e words[1]\n"
			   "\tset -l lines ($pyro __complete $words \"$current\" 2>/dev/null)\n"
			   "\tif test \"$lines[1]\" = :files\n"
			   "\t\t__fish_complete_path \"$current\"\n"
			   "\telse\n"
			   "\t\tstring join \\n -- $lines\n"
			   "\tend\n"
			   "end\n"
			   "complete -c pyro -f -a '(__pyro_complete)'\n";

int completion_script(const char *shell, struct buf *out)
{
	if (strcmp(shell, "bash") == 0)
		buf_puts(out, bash);
	else if (strcmp(shell, "zsh") == 0)
		buf_puts(out, zsh);
	else if (strcmp(shell, "fish") == 0)
		buf_puts(out, fish);
	else
		return -1;
	return 0;
}
