/*
 * What the real agent does with a workspace: looks at it, changes it all or nothing, and copes with
 * trees that others have made to trip it.
 */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAR_DEVICE '3' /* in tar; 0:0 is a whiteout */

/*
 * Helpers.
 */

static struct run *in_root(struct agent *agent, const char *shell)
{
	return call(agent, "exec", json_pack("{s:s,s:s}", "shell", shell, "cwd", "/workspace"));
}

/* What a shell line in the workspace prints; it must do well. */
static const char *says(struct agent *agent, const char *shell)
{
	struct run *run = in_root(agent, shell);

	CHECK_STR(buf_text(&run->err), "");
	CHECK_INT(number(run, "exit_code"), 0);
	return buf_text(&run->out);
}

static struct run *scan(struct agent *agent, const char *path, bool is_recursive)
{
	return call(agent, "scan",
		    json_pack("{s:s,s:b}", "path", path, "recursive", (int)is_recursive));
}

static struct run *read_file(struct agent *agent, const char *path, int max_bytes)
{
	return call(agent, "read", json_pack("{s:s,s:i}", "path", path, "max_bytes", max_bytes));
}

static struct run *pack(struct agent *agent, const char *path)
{
	return call(agent, "pack", json_pack("{s:s}", "path", path));
}

static struct run *pack_names(struct agent *agent, const char *path, const char *names, size_t len)
{
	return call_with(agent, "pack", json_pack("{s:s,s:b}", "path", path, "names", 1), names,
			 len);
}

static struct run *put_bytes(struct agent *agent, const char *path, const char *data, size_t len)
{
	return call_with(agent, "put", json_pack("{s:s}", "path", path), data, len);
}

/* Appends one entry of a ustar archive, whose data is at most a block long. */
static void add_sized(struct buf *b, const char *name, char type, const char *target,
		      const char *data, mode_t mode)
{
	char h[512] = {0};
	unsigned sum = 0;

	(void)snprintf(h, 100, "%s", name);
	(void)snprintf(h + 100, 8, "%07o", mode);
	(void)snprintf(h + 108, 8, "%07o", getuid());
	(void)snprintf(h + 116, 8, "%07o", getgid());
	(void)snprintf(h + 124, 12, "%011o", (unsigned)strlen(data));
	(void)snprintf(h + 136, 12, "%011o", 1000000U);
	memset(h + 148, ' ', 8);
	h[156] = type;
	(void)snprintf(h + 157, 100, "%s", target);
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 7, "%06o", sum);
	buf_append(b, h, sizeof(h));
	memset(h, 0, sizeof(h));
	(void)snprintf(h, sizeof(h), "%s", data);
	if (*data)
		buf_append(b, h, sizeof(h));
}

static void add_entry(struct buf *b, const char *name, char type, const char *target,
		      const char *data)
{
	add_sized(b, name, type, target, data, type == '5' ? 0755 : 0644);
}

static void add_file(struct buf *b, const char *name, const char *data)
{
	add_entry(b, name, '0', "", data);
}

static void add_whiteout(struct buf *b, const char *name)
{
	add_entry(b, name, CHAR_DEVICE, "", "");
}

static void end_archive(struct buf *b)
{
	(void)memset(buf_room(b, 1024), 0, 1024);
	buf_grew(b, 1024);
}

static struct run *put(struct agent *agent, const char *path, struct buf *b)
{
	end_archive(b);
	return put_bytes(agent, path, b->data, b->len);
}

static void check_error(const struct run *run, const char *code, const char *message)
{
	CHECK_STR(code_of(run), code);
	CHECK_STR(message_of(run), message);
}

