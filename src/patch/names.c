/*
 * Git puts a prefix before names: a/ and b/, or i/, w/, c/, o/, 1/ and 2/ with mnemonics, or any
 * other two by option, or none; diff has the two folders that were compared. So two names that only
 * differ in their first part have a prefix, and two that are the same have none. A single name,
 * the other one being /dev/null, has one if it is one of git's.
 */
#include "patch/names.h"

#include "base/mem.h"
#include "patch/parse.h"
#include "patch/path.h"

#include <string.h>

/* Behind the first part; NULL if there is only one. */
static const char *tail(const char *name)
{
	const char *slash = strchr(name, '/');

	return slash && slash != name && slash[1] ? slash + 1 : NULL;
}

static bool has_git_prefix(const char *name)
{
	return *name && strchr("abiwco12", *name) && name[1] == '/';
}

static bool have_one_tail(const char *a, const char *b)
{
	const char *x = tail(a), *y = tail(b);

	return x && y && strcmp(x, y) == 0;
}

void names_set(struct parse_file *file, const char *name)
{
	for (size_t i = 0; i < file->n_names; i++)
		if (strcmp(file->names[i], name) == 0)
			return;
	if (file->n_names < PARSE_NAMES_MAX)
		file->names[file->n_names++] = mem_strdup(name);
}

static void add(struct parse_file *file, const char *name)
{
	if (name)
		names_set(file, name);
}

const char *names_of_git(struct parse_file *file, const char *old_name, const char *new_name)
{
	const char *one = old_name ? old_name : new_name;

	if (old_name && new_name && strcmp(old_name, new_name) == 0)
		names_set(file, old_name);
	else if (old_name && new_name && have_one_tail(old_name, new_name))
		names_set(file, tail(new_name));
	else if (old_name && new_name)
		return "the two names differ, and the patch does not say that it renames";
	else
		names_set(file, has_git_prefix(one) && tail(one) ? tail(one) : one);
	return NULL;
}

const char *names_of_plain(struct parse_file *file, const char *old_name, const char *new_name)
{
	const char *one = old_name ? old_name : new_name;
	const char *other = new_name ? new_name : old_name;

	if (!one)
		return "both names are /dev/null";
	if (!old_name || !new_name) {
		add(file, has_git_prefix(one) ? tail(one) : NULL);
		add(file, one);
		add(file, tail(one));
	} else if (strcmp(one, other) != 0 && have_one_tail(one, other)) {
		add(file, tail(other));
		add(file, other);
		add(file, one);
	} else {
		/* `diff -u x.orig x` and the like: the shorter one is the file. */
		bool is_other_first = strlen(other) <= strlen(one);

		add(file, is_other_first ? other : one);
		add(file, is_other_first ? one : other);
		add(file, tail(is_other_first ? other : one));
		add(file, tail(is_other_first ? one : other));
	}
	return NULL;
}

/* Where both sides are the same but for a prefix; an unquoted name may have spaces. */
static void cut_unquoted(const char *text, const char *end, char **ret_old, char **ret_new)
{
	for (const char *space = text; (space = memchr(space, ' ', (size_t)(end - space)));
	     space++) {
		AUTO_FREE char *a = mem_strndup(text, (size_t)(space - text));
		AUTO_FREE char *b = mem_strndup(space + 1, (size_t)(end - space - 1));

		if (strcmp(a, b) != 0 && !have_one_tail(a, b))
			continue;
		*ret_old = TAKE_PTR(a);
		*ret_new = TAKE_PTR(b);
		return;
	}
}

void names_cut(const char *text, const char *end, char **ret_old, char **ret_new)
{
	AUTO_FREE char *old_name = NULL, *new_name = NULL;

	*ret_old = *ret_new = NULL;
	if (text == end || end - text > 2 * PATH_LEN_MAX ||
	    memchr(text, '\0', (size_t)(end - text)))
		return;
	if (*text != '"') {
		cut_unquoted(text, end, ret_old, ret_new);
		return;
	}
	old_name = path_take(&text, end, ' ');
	if (old_name && text < end && *text++ == ' ')
		new_name = path_take(&text, end, '\n');
	if (!new_name)
		return;
	*ret_old = TAKE_PTR(old_name);
	*ret_new = TAKE_PTR(new_name);
}
