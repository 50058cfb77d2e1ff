#include "guest/probe.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "guest/root.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MAX_MS (3600 * 1000)
#define TARGET_MAX 4000
#define HOSTS "/etc/hosts"
#define HOSTS_MAX (1024 * 1024)
#define ADDRESSES_MAX 8
#define STATUS_LINE_MAX 512
#define HTTP_PORT 80

/*
 * What is asked for.
 */

/* HOST:PORT, [V6]:PORT, and without the port if probe->port has one already. */
static bool parse_address(struct probe *probe, const char *text, size_t len)
{
	AUTO_FREE char *address = mem_strndup(text, len);
	bool has_brackets = *address == '[';
	char *host = address + has_brackets, *rest = host + strcspn(host, has_brackets ? "]" : ":");
	int64_t port = probe->port;

	if (has_brackets && *rest)
		*rest++ = '\0';
	if (*rest == ':') {
		*rest++ = '\0';
		if (!parse_int(rest, 1, UINT16_MAX, &port))
			return false;
	} else if (*rest) {
		return false;
	}
	if (!port || !*host || strlen(host) > PROBE_HOST_MAX || strpbrk(host, "@/[]"))
		return false;
	memcpy(probe->host, host, strlen(host) + 1);
	probe->port = (int)port;
	return true;
}

static bool parse_url(struct probe *probe, const char *url)
{
	static const char scheme[] = "http://";
	size_t len;

	if (strncasecmp(url, scheme, strlen(scheme)) != 0)
		return false;
	url += strlen(scheme);
	len = strcspn(url, "/?#");
	probe->request = url + len;
	probe->port = HTTP_PORT;
	return parse_address(probe, url, len);
}

/* Characters that would break a line, of a message or of a request. */
static bool is_plain(const char *text, bool may_have_blanks)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text) || (*text == ' ' && !may_have_blanks))
			return false;
	return true;
}

static bool parse_target(struct probe *probe)
{
	const char *target = probe->target;

	if (!target || !*target || strlen(target) > TARGET_MAX ||
	    !is_plain(target, probe->type == 'f'))
		return false;
	return probe->type == 'f' ||
	       (probe->type == 't' && parse_address(probe, target, strlen(target))) ||
	       (probe->type == 'h' && parse_url(probe, target));
}

static int bad_target(const struct probe *probe, struct pyro_error *err)
{
	const char *form = probe->type == 'f'   ? "a path"
			   : probe->type == 't' ? "HOST:PORT or [V6]:PORT"
						: "http://HOST[:PORT][/PATH], without TLS";

	return err_set(err, PYRO_E_INVALID, "'%.100s' is not %s",
		       probe->target ? probe->target : "", form);
}

int probe_parse(struct probe *probe, json_t *args, struct pyro_error *err)
{
	const char *type, *path = NULL, *address = NULL, *url = NULL;
	json_int_t timeout_ms;
	json_error_t error;

	if (json_unpack_ex(args, &error, 0, "{s:s s?s s?s s?s s:I !}", "type", &type, "path", &path,
			   "address", &address, "url", &url, "timeout_ms", &timeout_ms) < 0)
		return err_set(err, PYRO_E_INVALID, "probe: %s", error.text);
	if (!path + !address + !url != 2)
		return err_set(err, PYRO_E_INVALID,
			       "probe: one of path, address and url must say what to probe");
	if (timeout_ms < 1 || timeout_ms > TIMEOUT_MAX_MS)
		return err_set(err, PYRO_E_INVALID, "probe: timeout_ms is not in 1..%d",
			       TIMEOUT_MAX_MS);
	*probe = (struct probe){.timeout_ms = timeout_ms};
	if (strcmp(type, "file") == 0)
		probe->target = path;
	else if (strcmp(type, "tcp") == 0)
		probe->target = address;
	else if (strcmp(type, "http") == 0)
		probe->target = url;
	else
		return err_set(err, PYRO_E_INVALID, "probe: there is no type '%s'", type);
	probe->type = *type;
	return parse_target(probe) ? 0 : bad_target(probe, err);
}