/* Nothing of a put is left beside the workspace but its lock. */
static void check_clean(struct agent *agent)
{
	CHECK_STR(buf_text(&sh(agent, "ls -A .pyro")->out), "lock\n");
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A scan as sorted lines "TYPE MODE SIZE PATH [-> TARGET]"; of directories without the size. */
static void check_lines(const struct run *run, const char *want)
{
	size_t n = (size_t)number(run, "entries"), i = 0;
	const char *at = buf_text(&run->out), *end = at + run->out.len;
	AUTO_STRV char **lines = mem_zalloc(n + 1, sizeof(*lines));
	AUTO_BUF struct buf all = BUF_INIT(64 * MIB);

	while (at < end && i < n) {
		char type, path[4096];
		unsigned mode;
		long long size, mtime, ctime;
		unsigned long long ino;
		int used = 0;

		CHECK_INT(sscanf(at, "%c %o %lld %lld %lld %llu %n", &type, &mode, &size, &mtime,
				 &ctime, &ino, &used),
			  6);
		CHECK(ctime > 1000000000LL * 1000000000LL && ino > 0);
		(void)snprintf(path, sizeof(path), "%s", at + used);
		at += strlen(at) + 1;
		CHECK(at < end);
		lines[i++] = mem_printf("%c %o %lld %s%s%s\n", type, mode, type == 'd' ? 0 : size,
					path, type == 'l' ? " -> " : "", at);
		at += strlen(at) + 1;
	}
	CHECK(at == end);
	CHECK_INT(i, n);
	qsort(lines, n, sizeof(*lines), compare_lines);
	for (i = 0; i < n; i++)
		buf_puts(&all, lines[i]);
	CHECK_STR(buf_text(&all), want);
}

static void be_root(const char *why)
{
	if (geteuid() != 0)
		test_skip("root", why);
}

/*
 * Looking.
 */

TEST("a scan names every entry with its type, mode, size and target")
{
	struct agent *agent = start_agent();
	struct run *run;

	(void)says(agent, "mkdir -p d/e; printf hello >d/f; chmod 640 d/f; chmod 1750 d/e; "
			  "ln -s ../nowhere d/l; mkfifo p; printf x >\"$(printf 'new\\nline')\"; "
			  "chmod 644 new*; chmod 600 p; chmod 755 d");
	run = scan(agent, "", true);
	check_lines(run, "d 1750 0 d/e\nd 755 0 d\nf 640 5 d/f\nf 644 1 new\nline\n"
			 "l 777 10 d/l -> ../nowhere\no 600 0 p\n");
	CHECK_INT(number(run, "too_long"), 0);
	check_lines(scan(agent, "/workspace/d/", true),
		    "d 1750 0 d/e\nf 640 5 d/f\nl 777 10 d/l -> ../nowhere\n");
	check_lines(scan(agent, "/workspace", false), "d 755 0 d\nf 644 1 new\nline\no 600 0 p\n");
	check_lines(scan(agent, "d/f", true), "f 640 5 d/f\n");
	check_lines(scan(agent, "d/../p", true), "o 600 0 p\n");
	check_lines(scan(agent, "d/e", true), "");
}

TEST("a scan tells times in nanoseconds, also those before the epoch")
{
	struct agent *agent = start_agent();
	struct run *run;

	(void)says(agent, "touch -d @1000000000.123456789 f");
	run = scan(agent, "", true);
	CHECK(strstr(buf_text(&run->out), " 0 1000000000123456789 "));
	(void)says(agent, "touch -d @-1.5 f");
	run = scan(agent, "", true);
	CHECK(strstr(buf_text(&run->out), " 0 -1500000000 "));
}

TEST("a link to a directory can be listed where it stays in the workspace, and is a link elsewhere")
{
	struct agent *agent = start_agent();

	(void)says(agent, "mkdir -p d/e; echo >d/e/f; ln -s d/e in; ln -s .. d/up; ln -s /etc out; "
			  "ln -s ../../secret gone; ln -s d/e/f file");
	check_lines(scan(agent, "in", true), "f 644 1 in/f\n");
	check_lines(scan(agent, "out", true), "l 777 4 out -> /etc\n");
	check_lines(scan(agent, "gone", true), "l 777 12 gone -> ../../secret\n");
	check_lines(scan(agent, "file", true), "l 777 5 file -> d/e/f\n");
	check_error(scan(agent, "out/passwd", true), "refused",
		    "path 'out/passwd' leaves '/workspace'");
	check_error(scan(agent, "none", true), "not_found", "'none' does not exist");
}

TEST("a scan gets through directories of any depth and counts what it cannot name")
{
	struct agent *agent = start_agent();
	struct run *run;

	(void)says(agent, "python3 -c \"import os\n"
			  "for i in range(10000):\n"
			  "    os.mkdir('d'); os.chdir('d')\n"
			  "    if i < 3: open('x' * 255, 'w').close()\"");
	run = scan(agent, "", true);
	CHECK_INT(number(run, "too_long"), 1);
	CHECK_INT(number(run, "entries"), 2048 + 3);
	check_error(pack(agent, ""), "limit_exceeded", "1 paths are too long to be sent");
}

TEST("read sends the beginning of a regular file, and of nothing else")
{
	struct agent *agent = start_agent();
	struct run *run;

	(void)says(agent, "printf 0123456789 >f; chmod 4751 f; mkdir d; mkfifo p; ln -s f l; "
			  "ln -s ../secret out; echo secret >../secret");
	run = read_file(agent, "/workspace/f", 4);
	CHECK_STR(buf_text(&run->out), "0123");
	CHECK_INT(number(run, "size"), 10);
	CHECK_INT(number(run, "mode"), 04751);
	CHECK_STR(buf_text(&read_file(agent, "f", 1000)->out), "0123456789");
	CHECK_STR(buf_text(&read_file(agent, "l", 1000)->out), "0123456789");
	CHECK_STR(buf_text(&read_file(agent, "f", 0)->out), "");
	check_error(read_file(agent, "d", 1), "invalid_argument", "'d' is a directory");
	check_error(read_file(agent, "", 1), "invalid_argument", "'/workspace' is a directory");
	check_error(read_file(agent, "p", 1), "invalid_argument", "'p' is not a regular file");
	check_error(read_file(agent, "out", 1), "refused", "path 'out' leaves '/workspace'");
	check_error(read_file(agent, "none/x", 1), "not_found", "'none/x' does not exist");
}

TEST("a path that leaves the workspace is refused by each call")
{
	static const char *const paths[] = {"..", "a/../../b", "/etc", "/workspace/../x",
					    "/workspaces"};
	struct agent *agent = start_agent();

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		AUTO_FREE char *message = mem_printf("path '%s' is not in '/workspace'", paths[i]);
		AUTO_BUF struct buf b = BUF_INIT(64 * 1024);

		check_error(scan(agent, paths[i], true), "refused", message);
		check_error(read_file(agent, paths[i], 1), "refused", message);
		check_error(pack(agent, paths[i]), "refused", message);
		check_error(put(agent, paths[i], &b), "refused", message);
	}
}

