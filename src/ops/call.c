#include "ops/ops.h"

#include "base/err.h"

int ops_call(enum op_id id, struct pyro *p, const void *args, void *ret, struct pyro_error *err)
{
	/* clang-format off */
	switch (id) {
#define OP(op, ...) case OP_##op: return pyro_##op(p, args, ret, err);
#include "ops/ops.def"
	case OP_COUNT:
		break;
	}
	/* clang-format on */
	return err_set(err, PYRO_E_INVALID, "no operation has the number %d", (int)id);
}
