# fish completion for pyro; made by: pyro completion fish
function __pyro_complete
	set -l words (commandline -opc)
	set -l current (commandline -ct)
	set current (string unescape -- "$current")
	set -l pyro pyro
	if string match -q '*/*' -- $words[1]
		set pyro (string replace -r '^~/' "$HOME/" -- $words[1])
	end
	set -e words[1]
	set -l lines ($pyro __complete $words "$current" 2>/dev/null)
	if test "$lines[1]" = :files
		__fish_complete_path "$current"
	else
		string join \n -- $lines
	end
end
complete -c pyro -f -a '(__pyro_complete)'
