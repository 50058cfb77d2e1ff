/*
 * protocol: JSON-RPC and MCP messages: what a message asks, and the replies that need no work.
 *
 * Two eras of MCP are spoken, decided message by message, so that a host may probe with one and go
 * on with the other. Modern (2026-07-28): every request carries its version in _meta, and there is
 * no handshake. Legacy (2024-11-05 to 2025-11-25): initialize first; nothing is remembered of it.
 */
#ifndef MCP_PROTOCOL_H
#define MCP_PROTOCOL_H

#include <jansson.h>
#include <stdbool.h>

struct pyro_error;
struct setup;

enum protocol_code {
	PROTOCOL_PARSE = -32700,
	PROTOCOL_REQUEST = -32600,
	PROTOCOL_METHOD = -32601,
	PROTOCOL_PARAMS = -32602,
	PROTOCOL_VERSION = -32022,
};

/* Everything is borrowed from the message. */
struct request {
	json_t *id;         /* NULL: a notification, which is never answered */
	const char *method; /* NULL: nothing to do */
	json_t *params;     /* NULL: none */
	bool is_modern;
};

/* Reads one message. Returns NULL, or the reply to one that is malformed. */
json_t *protocol_read(const json_t *message, struct request *ret);

/* The reply to every request but tools/call. */
json_t *protocol_answer(const struct setup *setup, const struct request *request);

/* A reply with a result, which is taken. */
json_t *protocol_result(const struct request *request, json_t *result);
/* A reply that says what is wrong with a request. id: NULL where it is unknown. */
json_t *protocol_error(json_t *id, enum protocol_code code, const char *message);

/* The outcome of a tools/call: a record, as JSON (taken), or an error, for the model to read. */
json_t *protocol_outcome(const struct request *request, json_t *structured);
json_t *protocol_failure(const struct setup *setup, const struct request *request,
			 const struct pyro_error *error);

/* The request's progress token, or NULL. */
json_t *protocol_token(const struct request *request);
/* A notification that `progress`, which grows with every call, is reached. */
json_t *protocol_progress(const struct request *request, json_int_t progress, const char *message);

#endif