/*
 * What comes of it.
 */

static json_t *result(bool is_ready, const char *fmt, ...) PRINTF(2, 3);

static json_t *result(bool is_ready, const char *fmt, ...)
{
	AUTO_FREE char *message = NULL;
	va_list ap;

	va_start(ap, fmt);
	message = mem_vprintf(fmt, ap);
	va_end(ap);
	return json_pack("{s:b s:s}", "ready", is_ready, "message", message);
}

static json_t *probe_file(const struct probe *probe, struct pyro_error *err)
{
	const char *path = probe->target;
	bool is_ours = *path != '/' || root_is_above(path);
	AUTO_FREE char *full = *path == '/' ? mem_strdup(path) : mem_printf(ROOT_PATH "/%s", path);
	AUTO_FD int root = is_ours ? root_open(err) : -1;
	struct stat st;
	int r;

	if (is_ours && root < 0)
		return NULL;
	if (is_ours) {
		path = full + strlen(ROOT_PATH);
		path += strspn(path, "/");
	}
	r = is_ours ? fstatat(root, *path ? path : ".", &st, 0) : stat(path, &st);
	if (r == 0)
		return result(true, "%s exists", full);
	if (errno == ENOENT || errno == ENOTDIR)
		return result(false, "%s does not exist", full);
	return result(false, "%s: %s", full, strerror(errno));
}

struct addresses {
	struct {
		struct sockaddr_storage storage;
		socklen_t len;
	} v[ADDRESSES_MAX];
	size_t n;
};

/* False if the text is no address. */
static bool add_address(struct addresses *all, const char *text, int port)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool is_4 = inet_pton(AF_INET, text, &in4.sin_addr) == 1;

	if (!is_4 && inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
		return false;
	if (all->n == ADDRESSES_MAX)
		return true;
	memcpy(&all->v[all->n].storage, is_4 ? (void *)&in4 : (void *)&in6,
	       is_4 ? sizeof(in4) : sizeof(in6));
	all->v[all->n++].len = is_4 ? sizeof(in4) : sizeof(in6);
	return true;
}

/* A line of /etc/hosts: an address, then its names. */
static void search_line(struct addresses *all, char *line, const struct probe *probe)
{
	const char *address = NULL, *word;

	line[strcspn(line, "#")] = '\0';
	while ((word = strsep(&line, " \t\r"))) {
		if (!*word)
			continue;
		if (!address) {
			address = word;
		} else if (strcasecmp(word, probe->host) == 0) {
			(void)add_address(all, address, probe->port);
			return;
		}
	}
}

static void resolve(struct addresses *all, const struct probe *probe)
{
	AUTO_BUF struct buf hosts = BUF_INIT(HOSTS_MAX);
	char *rest, *line;

	if (add_address(all, probe->host, probe->port))
		return;
	rest = file_read(HOSTS, &hosts, NULL) == 0 ? hosts.data : NULL;
	while ((line = strsep(&rest, "\n")))
		search_line(all, line, probe);
	if (!all->n && strcasecmp(probe->host, "localhost") == 0) {
		(void)add_address(all, "127.0.0.1", probe->port);
		(void)add_address(all, "::1", probe->port);
	}
}

/* A connected socket that does not block; -1 with errno. */
static int connect_to(const struct sockaddr_storage *address, socklen_t len, int64_t deadline)
{
	AUTO_FD int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int errnum = 0;
	socklen_t errnum_len = sizeof(errnum);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)address, len) == 0)
		return TAKE_FD(fd);
	if (errno != EINPROGRESS)
		return -1;
	if (poll(&p, 1, deadline_left(deadline)) <= 0)
		errnum = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &errnum_len) < 0)
		errnum = errno;
	if (!errnum)
		return TAKE_FD(fd);
	errno = errnum;
	return -1;
}

