#include "image/oci/login.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONFIG_MAX (1024 * 1024)
#define ANSWER_MAX 65536
#define HELPER_MS 15000 /* it may ask a person */
#define DOCKER_HUB "docker.io"
#define DOCKER_HUB_HOST "index.docker.io"
#define DOCKER_HUB_KEY "https://" DOCKER_HUB_HOST "/v1/"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *encode(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = strlen(text), at = 0;
	char *out = mem_zalloc(len / 3 + 2, 4);

	for (size_t i = 0; i < len; i += 3) {
		unsigned b = i + 1 < len ? p[i + 1] : 0, c = i + 2 < len ? p[i + 2] : 0;
		unsigned bits = (unsigned)p[i] << 16 | b << 8 | c;

		out[at++] = digits[bits >> 18];
		out[at++] = digits[bits >> 12 & 63];
		out[at++] = i + 1 < len ? digits[bits >> 6 & 63] : '=';
		out[at++] = i + 2 < len ? digits[bits & 63] : '=';
	}
	return out;
}

static json_t *read_config(void)
{
	const char *own = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	AUTO_FREE char *path = own && *own ? mem_printf("%s/config.json", own)
					   : mem_printf("%s/.docker/config.json", home ? home : "");
	AUTO_BUF struct buf text = BUF_INIT(CONFIG_MAX);

	return file_read(path, &text, NULL) < 0 ? NULL
						: json_loadb(buf_text(&text), text.len, 0, NULL);
}

static char *join(const char *user, const char *password)
{
	AUTO_FREE char *both = NULL;

	if (!user || !password || strchr(user, ':'))
		return NULL;
	both = mem_printf("%s:%s", user, password);
	return encode(both);
}

/* What a program docker-credential-NAME says; the registry goes to its standard input. */
static char *ask_helper(const char *name, const char *key)
{
	AUTO_BUF struct buf out = BUF_INIT(ANSWER_MAX);
	AUTO_FD int input = memfd_create("registry", MFD_CLOEXEC);
	AUTO_ARGV struct argv a = ARGV_INIT;
	char *found = NULL;
	json_t *answer;

	if (strchr(name, '/') || input < 0 || file_write_all(input, key, strlen(key), NULL) < 0 ||
	    lseek(input, 0, SEEK_SET) < 0)
		return NULL;
	argv_addf(&a, "docker-credential-%s", name);
	argv_add(&a, "get", NULL);
	if (proc_check(&a,
		       &(struct proc_options){.fds = &(struct proc_fd){input, STDIN_FILENO},
					      .n_fds = 1,
					      .deadline = deadline_in(HELPER_MS),
					      .out = &out},
		       NULL) < 0)
		return NULL;
	answer = json_loadb(buf_text(&out), out.len, 0, NULL);
	found = join(json_string_value(json_object_get(answer, "Username")),
		     json_string_value(json_object_get(answer, "Secret")));
	json_decref(answer);
	return found;
}

/* The entry itself: already encoded, unless an old client wrote it in two parts. */
static char *take_auth(const json_t *entry)
{
	const char *auth = json_string_value(json_object_get(entry, "auth"));

	if (auth && *auth &&
	    strspn(auth, digits) + strspn(auth + strspn(auth, digits), "=") == strlen(auth))
		return mem_strdup(auth);
	return join(json_string_value(json_object_get(entry, "username")),
		    json_string_value(json_object_get(entry, "password")));
}

/* Whether a key of "auths" is of that host: some clients wrote URLs. */
static bool is_of(const char *key, const char *host)
{
	const char *scheme = strstr(key, "://");
	size_t len = strlen(host);

	key = scheme ? scheme + 3 : key;
	return strncmp(key, host, len) == 0 && (!key[len] || key[len] == '/');
}

static char *find_auth(const json_t *auths, const char *host)
{
	const char *key;
	json_t *entry;

	json_object_foreach((json_t *)(uintptr_t)auths, key,
			    entry) if (is_of(key, host)) return take_auth(entry);
	return NULL;
}

char *login_find(const char *registry, char **ret_helper)
{
	bool is_hub = strcmp(registry, DOCKER_HUB) == 0;
	const char *key = is_hub ? DOCKER_HUB_KEY : registry;
	json_t *config = read_config();
	const char *helper =
		json_string_value(json_object_get(json_object_get(config, "credHelpers"), key));
	char *found;

	if (!helper)
		helper = json_string_value(json_object_get(config, "credsStore"));
	found = helper ? ask_helper(helper, key) : NULL;
	if (!found)
		found = find_auth(json_object_get(config, "auths"),
				  is_hub ? DOCKER_HUB_HOST : registry);
	if (!found && helper)
		*ret_helper = mem_strdup(helper);
	json_decref(config);
	return found;
}

char *login_find_to_push(const char *registry, char **ret_helper)
{
	bool is_hub = strcmp(registry, DOCKER_HUB) == 0;
	char *given = join(getenv(is_hub ? "DOCKERHUB_USERNAME" : "OCI_REGISTRY_USERNAME"),
			   getenv(is_hub ? "DOCKERHUB_TOKEN" : "OCI_REGISTRY_PASSWORD"));

	return given ? given : login_find(registry, ret_helper);
}