TEST("a workspace that is not a directory any more is refused by each call")
{
	static const char *const spoil[] = {"rm -r workspace", "ln -s /tmp workspace",
					    "rm workspace; echo >workspace"};
	struct agent *agent = start_agent();

	for (size_t i = 0; i < ARRAY_SIZE(spoil); i++) {
		AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
		struct run *runs[5];

		(void)sh(agent, spoil[i]);
		add_file(&b, "f", "x");
		runs[0] = scan(agent, "", true);
		runs[1] = read_file(agent, "f", 1);
		runs[2] = pack(agent, "f");
		runs[3] = put(agent, "", &b);
		runs[4] = in_root(agent, "true");
		for (size_t k = 0; k < ARRAY_SIZE(runs); k++) {
			json_t *error = json_object_get(runs[k]->result, "error");

			check_error(runs[k], "refused", "'/workspace' is not a directory any more");
			CHECK_STR(json_string_value(json_object_get(error, "hint")),
				  "reset the workspace");
		}
	}
}

TEST("commands run in the workspace, and below it")
{
	struct agent *agent = start_agent();
	AUTO_FREE char *want = mem_printf("%s/workspace/d\n", test_dir());
	struct run *run;

	(void)says(agent, "mkdir d");
	run = call(agent, "exec", json_pack("{s:s,s:s}", "shell", "pwd", "cwd", "/workspace/d"));
	CHECK_STR(buf_text(&run->out), want);
	run = call(agent, "exec", json_pack("{s:s,s:s}", "shell", "pwd", "cwd", "/workspace/e"));
	check_error(run, "not_found",
		    "working directory '/workspace/e': No such file or directory");
}

/*
 * Out and in.
 */

#define MAKE_TREE                                                                                \
	"mkdir -p tree/sub/empty tree/$(printf %0200d 1)/$(printf %0150d 2) && cd tree && "      \
	"echo hello >sub/file && chmod 640 sub/file && touch -d @1000000000.123456789 sub/file " \
	"&& "                                                                                    \
	"echo x >$(printf %0200d 1)/$(printf %0150d 2)/deep && ln -s ../nowhere sub/link && "    \
	"ln -s $(printf %0180d 3) sub/long && printf '#!/bin/sh\\n' >run && chmod 4755 run && "  \
	"echo a >\"$(printf 'bad\\377name')\" && echo b >'\xc3\xa4' && chmod 1777 sub/empty && " \
	"truncate -s 3M sparse && echo end >>sparse && truncate -s 5M hole && "                  \
	"touch -d @1 sub/empty sub . ; cd .."
#define LIST(dir) "(cd " dir " && find . -printf '%p %y %m %U %G %T@ %l\\n' | sort)"

TEST("a tree goes out as tar and comes back the same")
{
	struct agent *agent = start_agent();
	struct run *out, *in;

	(void)says(agent, MAKE_TREE);
	out = pack(agent, "tree");
	CHECK_STR(code_of(out), "");
	CHECK_INT(number(out, "entries"), 14);
	CHECK(out->out_bytes < MIB); /* holes are not sent */
	in = put_bytes(agent, "made/new", out->out.data, out->out.len);
	CHECK_STR(code_of(in), "");
	CHECK_INT(number(in, "entries"), 14);
	CHECK_STR(says(agent, LIST("tree") " >../1; " LIST(
				      "made/new") " >../2; diff ../1 ../2 && "
						  "diff -r --no-dereference tree made/new && "
						  "wc -l <../1"),
		  "14\n");
	check_clean(agent);
}

TEST("archives of the tar program are unpacked, in each of its formats")
{
	static const char *const formats[] = {"gnu", "pax", "oldgnu"};
	struct agent *agent = start_agent();

	(void)says(agent, MAKE_TREE "; ln tree/run tree/sub/linked");
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		AUTO_FREE char *make = mem_printf("tar -S --format=%s -C tree -c .", formats[i]);
		struct run *tar = in_root(agent, make);

		CHECK_STR(code_of(put_bytes(agent, "copy", tar->out.data, tar->out.len)), "");
		CHECK_STR(says(agent, "diff -r --no-dereference tree copy && "
				      "stat -c '%h %a' copy/run && rm -r copy"),
			  "2 4755\n");
	}
}