/* "HOST:PORT", as an address is written. */
static char *name_of(const struct probe *probe)
{
	return mem_printf(strchr(probe->host, ':') ? "[%s]:%d" : "%s:%d", probe->host, probe->port);
}

/* A socket, or -1 with a result that says why there is none. */
static int reach(const struct probe *probe, int64_t deadline, json_t **ret)
{
	AUTO_FREE char *name = name_of(probe);
	struct addresses all = {.n = 0};
	int fd = -1;

	resolve(&all, probe);
	for (size_t i = 0; i < all.n && fd < 0; i++)
		fd = connect_to(&all.v[i].storage, all.v[i].len, deadline);
	if (fd >= 0)
		return fd;
	if (!all.n)
		*ret = result(false, "%s is no address, and not in " HOSTS, probe->host);
	else if (errno == ECONNREFUSED)
		*ret = result(false, "connection to %s refused", name);
	else if (errno == ETIMEDOUT)
		*ret = result(false, "connection to %s timed out", name);
	else
		*ret = result(false, "connection to %s: %s", name, strerror(errno));
	return -1;
}

static json_t *probe_tcp(const struct probe *probe, int64_t deadline)
{
	json_t *answer = NULL;
	AUTO_FD int fd = reach(probe, deadline, &answer);

	return fd < 0 ? answer : result(true, "%s takes connections", probe->target);
}

/* The status in "HTTP/1.1 200 OK"; -1 if the line is nothing of that kind. */
static int parse_status(const char *line)
{
	int status = 0;

	if (strncmp(line, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)line[7]) || line[8] != ' ')
		return -1;
	for (int i = 9; i < 12; i++) {
		if (!isdigit((unsigned char)line[i]))
			return -1;
		status = status * 10 + (line[i] - '0');
	}
	return isdigit((unsigned char)line[12]) ? -1 : status;
}

/* Reads a line's beginning; false at the deadline, or if the connection ends before. */
static bool read_line(int fd, char line[STATUS_LINE_MAX + 1], int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t len = 0;

	memset(line, 0, STATUS_LINE_MAX + 1);
	while (len < STATUS_LINE_MAX && !memchr(line, '\n', len)) {
		ssize_t n = poll(&p, 1, deadline_left(deadline)) <= 0
				    ? -1
				    : read(fd, line + len, STATUS_LINE_MAX - len);

		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	return true;
}

static json_t *probe_http(const struct probe *probe, int64_t deadline)
{
	json_t *answer = NULL;
	AUTO_FD int fd = reach(probe, deadline, &answer);
	AUTO_FREE char *name = name_of(probe);
	AUTO_FREE char *request =
		mem_printf("GET %s%.*s HTTP/1.1\r\nHost: %s\r\nUser-Agent: pyro\r\nAccept: */*\r\n"
			   "Connection: close\r\n\r\n",
			   *probe->request == '/' ? "" : "/", (int)strcspn(probe->request, "#"),
			   probe->request, name);
	char line[STATUS_LINE_MAX + 1];
	int status;

	if (fd < 0)
		return answer;
	/* A new connection takes so few bytes at once. */
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request) ||
	    !read_line(fd, line, deadline))
		return result(false, "%s did not answer", probe->target);
	status = parse_status(line);
	if (status < 0)
		return result(false, "%s answered with something else than HTTP", probe->target);
	return result(status / 100 == 2, "%s answered %d", probe->target, status);
}

json_t *probe_run(const void *arg, struct pyro_error *err)
{
	const struct probe *probe = arg;
	int64_t deadline = deadline_in(probe->timeout_ms);

	if (probe->type == 'f')
		return probe_file(probe, err);
	return probe->type == 't' ? probe_tcp(probe, deadline) : probe_http(probe, deadline);
}
