/*
 * trash: removes trees that somebody else made: of any depth, with any modes, holding no more than
 * two directories open.
 */
#ifndef BASE_TRASH_H
#define BASE_TRASH_H

struct pyro_error;

/* Removes `name`, one name, in the directory, whatever it is; missing is fine. */
int trash_remove(int dir_fd, const char *name, struct pyro_error *err);

#endif