TEST("one file goes out under its own name, and a link as a link")
{
	struct agent *agent = start_agent();
	struct run *run;

	(void)says(agent, "mkdir d; echo content >d/f; ln -s /etc/passwd d/l");
	run = pack(agent, "d/f");
	CHECK_INT(number(run, "entries"), 1);
	CHECK_INT(number(run, "bytes"), 8);
	(void)put_bytes(agent, "got", run->out.data, run->out.len);
	run = pack(agent, "d/l");
	(void)put_bytes(agent, "got", run->out.data, run->out.len);
	CHECK_STR(says(agent, "cat got/f; readlink got/l"), "content\n/etc/passwd\n");
	check_error(pack(agent, "none"), "not_found", "'none' does not exist");
}

TEST("a file that is nearly all hole goes out at once")
{
	struct agent *agent = start_agent();
	struct run *run;

	(void)says(agent, "truncate -s 4T big && echo end >> big");
	run = pack(agent, "big");
	CHECK(number(run, "bytes") == (4LL << 40) + 4);
	CHECK(run->out.len < 16 * 1024);
}

TEST("named entries go out in the order of their names, each by itself")
{
	static const char names[] = "b\0a/f\0none\0s/f\0a\0l\0";
	struct agent *agent = start_agent();
	AUTO_FREE char *path = mem_printf("%s/out.tar", test_dir());
	AUTO_BUF struct buf all = BUF_INIT(64 * 1024);
	struct run *run;

	(void)says(agent, "mkdir -p d/a; echo 1 >d/b; echo 2 >d/a/f; echo 3 >d/a/g; ln -s a d/s; "
			  "ln -s /etc d/l");
	buf_append(&all, names, sizeof(names) - 1);
	(void)memset(buf_room(&all, 10000), 'x', 10000); /* longer than any path */
	buf_grew(&all, 10000);
	buf_append(&all, "\0a/g\0", 5);
	run = pack_names(agent, "d", all.data, all.len);
	CHECK_STR(code_of(run), "");
	CHECK_INT(number(run, "entries"), 5);
	CHECK_INT(file_write_atomic(path, run->out.data, run->out.len, 0600, NULL), 0);
	CHECK_STR(says(agent, "tar tf ../out.tar"), "b\na/f\na/\nl\na/g\n");
	check_error(pack_names(agent, "d", "../x\0", 5), "refused",
		    "entry '../x' has a name with '..'");
}

/*
 * Changing.
 */

TEST("a put merges: directories that are there stay as they are, files are replaced")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
	struct run *run;

	(void)says(agent, "mkdir d; chmod 700 d; echo old >d/f; chmod 755 d/f; echo kept >d/k; "
			  "ln -s k d/l; mkfifo d/p");
	add_sized(&b, "d", '5', "", "", 0777);
	add_file(&b, "d/f", "new");
	add_file(&b, "d/l", "file");
	add_file(&b, "d/p", "file");
	add_sized(&b, "d/n", '5', "", "", 0711);
	add_file(&b, "d/n/x", "x");
	add_entry(&b, "d/link", '2', "/etc", "");
	run = put(agent, "", &b);
	CHECK_STR(code_of(run), "");
	CHECK_INT(number(run, "entries"), 7);
	CHECK_INT(number(run, "bytes"), 12);
	CHECK_INT(number(run, "created"), 2);
	CHECK_INT(number(run, "replaced"), 3);
	CHECK_INT(number(run, "removed"), 0);
	CHECK_STR(says(agent, "find d -printf '%p %y %m %l\\n' | sort; cat d/f d/k d/l d/p; "
			      "stat -c %Y d/n d/f"),
		  "d d 700 \nd/f f 644 \nd/k f 644 \nd/l f 644 \nd/link l 777 /etc\nd/n d 711 \n"
		  "d/n/x f 644 \nd/p f 644 \nnewkept\nfilefile1000000\n1000000\n");
	check_clean(agent);
}

TEST("a put can leave the modes of files as they were")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);

	(void)says(agent, "echo old >f; chmod 751 f");
	add_file(&b, "f", "new");
	add_file(&b, "g", "new");
	end_archive(&b);
	CHECK_STR(code_of(call_with(agent, "put",
				    json_pack("{s:s,s:b}", "path", "", "keep_modes", 1), b.data,
				    b.len)),
		  "");
	CHECK_STR(says(agent, "cat f; stat -c %a f g"), "new751\n644\n");
}

TEST("a directory takes the place of a file and the reverse")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
	struct run *run;

	(void)says(agent, "mkdir -p a/b; echo x >f; mkdir t; ln -s t l");
	add_file(&b, "a", "file");
	add_entry(&b, "f", '5', "", "");
	add_file(&b, "f/g", "g");
	add_entry(&b, "l", '5', "", "");
	add_file(&b, "l/g", "g");
	run = put(agent, "/workspace", &b);
	CHECK_STR(code_of(run), "");
	CHECK_INT(number(run, "replaced"), 1);
	CHECK_INT(number(run, "removed"), 2);
	CHECK_INT(number(run, "created"), 2);
	CHECK_STR(says(agent, "cat a f/g l/g; find . -printf '%P %y\\n' | sort"),
		  "filegg d\na f\nf d\nf/g f\nl d\nl/g f\nt d\n");
	check_clean(agent);
}

