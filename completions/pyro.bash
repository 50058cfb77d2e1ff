# bash completion for pyro; made by: pyro completion bash
_pyro_environments()
{
	pyro env list 2>/dev/null | sed -n '2,$s/ .*//p'
}

_pyro_workspaces()
{
	pyro workspace list 2>/dev/null | sed -n '2,${s/^- *//;s/ .*//p;}'
}

_pyro()
{
	local -a words
	local line=${COMP_LINE:0:COMP_POINT} cur path='' word offer='' valued='' environments=0 workspaces=0 files=0
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
	'') offer='env run vm workspace mcp host prepare doctor demo completion help version  --version --help' valued=' ' ;;
	'env') offer='list pull inspect prune  --help' valued=' ' ;;
	'env list') offer=' --json --help' valued=' ' ;;
	'env pull') offer=' --json --help' valued=' ' environments=1 ;;
	'env inspect') offer=' --json --help' valued=' ' environments=1 ;;
	'env prune') offer=' --json --help' valued=' ' ;;
	'run') offer=' --vcpu-count --mem-mib --timeout-seconds --ttl-seconds --network --allow-host-compat --json --help' valued=' --vcpu-count --mem-mib --timeout-seconds --ttl-seconds ' environments=1 ;;
	'vm') offer='create start exec stop delete status list network-info reap-expired  --help' valued=' ' ;;
	'vm create') offer=' --vcpu-count --mem-mib --ttl-seconds --network --allow-host-compat --json --help' valued=' --vcpu-count --mem-mib --ttl-seconds ' environments=1 ;;
	'vm start') offer=' --json --help' valued=' ' ;;
	'vm exec') offer=' --timeout-seconds --json --help' valued=' --timeout-seconds ' ;;
	'vm stop') offer=' --json --help' valued=' ' ;;
	'vm delete') offer=' --json --help' valued=' ' ;;
	'vm status') offer=' --json --help' valued=' ' ;;
	'vm list') offer=' --json --help' valued=' ' ;;
	'vm network-info') offer=' --json --help' valued=' ' ;;
	'vm reap-expired') offer=' --json --help' valued=' ' ;;
	'workspace') offer='create list update status summary logs start stop delete reset exec wait cancel diff export sync file patch snapshot shell service disk  --help' valued=' ' ;;
	'workspace create') offer=' --seed-path --name --label --vcpu-count --mem-mib --ttl-seconds --network-policy --allow-host-compat --secret --secret-file --id-only --json --help' valued=' --name --label --vcpu-count --mem-mib --ttl-seconds --network-policy --secret --secret-file ' environments=1 ;;
	'workspace list') offer=' --json --help' valued=' ' ;;
	'workspace update') offer=' --name --clear-name --label --clear-label --ttl-seconds --json --help' valued=' --name --label --clear-label --ttl-seconds ' workspaces=1 ;;
	'workspace status') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace summary') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace logs') offer=' --sequence --offset --max-bytes --json --help' valued=' --sequence --offset --max-bytes ' workspaces=1 ;;
	'workspace start') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace stop') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace delete') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace reset') offer=' --snapshot --json --help' valued=' --snapshot ' workspaces=1 ;;
	'workspace exec') offer=' --timeout-seconds --wait-seconds --secret-env --json --help' valued=' --timeout-seconds --wait-seconds --secret-env ' workspaces=1 ;;
	'workspace wait') offer=' --wait-seconds --json --help' valued=' --wait-seconds ' workspaces=1 ;;
	'workspace cancel') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace diff') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace export') offer=' --output --json --help' valued=' ' workspaces=1 ;;
	'workspace sync') offer='push  --help' valued=' ' ;;
	'workspace sync push') offer=' --dest --json --help' valued=' --dest ' workspaces=1 files=1 ;;
	'workspace file') offer='list read write  --help' valued=' ' ;;
	'workspace file list') offer=' --recursive --json --help' valued=' ' workspaces=1 ;;
	'workspace file read') offer=' --offset --max-bytes --content-only --json --help' valued=' --offset --max-bytes ' workspaces=1 ;;
	'workspace file write') offer=' --text --text-file --json --help' valued=' --text ' workspaces=1 ;;
	'workspace patch') offer='apply  --help' valued=' ' ;;
	'workspace patch apply') offer=' --patch --patch-file --json --help' valued=' --patch ' workspaces=1 ;;
	'workspace snapshot') offer='create list delete  --help' valued=' ' ;;
	'workspace snapshot create') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace snapshot list') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace snapshot delete') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace shell') offer='open list attach read write signal close  --help' valued=' ' ;;
	'workspace shell open') offer=' --cwd --cols --rows --secret-env --id-only --json --help' valued=' --cwd --cols --rows --secret-env ' workspaces=1 ;;
	'workspace shell list') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace shell attach') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace shell read') offer=' --cursor --max-chars --plain --wait-for-idle-ms --json --help' valued=' --cursor --max-chars --wait-for-idle-ms ' workspaces=1 ;;
	'workspace shell write') offer=' --input --no-newline --json --help' valued=' --input ' workspaces=1 ;;
	'workspace shell signal') offer=' --signal --json --help' valued=' --signal ' workspaces=1 ;;
	'workspace shell close') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace service') offer='start list status logs stop  --help' valued=' ' ;;
	'workspace service start') offer=' --cwd --ready-file --ready-tcp --ready-http --ready-command --ready-timeout-seconds --ready-interval-ms --secret-env --publish --json --help' valued=' --cwd --ready-file --ready-tcp --ready-http --ready-command --ready-timeout-seconds --ready-interval-ms --secret-env --publish ' workspaces=1 ;;
	'workspace service list') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace service status') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace service logs') offer=' --tail-lines --all --json --help' valued=' --tail-lines ' workspaces=1 ;;
	'workspace service stop') offer=' --json --help' valued=' ' workspaces=1 ;;
	'workspace disk') offer='export list read  --help' valued=' ' ;;
	'workspace disk export') offer=' --output --json --help' valued=' ' workspaces=1 ;;
	'workspace disk list') offer=' --recursive --json --help' valued=' ' workspaces=1 ;;
	'workspace disk read') offer=' --offset --max-bytes --content-only --json --help' valued=' --offset --max-bytes ' workspaces=1 ;;
	'mcp') offer='serve  --help' valued=' ' ;;
	'mcp serve') offer=' --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --help' valued=' --mode --profile --environment --repo-url --repo-ref ' ;;
	'host') offer='connect print-config doctor repair  --help' valued=' ' ;;
	'host connect') offer=' --installed-package --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --json --help' valued=' --mode --profile --environment --repo-url --repo-ref ' ;;
	'host print-config') offer=' --output --installed-package --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --json --help' valued=' --mode --profile --environment --repo-url --repo-ref ' ;;
	'host doctor') offer=' --installed-package --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --config-path --json --help' valued=' --mode --profile --environment --repo-url --repo-ref ' ;;
	'host repair') offer=' --installed-package --mode --profile --environment --project-path --repo-url --repo-ref --no-project-source --config-path --json --help' valued=' --mode --profile --environment --repo-url --repo-ref ' ;;
	'prepare') offer=' --network --force --json --help' valued=' ' environments=1 ;;
	'doctor') offer=' --platform --environment --json --help' valued=' --platform --environment ' ;;
	'demo') offer='ollama  --network --help' valued=' ' ;;
	'demo ollama') offer=' --base-url --model -v --json --help' valued=' --base-url --model ' ;;
	'completion') offer='bash zsh fish --help' valued=' ' ;;
	'help') offer=' --help' valued=' ' ;;
	'version') offer=' --help' valued=' ' ;;
	esac
	case ${words[-2]} in
	--seed-path|--output|--text-file|--patch-file|--project-path|--config-path)
		files=1 ;;
	esac
	if ((workspaces)) && [[ $cur != -* && ${words[*]:1:${#words[@]}-2} == "$path" ]]; then
		offer=$(_pyro_workspaces) files=0
	fi
	if ((files)) && [[ $cur != -* ]]; then
		compopt -o default
		COMPREPLY=()
		return
	fi
	if [[ ${words[-2]} == --environment ]]; then
		offer=$(_pyro_environments)
	elif [[ $valued == *" ${words[-2]} "* ]]; then
		offer=''
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
