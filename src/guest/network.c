#include "guest/network.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#define DEVICE "eth0"
#define SETTINGS "/proc/sys/net/"
#define RESOLV_CONF "/etc/resolv.conf"
#define RUN_PATH "/run/pyro-resolv.conf"

/* in6_ifreq of <linux/ipv6.h>, which does not go together with <netinet/in.h>. */
struct address6 {
	struct in6_addr address;
	uint32_t prefix;
	int device;
};

static int change(int fd, unsigned long request, void *arg, const char *what,
		  struct pyro_error *err)
{
	if (ioctl(fd, request, arg) < 0)
		return err_sys(err, errno, "%s", what);
	return 0;
}

static struct ifreq device_request(void)
{
	return (struct ifreq){.ifr_name = DEVICE};
}

static int parse4(const char *text, struct sockaddr *ret, struct pyro_error *err)
{
	struct sockaddr_in a = {.sin_family = AF_INET};

	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		return err_set(err, PYRO_E_INVALID, "network: '%s' is no IPv4 address", text);
	memcpy(ret, &a, sizeof(a));
	return 0;
}

static int parse6(const char *text, struct in6_addr *ret, struct pyro_error *err)
{
	if (inet_pton(AF_INET6, text, ret) != 1)
		return err_set(err, PYRO_E_INVALID, "network: '%s' is no IPv6 address", text);
	return 0;
}

static int set_up(int fd, int mtu, struct pyro_error *err)
{
	struct ifreq size = device_request(), flags = device_request();

	size.ifr_mtu = mtu;
	flags.ifr_flags = IFF_UP | IFF_RUNNING;
	if (change(fd, SIOCSIFMTU, &size, "set the network device's MTU", err) < 0)
		return -1;
	return change(fd, SIOCSIFFLAGS, &flags, "bring the network device up", err);
}

static int add_ip4(int fd, const struct network_config *c, struct pyro_error *err)
{
	struct ifreq address = device_request(), mask = device_request();
	struct sockaddr_in bits = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(~0U << (32 - c->prefix4))};
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dst.sa_family = AF_INET};

	memcpy(&mask.ifr_netmask, &bits, sizeof(bits));
	if (parse4(c->address4, &address.ifr_addr, err) < 0 ||
	    parse4(c->gateway4, &route.rt_gateway, err) < 0 ||
	    change(fd, SIOCSIFADDR, &address, "set the IPv4 address", err) < 0 ||
	    change(fd, SIOCSIFNETMASK, &mask, "set the IPv4 netmask", err) < 0)
		return -1;
	return change(fd, SIOCADDRT, &route, "add the IPv4 route", err);
}

static int add_ip6(int fd, const struct network_config *c, struct pyro_error *err)
{
	struct ifreq device = device_request();
	struct address6 address = {.prefix = (uint32_t)c->prefix6};
	struct in6_rtmsg route = {.rtmsg_flags = RTF_UP | RTF_GATEWAY, .rtmsg_metric = 1024};

	if (parse6(c->address6, &address.address, err) < 0 ||
	    parse6(c->gateway6, &route.rtmsg_gateway, err) < 0 ||
	    change(fd, SIOCGIFINDEX, &device, "find the network device", err) < 0)
		return -1;
	address.device = route.rtmsg_ifindex = device.ifr_ifindex;
	if (change(fd, SIOCSIFADDR, &address, "set the IPv6 address", err) < 0)
		return -1;
	return change(fd, SIOCADDRT, &route, "add the IPv6 route", err);
}

static int write_setting(const char *name, const char *value, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf(SETTINGS "%s", name);
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return err_sys(err, errno, "set '%s'", path);
	return 0;
}

/*
 * Addresses are ours alone and at once; nobody else announces any. And passt writes all that a
 * window allows at once, to a socket that takes 416 KiB: with larger windows than this most of it
 * is lost and sent again (20 MB/s instead of 90).
 */
static int prepare(struct pyro_error *err)
{
	static const char *const settings[][2] = {
		{"ipv6/conf/" DEVICE "/accept_ra", "0"},
		{"ipv6/conf/" DEVICE "/accept_dad", "0"},
		{"ipv6/conf/" DEVICE "/addr_gen_mode", "1"},
		{"ipv4/tcp_rmem", "4096 131072 262144"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (write_setting(settings[i][0], settings[i][1], err) < 0)
			return -1;
	return 0;
}

static int write_resolvers(const struct network_config *c, const char *path, struct pyro_error *err)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	for (size_t i = 0; i < c->n_resolvers; i++)
		buf_printf(&text, "nameserver %s\n", c->resolvers[i]);
	buf_puts(&text, "options edns0\n");
	if (fd < 0)
		return err_sys(err, errno, "create '%s'", path);
	return file_write_all(fd, text.data, text.len, err);
}

/*
 * Where the link leads that /etc/resolv.conf may be, whether there is something or not. One link is
 * followed: images have none or one, into /run.
 */
static char *find_target(void)
{
	char link[PATH_MAX];
	ssize_t n = readlink(RESOLV_CONF, link, sizeof(link) - 1);

	if (n <= 0)
		return mem_strdup(RESOLV_CONF);
	link[n] = '\0';
	return *link == '/' ? mem_strdup(link) : mem_printf("/etc/%s", link);
}

static int make_target(const char *path, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
	int fd;

	if (*dir && dir_make(dir, 0755, err) < 0)
		return -1;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, errno, "create '%s'", path);
	(void)close(fd);
	return 0;
}

/* The image's file is covered, not changed. */
static int set_resolvers(const struct network_config *c, struct pyro_error *err)
{
	AUTO_FREE char *target = find_target();

	if (write_resolvers(c, RUN_PATH, err) < 0)
		return -1;
	if (!file_exists(target) && make_target(target, err) < 0)
		return -1;
	if (mount(RUN_PATH, target, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, errno, "cover '%s'", target);
	return 0;
}

int network_configure(const struct network_config *config, struct pyro_error *err)
{
	AUTO_FD int v4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	AUTO_FD int v6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (v4 < 0 || v6 < 0)
		return err_sys(err, errno, "create a socket");
	if (prepare(err) < 0 || set_up(v4, config->mtu, err) < 0 || add_ip4(v4, config, err) < 0 ||
	    add_ip6(v6, config, err) < 0)
		return -1;
	return set_resolvers(config, err);
}
