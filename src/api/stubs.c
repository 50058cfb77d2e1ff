/* Stands in for libpyro until it is written. */
#include "pyro.h"

#include "base/err.h"

struct pyro {
	int dummy;
};

struct pyro *pyro_new(void)
{
	return mem_zalloc(1, sizeof(struct pyro));
}

void pyro_free(struct pyro *p)
{
	mem__free_ptr(&p);
}

void pyro_observe(struct pyro *p, const struct pyro_observer *observer)
{
	(void)p, (void)observer;
}

void pyro_set_input(struct pyro *p, int fd)
{
	(void)p, (void)fd;
}

void pyro_cancel(struct pyro *p)
{
	(void)p;
}

/* clang-format off */
#define OP(op, cli, mcp, rec, ...) \
	int pyro_##op(struct pyro *p, const struct pyro_##op##_args *args, struct pyro_##rec *ret, \
		      struct pyro_error *err) \
	{ \
		(void)p, (void)args, (void)ret; \
		return err_set(err, PYRO_E_SYSTEM, "not there yet"); \
	}
#define IN(...)
#define EXAMPLE(...)
#define NEXT(...)
#define END(op)
#include "ops/ops.def"