TEST("whiteouts remove files, links and trees, before anything is added")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
	struct run *run;

	(void)says(agent, "mkdir -p d/e k; echo x >d/e/f; echo x >f; ln -s d l; echo x >k/f; "
			  "echo y >k/g");
	add_file(&b, "d/new", "new");
	add_whiteout(&b, "d");
	add_whiteout(&b, "d/e/f");
	add_whiteout(&b, "f");
	add_whiteout(&b, "l");
	add_whiteout(&b, "k/f");
	add_whiteout(&b, "none/x");
	add_whiteout(&b, "k/g/x");
	add_whiteout(&b, "f");
	run = put(agent, "", &b);
	CHECK_STR(code_of(run), "");
	CHECK_INT(number(run, "removed"), 4);
	CHECK_INT(number(run, "created"), 1);
	CHECK_STR(says(agent, "find . -printf '%P %y\\n' | sort"),
		  " d\nd d\nd/new f\nk d\nk/g f\n");
	check_clean(agent);
}

TEST("a tree that is deeper than any path is removed")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);

	(void)says(agent, "mkdir d; cd d; python3 -c \"import os\n"
			  "for i in range(5000):\n"
			  "    open('f', 'w').close(); os.mkdir('trash-0'); os.mkdir('e')\n"
			  "    os.chdir('trash-0')\"");
	add_whiteout(&b, "d");
	CHECK_INT(number(put(agent, "", &b), "removed"), 1);
	CHECK_STR(says(agent, "ls -A"), "");
	check_clean(agent);
}

TEST("a put into what is missing makes it, with its parents")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);

	add_file(&b, "x/y/f", "1");
	CHECK_STR(code_of(put(agent, "a/b/c", &b)), "");
	CHECK_STR(says(agent, "umask; cat a/b/c/x/y/f; stat -c %a a a/b/c a/b/c/x"),
		  "0022\n1755\n755\n755\n");
	buf_reset(&b);
	CHECK_STR(code_of(put(agent, "e/f", &b)), "");
	CHECK_STR(says(agent, "stat -c %F e/f"), "directory\n");
}

TEST("of a name that comes twice in an archive the last one counts")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
	struct run *run;

	add_file(&b, "f", "first and long");
	add_file(&b, "f", "2");
	add_entry(&b, "g", '2', "f", "");
	add_entry(&b, "g", '5', "", "");
	add_file(&b, "g/x", "x");
	add_file(&b, "h", "h");
	add_entry(&b, "h", '1', "f", "");
	run = put(agent, "", &b);
	CHECK_STR(code_of(run), "");
	CHECK_INT(number(run, "created"), 3);
	CHECK_STR(says(agent, "cat f g/x h"), "2x2");
}

/*
 * Refusals, and what is left after them: nothing.
 */

#define BEFORE "mkdir -p d/e; echo old >d/f; echo old >z; ln -s d l; ln -s ../secret s"
#define STATE "find . -printf '%P %y %m %i %l\\n' | sort; cat d/f z"

/* Sends the archive, which must be refused, and checks that the tree is the same as before. */
static void check_refused(struct agent *agent, const char *path, struct buf *b, const char *code,
			  const char *message)
{
	AUTO_FREE char *before = mem_strdup(says(agent, STATE));
	struct run *run = put(agent, path, b);

	CHECK_STR(code_of(run), code);
	if (!strstr(message_of(run), message))
		test_fail(__FILE__, __LINE__, "'%s' is not in '%s'", message, message_of(run));
	CHECK_STR(says(agent, STATE), before);
	check_clean(agent);
	buf_reset(b);
}

TEST("a file takes the place of a directory only if nothing in it stays")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);

	(void)says(agent, "mkdir -p a/b d/e; echo x >a/b/c; echo x >a/b/d; echo x >d/e/f; "
			  "echo x >d/f; echo x >z");
	add_file(&b, "a", "file");
	add_whiteout(&b, "a/b/c");
	check_refused(agent, "", &b, "refused", "'a' is a directory that holds 'a/b/d'");
	buf_reset(&b);
	add_file(&b, "a", "file");
	add_whiteout(&b, "a/b/c");
	add_whiteout(&b, "a/b/d");
	add_file(&b, "d", "file");
	add_whiteout(&b, "d/e");
	add_whiteout(&b, "d/f");
	CHECK_STR(code_of(put(agent, "", &b)), "");
	CHECK_STR(says(agent, "cat a d"), "filefile");
	check_clean(agent);
}

