# bash completion for pyro; made by: pyro completion bash
_pyro()
{
	local -a words
	local line=${COMP_LINE:0:COMP_POINT} breaks=${COMP_WORDBREAKS//[!:=@]/} pyro=pyro cut='' i
	[[ $1 == */* ]] && pyro=${1/#\~\//"$HOME/"}
	# Without -r: what is escaped on the line belongs to its word.
	# shellcheck disable=SC2162
	read -a words <<<"$line"
	[[ $line == *[!\\][[:space:]] ]] && words+=('')
	mapfile -t COMPREPLY < <("$pyro" __complete "${words[@]:1}" 2>/dev/null)
	if [[ ${COMPREPLY[0]-} == :files ]]; then
		compopt -o default
		COMPREPLY=()
		return
	fi
	[[ $breaks ]] && cut=${words[-1]%"${words[-1]##*[$breaks]}"}
	for i in "${!COMPREPLY[@]}"; do
		line=${COMPREPLY[i]%%$'\t'*}
		printf -v 'COMPREPLY[i]' %q "${line#"$cut"}"
	done
}
complete -F _pyro pyro
