/*
 * roots: the directories that a client of the legacy era offers as its project. They are asked for
 * when a workspace is created that has no other source, once.
 */
#ifndef MCP_ROOTS_H
#define MCP_ROOTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct roots {
	bool are_offered;
	bool are_known;
	int64_t deadline; /* of an answer; 0: nobody was asked */
	char **paths;     /* NULL: none */
};

/* The client begins, with these parameters of initialize. */
void roots_offer(struct roots *r, const json_t *params);
/* What was known is so no longer. */
void roots_forget(struct roots *r);
/* Whether they could be had by waiting. */
bool roots_are_missing(const struct roots *r);
/* The request to the client, or NULL if it is on its way already. */
json_t *roots_ask(struct roots *r);
/* Takes the answer, if the message is it. */
bool roots_take(struct roots *r, const json_t *message);
/* Stops waiting for an answer whose time is over; when the next one's is, or DEADLINE_NONE. */
int64_t roots_mind_time(struct roots *r);
void roots_done(struct roots *r);

#endif
