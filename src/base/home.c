#include "base/home.h"

#include "base/mem.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#define PASSWD_MAX 16384

/* Not getpwuid(), whose result all threads of the program share. */
char *home_dir(void)
{
	const char *given = getenv("HOME");
	struct passwd user, *found = NULL;
	char room[PASSWD_MAX];

	if (given && *given == '/')
		return mem_strdup(given);
	if (getpwuid_r(geteuid(), &user, room, sizeof(room), &found) != 0 || !found)
		return NULL;
	return *found->pw_dir == '/' ? mem_strdup(found->pw_dir) : NULL;
}
