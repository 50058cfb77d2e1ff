/*
 * words: what pyro says to people, said to a model.
 */
#ifndef MCP_WORDS_H
#define MCP_WORDS_H

struct profile;

/*
 * A text that names commands, as hints do, with the tools of the profile in their place, where it
 * has them: `pyro workspace reset ws-1` becomes `workspace_reset {"workspace_id": "ws-1"}`. Owned
 * by the caller.
 */
char *words_for_tools(const struct profile *profile, const char *text);

#endif
