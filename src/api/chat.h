/*
 * chat: a conversation with a language model that may call tools, by OpenAI's chat completions,
 * which Ollama and many others have. The helper pyro-http talks to the server.
 */
#ifndef API_CHAT_H
#define API_CHAT_H

#include <jansson.h>
#include <stdbool.h>

struct pyro;
struct pyro_error;

struct chat {
	const char *base_url; /* "http://localhost:11434/v1" */
	const char *model;
	bool is_verbose;  /* payloads are told as phases */
	json_t *messages; /* an array: all that was said, to which chat_say() adds */
	json_t *tools;    /* an array */
};

/* Adds a message, taken. */
void chat_say(struct chat *chat, json_t *message);
/*
 * What the model says next, within 5 minutes. *ret_message is the
 * caller's: an object whose "content" is a string, null or missing, and whose "tool_calls" is an
 * array, null or missing. -1 with err: PYRO_E_UNREACHABLE where nobody listens, PYRO_E_NOT_FOUND
 * where there is no such model or no such service, PYRO_E_PROTOCOL where something else answers.
 */
int chat_ask(struct pyro *p, struct chat *chat, json_t **ret_message, struct pyro_error *err);

#endif