TEST("entries that would leave the destination, and devices, are refused by name")
{
	static const struct {
		const char *link; /* a symbolic link that comes before, to the outside */
		const char *name;
		char type;
		const char *target;
	} hostile[] = {
		{NULL, "../out", '0', ""},
		{NULL, "sub/../../out", '0', ""},
		{NULL, "/tmp/pyro-out", '0', ""},
		{"m", "m/out", '0', ""},
		{"m", "m/out", '5', ""},
		{NULL, "hard", '1', "../secret"},
		{NULL, "hard", '1', "/etc/passwd"},
		{"m", "hard", '1', "m/secret"},
		{NULL, "device", '4', ""},
		{NULL, "pipe", '6', ""},
		{NULL, "..", '3', ""},
		{NULL, ".", '3', ""},
		{NULL, ".", '0', ""},
	};
	struct agent *agent = start_agent();

	(void)says(agent, BEFORE "; mkdir ../outside; echo secret >../secret; "
				 "echo secret >../outside/secret");
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		AUTO_BUF struct buf b = BUF_INIT(64 * 1024);

		add_file(&b, "d/f", "new");
		if (hostile[i].link)
			add_entry(&b, hostile[i].link, '2', "../../outside", "");
		add_entry(&b, hostile[i].name, hostile[i].type, hostile[i].target,
			  hostile[i].type == '0' ? "evil" : "");
		check_refused(agent, i % 2 ? "" : "in", &b, "refused",
			      *hostile[i].name == '.' && !hostile[i].name[1] ? "the destination"
									     : hostile[i].name);
		CHECK_STR(buf_text(&sh(agent, "cat secret; ls outside; find . /tmp -maxdepth 1 "
					      "-name out -o -maxdepth 1 -name pyro-out")
					    ->out),
			  "secret\nsecret\n");
	}
}

TEST("parents that are links or files are refused by name")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);

	(void)says(agent, BEFORE);
	add_file(&b, "l/new", "x");
	check_refused(agent, "", &b, "refused", "'l' is a symbolic link, not a directory");
	add_file(&b, "new", "x");
	check_refused(agent, "l", &b, "refused", "'l' is a symbolic link, not a directory");
	add_entry(&b, ".", '5', "", "");
	check_refused(agent, "l", &b, "refused", "'l' is a symbolic link, not a directory");
	add_file(&b, "new", "x");
	check_refused(agent, "l/e", &b, "refused", "'l' is a symbolic link, not a directory");
	add_file(&b, "new", "x");
	check_refused(agent, "d/f", &b, "refused", "'d/f' is a file, not a directory");
	add_file(&b, "z/new", "x");
	check_refused(agent, "", &b, "refused", "'z' is a file, not a directory");
	add_whiteout(&b, "l/f");
	check_refused(agent, "", &b, "refused", "'l/f' goes through a symbolic link");
}

TEST("what is no archive, or a part of one, changes nothing")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
	struct run *run;

	(void)says(agent, BEFORE);
	buf_puts(&b, "not a tar archive at all");
	check_refused(agent, "", &b, "invalid_argument", "read 'the archive'");
	add_file(&b, "d/f", "new");
	add_file(&b, "z", "new");
	run = put_bytes(agent, "", b.data, b.len - 512);
	CHECK_STR(code_of(run), "invalid_argument");
	CHECK_STR(says(agent, "cat d/f z"), "old\nold\n");
	check_clean(agent);
	run = put_bytes(agent, "", b.data, b.len - 1024); /* of whole entries, but not all */
	check_error(run, "invalid_argument", "the archive has no end");
	CHECK_STR(says(agent, "cat d/f z"), "old\nold\n");
}

TEST("a put waits for its sender's word that all of the archive was sent well")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
	struct run *run = start(agent, "put", json_pack("{s:s}", "path", ""));

	add_file(&b, "f", "new");
	end_archive(&b);
	mux_send(run->call, MUX_IN, b.data, b.len);
	pause_ms(agent, 200);
	CHECK(!run->is_over);
	CHECK_STR(says(agent, "ls -A"), "");
	mux_send(run->call, MUX_IN, b.data + b.len - 512, 512);
	mux_send(run->call, MUX_IN, NULL, 0);
	finish(run);
	CHECK_INT(number(run, "created"), 1);
}

TEST("links of the tree that are in the way are replaced, not followed")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);

	(void)says(agent, "echo old >../kept; ln -s ../kept f; ln -s ../none g; chmod 600 ../kept");
	add_file(&b, "f", "new");
	add_file(&b, "g", "new");
	end_archive(&b);
	CHECK_STR(code_of(call_with(agent, "put",
				    json_pack("{s:s,s:b}", "path", "", "keep_modes", 1), b.data,
				    b.len)),
		  "");
	CHECK_STR(says(agent, "cat ../kept f g; stat -c '%F %a' f ../kept; ls .."),
		  "old\nnewnewregular file 644\nregular file 600\nkept\nworkspace\n");
}

/*
 * Faults.
 */

