/* One command in a fresh VM, which is gone afterwards. */
#include <pyro.h>

#include <stdio.h>

int main(void)
{
	const char *const command[] = {"git", "--version", NULL};
	const struct pyro_run_in_vm_args args = {.environment = "debian:12", .command = command};
	struct pyro *p = pyro_new();
	struct pyro_error err;
	struct pyro_run run;
	int status = 125;

	if (p && pyro_run_in_vm(p, &args, &run, &err) == 0) {
		fputs(run.stdout, stdout);
		fputs(run.stderr, stderr);
		status = (int)run.exit_code;
		pyro_run_done(&run);
	} else if (p) {
		fprintf(stderr, "%s\n%s\n", err.message, err.hint);
	}
	pyro_free(p);
	return status;
}
