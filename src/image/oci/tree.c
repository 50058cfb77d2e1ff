/*
 * Nodes are found by parent and name in one hash table. Nothing is freed before the whole tree is:
 * a node that is taken away is marked and leaves the table and its parent's list.
 *
 * A layer may be hostile: how many entries there are, how deep, and how many in one directory is
 * limited, and no entry costs more than its directory. Sweeping a directory of what lower layers
 * have is done once a layer: what comes later in the same layer is not lower.
 */
#include "image/oci/tree.h"

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRIES_MAX 2000000
#define DEPTH_MAX 256
#define LINKS_MAX 40
#define NAME_BYTES_MAX 255

struct node {
	struct node *parent;
	struct node *first;       /* child */
	struct node *next, *prev; /* siblings */
	struct node *chain;       /* of the hash table */
	struct node *all;
	struct tree_file *file; /* NULL: a directory that no entry describes */
	char *name;
	uint64_t hash;
	unsigned depth;
	unsigned layer;   /* the last that had it, or something below it */
	unsigned swept;   /* the last that cleared it */
	uint32_t version; /* changes with what it stands for */
};

/* What a node stood for once; it still does while it has that version. */
struct name {
	struct node *node;
	uint32_t version;
};

struct tree_file {
	struct name *names; /* every one that it ever got */
	size_t n_names;
	char *target;
	mode_t mode;
	struct tree_file *all;
};

struct layer {
	struct tree_file **files; /* by place */
	size_t n;
};

struct tree {
	struct node root;
	struct node **table;
	size_t table_size; /* a power of two */
	size_t n_nodes;
	size_t n_entries;
	struct node *nodes;
	struct tree_file *files;
	struct layer *layers; /* by number; 0 is not used */
	size_t n_layers;
};

struct tree *tree_new(void)
{
	struct tree *t = mem_zalloc(1, sizeof(*t));

	t->table_size = 1024;
	t->table = mem_zalloc(t->table_size, sizeof(struct node *));
	t->root.name = (char *)(uintptr_t) "";
	return t;
}

struct tree *tree_free(struct tree *t)
{
	for (struct node *n = t ? t->nodes : NULL, *next; n; n = next) {
		next = n->all;
		free(n->name);
		free(n);
	}
	for (struct tree_file *f = t ? t->files : NULL, *next; f; f = next) {
		next = f->all;
		free(f->names);
		free(f->target);
		free(f);
	}
	for (size_t i = 0; t && i < t->n_layers; i++)
		free(t->layers[i].files);
	if (t) {
		free(t->layers);
		free(t->table);
	}
	free(t);
	return NULL;
}

static int refuse(struct pyro_error *err, const char *path, const char *why)
{
	return err_set(err, PYRO_E_INVALID, "a layer of the image has '%.200s', which %s", path,
		       why);
}

static int too_much(struct pyro_error *err)
{
	return err_set(err, PYRO_E_LIMIT, "the image has more than %d files", ENTRIES_MAX);
}

/* --- nodes ------------------------------------------------------------------------------ */

static bool is_dir(const struct node *n)
{
	return !n->file || S_ISDIR(n->file->mode);
}

/* FNV-1a, begun with where the parent is. */
static uint64_t hash_of(const struct node *parent, const char *name, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325U ^ (uint64_t)(uintptr_t)parent;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3U;
	return hash ^ hash >> 29;
}

static struct node *find(const struct tree *t, const struct node *parent, const char *name,
			 size_t len)
{
	uint64_t hash = hash_of(parent, name, len);
	struct node *n = t->table[hash & (t->table_size - 1)];

	while (n && (n->parent != parent || strncmp(n->name, name, len) != 0 || n->name[len]))
		n = n->chain;
	return n;
}

static void grow(struct tree *t)
{
	size_t size = t->table_size * 2;
	struct node **table = mem_zalloc(size, sizeof(struct node *));

	for (size_t i = 0; i < t->table_size; i++)
		for (struct node *n = t->table[i], *next; n; n = next) {
			next = n->chain;
			n->chain = table[n->hash & (size - 1)];
			table[n->hash & (size - 1)] = n;
		}
	free(t->table);
	t->table = table;
	t->table_size = size;
}

static struct node *make(struct tree *t, struct node *parent, const char *name, size_t len,
			 const char *given, struct pyro_error *err)
{
	struct node *n, **slot;

	if (len > NAME_BYTES_MAX || parent->depth >= DEPTH_MAX) {
		(void)refuse(err, given, "is too long or too deep");
		return NULL;
	}
	if (t->n_nodes >= ENTRIES_MAX) {
		(void)too_much(err);
		return NULL;
	}
	if (++t->n_nodes > t->table_size)
		grow(t);
	n = mem_zalloc(1, sizeof(*n));
	*n = (struct node){.parent = parent,
			   .name = mem_strndup(name, len),
			   .hash = hash_of(parent, name, len),
			   .depth = parent->depth + 1,
			   .next = parent->first,
			   .all = t->nodes};
	if (parent->first)
		parent->first->prev = n;
	t->nodes = parent->first = n;
	slot = &t->table[n->hash & (t->table_size - 1)];
	n->chain = *slot;
	*slot = n;
	return n;
}

