/*
 * Whose home it is, for programs on the host; the agent, which is static, has no use for it.
 */
#ifndef BASE_HOME_H
#define BASE_HOME_H

/* The user's home directory, absolute: HOME, or what the system has; NULL. Owned by the caller. */
char *home_dir(void);

#endif
