# bash completion for pyro; made by: pyro completion bash
_pyro_environments()
{
	pyro env list 2>/dev/null | sed -n '2,$s/ .*//p'
}

_pyro()
{
	local -a words
	local line=${COMP_LINE:0:COMP_POINT} cur path='' word offer='' environments=0 files=0
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=('')
	cur=${words[-1]}
	for word in "${words[@]:1:${#words[@]}-2}"; do
		if [[ $word == -- ]]; then
			compopt -o default
			COMPREPLY=()
			return
		fi
		case "${path:+$path }$word" in
		'env' | 'env list' | 'env pull' | 'env inspect' | 'env prune' | 'run' | 'vm' | 'vm create' | 'vm start' | 'vm exec' | 'vm stop' | 'vm delete' | 'vm status' | 'vm list' | 'vm network-info' | 'vm reap-expired' | 'workspace' | 'workspace create' | 'workspace list' | 'workspace update' | 'workspace status' | 'workspace summary' | 'workspace logs' | 'workspace start' | 'workspace stop' | 'workspace delete' | 'workspace reset' | 'workspace exec' | 'workspace wait' | 'workspace cancel' | 'workspace diff' | 'workspace export' | 'workspace sync' | 'workspace sync push' | 'workspace file' | 'workspace file list' | 'workspace file read' | 'workspace file write' | 'workspace patch' | 'workspace patch apply' | 'workspace snapshot' | 'workspace snapshot create' | 'workspace snapshot list' | 'workspace snapshot delete' | 'workspace shell' | 'workspace shell open' | 'workspace shell list' | 'workspace shell attach' | 'workspace shell read' | 'workspace shell write' | 'workspace shell signal' | 'workspace shell close' | 'workspace service' | 'workspace service start' | 'workspace service list' | 'workspace service status' | 'workspace service logs' | 'workspace service stop' | 'workspace disk' | 'workspace disk export' | 'workspace disk list' | 'workspace disk read' | 'mcp' | 'mcp serve' | 'host' | 'host connect' | 'host print-config' | 'host doctor' | 'host repair' | 'prepare' | 'doctor' | 'demo' | 'demo ollama' | 'completion' | 'help' | 'version')
			path="${path:+$path }$word" ;;
		esac
	done
	case "$path" in
	'') offer='env run vm workspace mcp host prepare doctor demo completion help version  --version --help' ;;
	'env') offer='list pull inspect prune  --help' ;;
	'env list') offer=' --json --help' ;;
	'env pull') offer=' --json --help' environments=1 ;;
	'env inspect') offer=' --json --help' environments=1 ;;
	'env prune') offer=' --json --help' ;;
	'run') offer=' --vcpu-count --mem-mib --timeout-seconds --ttl-seconds --network --allow-host-compat --json --help' environments=1 ;;
	'vm') offer='create start exec stop delete status list network-info reap-expired  --help' ;;
	'vm create') offer=' --vcpu-count --mem-mib --ttl-seconds --network --allow-host-compat --json --help' environments=1 ;;
	'vm start') offer=' --json --help' ;;
	'vm exec') offer=' --timeout-seconds --json --help' ;;
	'vm stop') offer=' --json --help' ;;
	'vm delete') offer=' --json --help' ;;
	'vm status') offer=' --json --help' ;;
	'vm list') offer=' --json --help' ;;
	'vm network-info') offer=' --json --help' ;;
	'vm reap-expired') offer=' --json --help' ;;
	'workspace') offer='create list update status summary logs start stop delete reset exec wait cancel diff export sync file patch snapshot shell service disk  --help' ;;
	'workspace create') offer=' --seed-path --name --label --vcpu-count --mem-mib --ttl-seconds --network-policy --allow-host-compat --secret --secret-file --id-only --json --help' environments=1 ;;
	'workspace list') offer=' --json --help' ;;
	'workspace update') offer=' --name --clear-name --label --clear-label --ttl-seconds --json --help' ;;
	'workspace status') offer=' --json --help' ;;
	'workspace summary') offer=' --json --help' ;;
	'workspace logs') offer=' --sequence --offset --max-bytes --json --help' ;;
	'workspace start') offer=' --json --help' ;;
	'workspace stop') offer=' --json --help' ;;
	'workspace delete') offer=' --json --help' ;;
	'workspace reset') offer=' --snapshot --json --help' ;;
	'workspace exec') offer=' --timeout-seconds --wait-seconds --secret-env --json --help' ;;
	'workspace wait') offer=' --wait-seconds --json --help' ;;
	'workspace cancel') offer=' --json --help' ;;
	'workspace diff') offer=' --json --help' ;;
	'workspace export') offer=' --output --json --help' ;;
	'workspace sync') offer='push  --help' ;;
	'workspace sync push') offer=' --dest --json --help' files=1 ;;
	'workspace file') offer='list read write  --help' ;;
	'workspace file list') offer=' --recursive --json --help' ;;
	'workspace file read') offer=' --offset --max-bytes --content-only --json --help' ;;
	'workspace file write') offer=' --text --text-file --json --help' ;;
	'workspace patch') offer='apply  --help' ;;
	'workspace patch apply') offer=' --patch --patch-file --json --help' ;;
	'workspace snapshot') offer='create list delete  --help' ;;
	'workspace snapshot create') offer=' --json --help' ;;
	'workspace snapshot list') offer=' --json --help' ;;
	'workspace snapshot delete') offer=' --json --help' ;;
	'workspace shell') offer='open list attach read write signal close  --help' ;;
	'workspace shell open') offer=' --cwd --cols --rows --secret-env --id-only --json --help' ;;
	'workspace shell list') offer=' --json --help' ;;
	'workspace shell attach') offer=' --json --help' ;;
	'workspace shell read') offer=' --cursor --max-chars --plain --wait-for-idle-ms --json --help' ;;
	'workspace shell write') offer=' --input --no-newline --json --help' ;;
	'workspace shell signal') offer=' --signal --json --help' ;;
	'workspace shell close') offer=' --json --help' ;;
	'workspace service') offer='start list status logs stop  --help' ;;
	'workspace service start') offer=' --cwd --ready-file --ready-tcp --ready-http --ready-command --ready-timeout-seconds --ready-interval-ms --secret-env --publish --json --help' ;;
	'workspace service list') offer=' --json --help' ;;
	'workspace service status') offer=' --json --help' ;;
	'workspace service logs') offer=' --tail-lines --all --json --help' ;;
	'workspace service stop') offer=' --json --help' ;;
	'workspace disk') offer='export list read  --help' ;;
	'workspace disk export') offer=' --output --json --help' ;;
	'workspace disk list') offer=' --recursive --json --help' ;;
	'workspace disk read') offer=' --offset --max-bytes --content-only --json --help' ;;
	'mcp') offer='serve  --help' ;;
	'mcp serve') offer=' --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --help' ;;
	'host') offer='connect print-config doctor repair  --help' ;;
	'host connect') offer=' --installed-package --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --json --help' ;;
	'host print-config') offer=' --output --installed-package --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --json --help' ;;
	'host doctor') offer=' --installed-package --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --config-path --json --help' ;;
	'host repair') offer=' --installed-package --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --config-path --json --help' ;;
	'prepare') offer=' --network --force --json --help' environments=1 ;;
	'doctor') offer=' --platform --environment --json --help' ;;
	'demo') offer='ollama  --network --help' ;;
	'demo ollama') offer=' --base-url --model -v --json --help' ;;
	'completion') offer='bash zsh fish --help' ;;
	'help') offer=' --help' ;;
	'version') offer=' --help' ;;
	esac
	case ${words[-2]} in
	--seed-path|--output|--text-file|--patch-file|--project-path|--config-path)
		files=1 ;;
	esac
	if ((files)) && [[ $cur != -* ]]; then
		compopt -o default
		COMPREPLY=()
		return
	fi
	if [[ ${words[-2]} == --environment ]]; then
		offer=$(_pyro_environments)
	elif ((environments)) && [[ $cur != -* ]]; then
		offer+=" $(_pyro_environments)"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$offer" -- "$cur")
	# bash takes the colon of debian:12 for the end of a word.
	if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
		COMPREPLY=("${COMPREPLY[@]#"${cur%:*}:"}")
	fi
}
complete -F _pyro pyro
