/*
 * Runs a shell command in a started VM and leaves the VM as it is, which no command of pyro does
 * yet: `vm exec` owns what it runs in, and deletes it.
 *
 *	guest_exec VM_ID COMMAND		exit status: the command's, or 125
 */
#include "api/handle.h"
#include "api/remote.h"
#include "base/buf.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define KEPT (64 * 1024)
#define TIMEOUT_MS 60000

static int run(struct pyro *p, const char *vm_id, const char *command, struct pyro_error *err)
{
	struct remote_output output;
	json_t *result = NULL;
	struct remote *remote = NULL;
	int code = -1;

	capture_init(&output.out, KEPT);
	capture_init(&output.err, KEPT);
	if (handle_open(p, err) == 0)
		remote = remote_connect(p, vm_id, err);
	if (remote &&
	    remote_exec(remote, json_pack("{s:s, s:i}", "shell", command, "timeout_ms", TIMEOUT_MS),
			&output, &result, err) == 0) {
		AUTO_FREE char *out = capture_text(&output.out);

		code = (int)json_integer_value(json_object_get(result, "exit_code"));
		(void)fputs(out, stdout);
	}
	json_decref(result);
	(void)remote_free(remote);
	capture_done(&output.out);
	capture_done(&output.err);
	return code;
}

int main(int argc, char **argv)
{
	struct pyro_error err;
	struct pyro *p = pyro_new();
	int code;

	if (argc != 3 || !p)
		return 125;
	code = run(p, argv[1], argv[2], &err);
	if (code < 0) {
		(void)fprintf(stderr, "%s\n", err.message);
		code = 125;
	}
	pyro_free(p);
	return code;
}
