/*
 * Memory and ownership: allocation that cannot fail, and variables that clean up after themselves.
 *
 * Sizes that somebody else chooses are bounded before they get here, so an allocation that fails
 * means that the machine has nothing left: the process says so and ends (see STYLE.md).
 *
 * An AUTO_ variable owns what it holds until its scope ends or TAKE() hands it on. Every such
 * variable is initialised where it is declared.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define NORETURN __attribute__((noreturn))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Zeroed memory for n elements of size bytes; never NULL. */
void *mem_zalloc(size_t n, size_t size);
/* realloc that never fails; n elements of size bytes. */
void *mem_resize(void *p, size_t n, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) PRINTF(1, 2);
char *mem_vprintf(const char *fmt, va_list ap) PRINTF(1, 0);
/* Says on stderr that memory is exhausted and ends the process. */
void mem_exhausted(void) NORETURN;

void mem__free_ptr(void *p);
void mem__close_fd(int *fd);
void mem__free_strv(char ***v);

#define AUTO_FREE __attribute__((cleanup(mem__free_ptr)))
#define AUTO_FD __attribute__((cleanup(mem__close_fd)))
#define AUTO_STRV __attribute__((cleanup(mem__free_strv)))

/* Hands the pointer (or whatever the type) on and leaves `none` behind. */
#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

/* Closes *fd if it is open and sets it to -1. errno is kept. */
void fd_close(int *fd);

/* NULL-terminated string vectors, every string and the vector itself owned. */
void strv_free(char **v);
char **strv_dup(const char *const *v);
size_t strv_len(const char *const *v);
bool strv_equal(char *const *a, char *const *b);

#endif
