/*
 * Services: long-running processes of a workspace.
 */
#include "api/workspace.h"

#include "base/err.h"

int pyro_start_service(struct pyro *p, const struct pyro_start_service_args *given,
		       struct pyro_service *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_list_services(struct pyro *p, const struct pyro_list_services_args *given,
		       struct pyro_service_list *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_status_service(struct pyro *p, const struct pyro_status_service_args *given,
			struct pyro_service *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_logs_service(struct pyro *p, const struct pyro_logs_service_args *given,
		      struct pyro_service_logs *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}

int pyro_stop_service(struct pyro *p, const struct pyro_stop_service_args *given,
		      struct pyro_service *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this build");
}