static void take_away(struct tree *t, struct node *n)
{
	struct node **slot = &t->table[n->hash & (t->table_size - 1)];

	while (*slot != n)
		slot = &(*slot)->chain;
	*slot = n->chain;
	if (n->prev)
		n->prev->next = n->next;
	else
		n->parent->first = n->next;
	if (n->next)
		n->next->prev = n->prev;
	n->version++;
}

/* Takes away what is below a node and older than a layer; UINT_MAX: everything. */
static void sweep(struct tree *t, struct node *dir, unsigned layer)
{
	if (dir->swept == layer)
		return;
	dir->swept = layer;
	for (struct node *n = dir->first, *next; n; n = next) {
		next = n->next;
		sweep(t, n, layer);
		if (n->layer < layer && !n->first)
			take_away(t, n);
	}
}

/* --- paths ------------------------------------------------------------------------------ */

/* A walk along a path; a symbolic link puts its target before the rest. */
struct walk {
	struct node *at;
	char *path;
	size_t done; /* bytes of path */
	int n_links;
};

static int enter_link(struct tree *t, struct walk *w, const struct node *link, const char *given,
		      struct pyro_error *err)
{
	char *joined;

	if (++w->n_links > LINKS_MAX)
		return refuse(err, given, "leads through too many symbolic links");
	joined = mem_printf("%s/%s", link->file->target, w->path + w->done);
	if (strlen(joined) > 2 * PATH_MAX) {
		free(joined);
		return refuse(err, given, "leads through too long symbolic links");
	}
	if (*joined == '/')
		w->at = &t->root;
	free(w->path);
	w->path = joined;
	w->done = 0;
	return 0;
}

/* One step from w->at to a directory. *ret is NULL if it is not there and not to be made. */
static int step(struct tree *t, struct walk *w, const char *name, size_t len, unsigned make_layer,
		const char *given, struct pyro_error *err)
{
	struct node *n;

	if (len == 0 || (len == 1 && *name == '.'))
		return 0;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		w->at = w->at->parent ? w->at->parent : w->at; /* of a link: paths have none */
		return 0;
	}
	n = find(t, w->at, name, len);
	if (n && n->file && S_ISLNK(n->file->mode))
		return enter_link(t, w, n, given, err);
	if (n && !is_dir(n))
		return refuse(err, given, "leads through something that is not a directory");
	if (!n && make_layer)
		n = make(t, w->at, name, len, given, err);
	if (!n)
		return make_layer ? -1 : 1;
	if (make_layer)
		n->layer = make_layer;
	w->at = n;
	return 0;
}

/*
 * The directory that path lies in, and in *ret_name its last name, owned by the caller and "" for
 * the root itself. make_layer: missing directories are made, for this layer; 0: 1 is returned.
 */
static int walk(struct tree *t, const char *given, unsigned make_layer, struct node **ret_dir,
		char **ret_name, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_strdup(given);
	struct walk w = {.at = &t->root};
	size_t end = strlen(path), start;
	int r = 0;

	if (end >= PATH_MAX)
		return refuse(err, given, "has too long a name");
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (!p[2] || p[2] == '/'))
			return refuse(err, given, "leads upwards");
	while (end && (path[end - 1] == '/' ||
		       (path[end - 1] == '.' && (end == 1 || path[end - 2] == '/'))))
		path[--end] = '\0';
	for (start = end; start && path[start - 1] != '/'; start--)
		;
	*ret_name = mem_strdup(path + start);
	path[start] = '\0';
	w.path = TAKE_PTR(path);
	while (r == 0 && w.path[w.done]) {
		const char *name = w.path + w.done;
		size_t len = strcspn(name, "/");

		w.done += len + (name[len] == '/');
		r = step(t, &w, name, len, make_layer, given, err);
	}
	free(w.path);
	*ret_dir = w.at;
	return r;
}

/* The node at a path, symbolic links among its directories followed; NULL if there is none. */
static int look_up(struct tree *t, const char *path, struct node **ret, struct pyro_error *err)
{
	AUTO_FREE char *name = NULL;
	struct node *dir;
	int r = walk(t, path, 0, &dir, &name, err);

	*ret = r != 0 ? NULL : name && *name ? find(t, dir, name, strlen(name)) : &t->root;
	return r < 0 ? -1 : 0;
}

/* --- entries ---------------------------------------------------------------------------- */