/* A small file system of its own for the agent's directory. */
static void mount_small(const char *at, const char *options)
{
	CHECK_INT(unshare(CLONE_NEWNS), 0);
	CHECK_INT(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	CHECK_INT(mount("tmpfs", at, "tmpfs", 0, options), 0);
}

TEST("a full disk is an error, and the tree is as before")
{
	AUTO_BUF struct buf b = BUF_INIT(4 * MIB);
	struct agent *agent;

	be_root("it mounts a small file system");
	mount_small(test_dir(), "size=1m");
	agent = start_agent();
	(void)says(agent, BEFORE);
	add_file(&b, "d/f", "new");
	for (int i = 0; i < 2000; i++) {
		AUTO_FREE char *name = mem_printf("d/many%d", i);

		add_file(&b, name, "x");
	}
	check_refused(agent, "", &b, "no_space", "d/many");
}

TEST("a merge that cannot go on in the middle goes back to the beginning")
{
	AUTO_FREE char *mounted = mem_printf("%s/workspace/z", test_dir());
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
	struct agent *agent;
	struct run *run;

	be_root("it mounts a file system in the workspace");
	agent = start_agent();
	(void)says(agent, "mkdir -p a z k; echo old >f; echo x >gone; ln -s k s; "
			  "echo x >k/f");
	run = sh(agent, "cd workspace && " LIST(".") " | grep -v '^[.] ' | tee ../before");
	CHECK_INT(number(run, "exit_code"), 0);
	pause_ms(agent, 10);
	CHECK_INT(unshare(CLONE_NEWNS), 0);
	CHECK_INT(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	CHECK_INT(mount("tmpfs", mounted, "tmpfs", 0, NULL), 0);
	agent = start_agent(); /* one that sees the mount */
	/* Every kind of step comes before the one that fails: renaming into another file system. */
	add_file(&b, "f", "new");
	add_file(&b, "a", "file");
	add_entry(&b, "s", '5', "", "");
	add_whiteout(&b, "gone");
	add_file(&b, "new/x/y", "1");
	add_file(&b, "k/f", "new");
	add_file(&b, "k/g", "new");
	add_file(&b, "z/fails", "1");
	run = put(agent, "", &b);
	check_error(run, "system_error", "put 'z/fails': Invalid cross-device link");
	CHECK_STR(says(agent, LIST(".") " | grep -v '^[.] ' | sed s,z,z, >../after; "
					"sed '/^[.].z /d; /^[.].k /d' ../before >../1; "
					"sed '/^[.].z /d; /^[.].k /d' ../after >../2; "
					"diff ../1 ../2 && wc -l <../1; cat f k/f"),
		  "5\nold\nx\n");
	check_clean(agent);
}

#define MANY 3000

/* An archive that replaces the content "old" of MANY files in m by "new". */
static void add_many(struct buf *b)
{
	for (int i = 0; i < MANY; i++) {
		AUTO_FREE char *name = mem_printf("m/%d", i);

		add_file(b, name, "new");
	}
	end_archive(b);
}

static const char *count_many(struct agent *agent)
{
	return says(agent, "cat m/* | sed 's/new/new\\n/g' | grep -v '^$' | sort | uniq -c | tr -s "
			   "' '");
}

#define MAKE_MANY "mkdir m; for i in $(seq 0 2999); do echo old >m/$i; done"
#define ALL_OLD " 3000 old\n"
#define ALL_NEW " 3000 new\n"

/* Lets the agent work until the plan of a put is on disk. */
static void await_plan(struct agent *agent)
{
	AUTO_FREE char *plan = mem_printf("%s/.pyro/put/plan", test_dir());
	int64_t deadline = deadline_in(PATIENCE_MS);

	while (access(plan, F_OK) < 0) {
		CHECK(deadline_left(deadline) > 0);
		pause_ms(agent, 1);
	}
}

TEST("a put whose process is killed in the middle is undone before its result comes")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * MIB);
	struct run *run;

	(void)says(agent, MAKE_MANY);
	add_many(&b);
	run = start_with(agent, "put", json_pack("{s:s}", "path", ""), b.data, b.len);
	await_plan(agent);
	mux_send(run->call, MUX_JSON, "{\"kill\":true}", 13);
	finish(run);
	CHECK_STR(count_many(agent), *code_of(run) ? ALL_OLD : ALL_NEW);
	check_clean(agent);
}

TEST("a put whose client goes away in the middle is undone")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * MIB);
	AUTO_BUF struct buf empty = BUF_INIT(4096);
	const char *state;
	struct run *run;

	(void)says(agent, MAKE_MANY);
	add_many(&b);
	run = start_with(agent, "put", json_pack("{s:s}", "path", ""), b.data, b.len);
	await_plan(agent);
	mux_cancel(run->call);
	CHECK_STR(code_of(put(agent, "", &empty)), ""); /* which waits for its turn */
	state = count_many(agent);
	CHECK(strcmp(state, ALL_OLD) == 0 || strcmp(state, ALL_NEW) == 0);
	check_clean(agent);
}

