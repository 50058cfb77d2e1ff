/*
 * Shells: terminal sessions that outlive a call.
 */
#include "api/workspace.h"

#include "base/err.h"

int pyro_open_shell(struct pyro *p, const struct pyro_open_shell_args *given,
		    struct pyro_shell *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_list_shells(struct pyro *p, const struct pyro_list_shells_args *given,
		     struct pyro_shell_list *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_attach_shell(struct pyro *p, const struct pyro_attach_shell_args *given,
		      struct pyro_shell *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_read_shell(struct pyro *p, const struct pyro_read_shell_args *given,
		    struct pyro_shell_read *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_write_shell(struct pyro *p, const struct pyro_write_shell_args *given,
		     struct pyro_shell_written *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_signal_shell(struct pyro *p, const struct pyro_signal_shell_args *given,
		      struct pyro_shell *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_close_shell(struct pyro *p, const struct pyro_close_shell_args *given,
		     struct pyro_shell *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}