/* Makes a name stand for a file. */
static int place_file(struct tree *t, const char *path, struct tree_file *file, unsigned layer,
		      struct pyro_error *err)
{
	AUTO_FREE char *name = NULL;
	struct node *dir, *n;

	if (walk(t, path, layer, &dir, &name, err) < 0)
		return -1;
	n = name && *name ? find(t, dir, name, strlen(name)) : &t->root;
	if (n == &t->root && !S_ISDIR(file->mode))
		return refuse(err, path, "replaces the root");
	if (!n && !(n = make(t, dir, name, strlen(name), path, err)))
		return -1;
	if (!S_ISDIR(file->mode))
		sweep(t, n, UINT_MAX);
	n->swept = n->swept == UINT_MAX ? 0 : n->swept;
	n->layer = layer;
	if (n->file == file)
		return 0;
	n->file = file;
	n->version++;
	if ((file->n_names & (file->n_names - 1)) == 0)
		file->names = mem_resize(file->names, file->n_names ? file->n_names * 2 : 1,
					 sizeof(*file->names));
	file->names[file->n_names++] = (struct name){n, n->version};
	return 0;
}

static struct tree_file *make_file(struct tree *t, unsigned layer, uint32_t place)
{
	struct tree_file *file = mem_zalloc(1, sizeof(*file));
	struct layer *l;

	while (t->n_layers <= layer) {
		t->layers = mem_resize(t->layers, t->n_layers + 1, sizeof(*t->layers));
		t->layers[t->n_layers++] = (struct layer){NULL};
	}
	l = &t->layers[layer];
	while (l->n <= place) {
		if ((l->n & (l->n - 1)) == 0)
			l->files = mem_resize(l->files, l->n ? l->n * 2 : 1,
					      sizeof(struct tree_file *));
		l->files[l->n++] = NULL;
	}
	l->files[place] = file;
	file->all = t->files;
	t->files = file;
	return file;
}

int tree_add(struct tree *t, const char *path, mode_t mode, const char *target, unsigned layer,
	     uint32_t place, struct pyro_error *err)
{
	struct tree_file *file;

	if (++t->n_entries > ENTRIES_MAX)
		return too_much(err);
	if (S_ISLNK(mode) && (!target || !*target || strlen(target) >= PATH_MAX))
		return refuse(err, path, "is a symbolic link to an impossible target");
	file = make_file(t, layer, place);
	file->mode = mode;
	file->target = S_ISLNK(mode) ? mem_strdup(target) : NULL;
	return place_file(t, path, file, layer, err);
}

int tree_link(struct tree *t, const char *path, const char *existing, unsigned layer,
	      struct pyro_error *err)
{
	struct node *n;

	if (++t->n_entries > ENTRIES_MAX)
		return too_much(err);
	if (look_up(t, existing, &n, err) < 0)
		return -1;
	if (!n || is_dir(n))
		return refuse(err, path, "is a link to a file that is not there");
	return place_file(t, path, n->file, layer, err);
}

int tree_remove(struct tree *t, const char *path, unsigned layer, struct pyro_error *err)
{
	struct node *n;

	if (++t->n_entries > ENTRIES_MAX)
		return too_much(err);
	if (look_up(t, path, &n, err) < 0 || n == &t->root)
		return n == &t->root ? refuse(err, path, "removes the root") : -1;
	if (!n)
		return 0;
	sweep(t, n, layer);
	if (n->layer < layer && !n->first)
		take_away(t, n);
	return 0;
}

int tree_clear(struct tree *t, const char *path, unsigned layer, struct pyro_error *err)
{
	struct node *n;

	if (++t->n_entries > ENTRIES_MAX)
		return too_much(err);
	if (look_up(t, path, &n, err) < 0)
		return -1;
	if (n && is_dir(n))
		sweep(t, n, layer);
	return 0;
}

/* --- the result ------------------------------------------------------------------------- */

const struct tree_file *tree_file_at(const struct tree *t, unsigned layer, uint32_t place)
{
	return layer < t->n_layers && place < t->layers[layer].n ? t->layers[layer].files[place]
								 : NULL;
}

static char *path_of(const struct node *n)
{
	char *path = mem_strdup(n->name);

	for (n = n->parent; n && n->parent; n = n->parent) {
		char *longer = mem_printf("%s/%s", n->name, path);

		free(path);
		path = longer;
	}
	return path;
}

char *tree_file_path(const struct tree_file *file, size_t *cursor)
{
	while (*cursor < file->n_names) {
		const struct name *name = &file->names[(*cursor)++];

		if (name->version == name->node->version)
			return path_of(name->node);
	}
	return NULL;
}

bool tree_has(const struct tree *t, const char *name)
{
	return find(t, &t->root, name, strlen(name));
}