TEST("when the agent is killed during a put, the next one brings the tree back")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * MIB);
	int undone = 0;

	(void)says(agent, MAKE_MANY);
	add_many(&b);
	for (int i = 0; i < 5; i++) {
		const char *state;

		(void)start_with(agent, "put", json_pack("{s:s}", "path", ""), b.data, b.len);
		await_plan(agent);
		CHECK_INT(kill(agent->pid, SIGKILL), 0);
		agent = start_agent();
		state = count_many(agent);
		CHECK(strcmp(state, ALL_OLD) == 0 || strcmp(state, ALL_NEW) == 0);
		undone += strcmp(state, ALL_OLD) == 0;
		check_clean(agent);
		(void)says(agent, "rm -r m; " MAKE_MANY);
	}
	CHECK(undone > 0);
}

TEST("a put that is cancelled while it is sent leaves nothing")
{
	struct agent *agent = start_agent();
	AUTO_FREE char *children =
		mem_printf("/proc/%d/task/%d/children", (int)agent->pid, (int)agent->pid);
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
	struct run *run = start(agent, "put", json_pack("{s:s}", "path", ""));
	int64_t deadline = deadline_in(PATIENCE_MS);
	bool is_alone = false;

	add_file(&b, "f", "new");
	mux_send(run->call, MUX_IN, b.data, b.len);
	pause_ms(agent, 200);
	mux_cancel(run->call);
	while (!is_alone) {
		AUTO_BUF struct buf left = BUF_INIT(4096);

		CHECK(deadline_left(deadline) > 0);
		pause_ms(agent, 10);
		CHECK_INT(file_read(children, &left, NULL), 0);
		is_alone = !left.len;
	}
	CHECK_STR(says(agent, "ls -A"), "");
	check_clean(agent);
}

TEST("of two puts at once the second waits for the first")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf first = BUF_INIT(64 * 1024);
	AUTO_BUF struct buf second = BUF_INIT(64 * 1024);
	AUTO_FREE char *stage = mem_printf("%s/.pyro/put/new", test_dir());
	int64_t deadline = deadline_in(PATIENCE_MS);
	struct run *a = start(agent, "put", json_pack("{s:s}", "path", "")), *b;

	add_file(&first, "f", "first");
	add_file(&second, "f", "second");
	end_archive(&second);
	mux_send(a->call, MUX_IN, first.data, first.len);
	while (access(stage, F_OK) < 0 && deadline_left(deadline) > 0)
		pause_ms(agent, 1);
	b = start_with(agent, "put", json_pack("{s:s}", "path", ""), second.data, second.len);
	pause_ms(agent, 200);
	CHECK(!b->is_over);
	end_archive(&first);
	mux_send(a->call, MUX_IN, first.data + first.len - 1024, 1024);
	mux_send(a->call, MUX_IN, NULL, 0);
	finish(a);
	finish(b);
	CHECK_INT(number(a, "created"), 1);
	CHECK_INT(number(b, "replaced"), 1);
	CHECK_STR(says(agent, "cat f"), "second");
	check_clean(agent);
}

/* What a guest could leave where the plan of a put is looked for. */
TEST("a plan that is nonsense changes nothing outside of the workspace")
{
	struct agent *agent = start_agent();
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);

	(void)says(agent, "echo kept >../kept; echo x >f; ln -s .. up; mkdir -p ../.pyro/put/new "
			  "../.pyro/put/old; echo evil >../.pyro/put/old/0; cp ../.pyro/put/old/0 "
			  "../.pyro/put/old/1; mkdir ../.pyro/put/new/up; "
			  "printf '=../kept\\0-up/kept\\0+up/kept\\0x\\0+\\0\\0-..\\0=f' "
			  ">../.pyro/put/plan");
	agent = start_agent();
	CHECK_STR(says(agent, "cat ../kept f; ls -A .."), "kept\nx\n.pyro\nkept\nworkspace\n");
	add_file(&b, "g", "g");
	CHECK_STR(code_of(put(agent, "", &b)), "");
	check_clean(agent);
}

TEST("an ordinary user's read-only directories arrive, and go")
{
	AUTO_BUF struct buf b = BUF_INIT(64 * 1024);
	struct agent *agent;

	be_root("it becomes somebody else");
	CHECK_INT(chown(test_dir(), 65534, 65534), 0);
	CHECK_INT(setresgid(65534, 65534, 65534), 0);
	CHECK_INT(setresuid(65534, 65534, 65534), 0);
	agent = start_agent();
	add_sized(&b, "r", '5', "", "", 0555);
	add_file(&b, "r/f", "f");
	add_sized(&b, "r/s", '5', "", "", 0500);
	add_file(&b, "r/s/f", "f");
	CHECK_STR(code_of(put(agent, "a", &b)), "");
	CHECK_STR(says(agent, "stat -c %a a/r a/r/s"), "555\n500\n");
	buf_reset(&b);
	add_whiteout(&b, "a");
	CHECK_STR(code_of(put(agent, "", &b)), "");
	CHECK_STR(says(agent, "ls -A"), "");
	check_clean(agent);
}
