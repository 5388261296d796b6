/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the parameters net= and hostfwd=. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "hostfwd.h"

/* The guest gets the address number 15 or one of the 15 that follow. */
#define BITS_MIN 8
#define BITS_MAX 27

struct in_addr net_station(const struct net_subnet *subnet, uint32_t number)
{
	return (struct in_addr){ htonl(ntohl(subnet->network.s_addr) + number) };
}

/* A decimal number from 1 to @max, which @end follows. */
static bool number_parse(const char *text, char end, unsigned long max, unsigned long *ret_number,
			 const char **ret_end)
{
	unsigned long number;
	char *stop;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoul(text, &stop, 10);
	if (errno || *stop != end || number < 1 || number > max)
		return false;
	*ret_number = number;
	*ret_end = stop;
	return true;
}

/* The address that ends before @end; *@addr stays where it is empty. */
static bool addr_parse(const char *text, char end, struct in_addr *addr, const char **ret_end)
{
	const char *stop = strchr(text, end);
	char buf[INET_ADDRSTRLEN];

	if (!stop || (size_t)(stop - text) >= sizeof(buf))
		return false;
	*ret_end = stop;
	if (stop == text)
		return true;
	memcpy(buf, text, (size_t)(stop - text));
	buf[stop - text] = '\0';
	return inet_pton(AF_INET, buf, addr) == 1;
}

int net_subnet_parse(struct alcor_dev *dev, const char *text, struct net_subnet *ret_subnet)
{
	struct in_addr network = { 0 };
	unsigned long bits;
	const char *at;
	uint32_t mask;

	if (!addr_parse(text, '/', &network, &at) || at == text ||
	    !number_parse(at + 1, '\0', BITS_MAX, &bits, &at) || bits < BITS_MIN)
		return alcor_error(dev, -EINVAL,
				   "net: '%s' is not of the form ADDRESS/BITS with %d to %d bits",
				   text, BITS_MIN, BITS_MAX);
	mask = ~0u << (32 - bits);
	if (ntohl(network.s_addr) & ~mask)
		return alcor_error(dev, -EINVAL, "net: '%s' has bits set behind the first %lu",
				   text, bits);
	ret_subnet->network = network;
	ret_subnet->mask.s_addr = htonl(mask);
	return 0;
}

/* "[ADDRESS]:PORT", which @end follows. */
static bool endpoint_parse(const char *text, char end, struct in_addr *addr, uint16_t *ret_port,
			   const char **ret_end)
{
	unsigned long port;

	if (!addr_parse(text, ':', addr, &text) ||
	    !number_parse(text + 1, end, UINT16_MAX, &port, ret_end))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

int net_hostfwd_parse(struct alcor_dev *dev, const char *text, struct in_addr guest,
		      struct net_hostfwd *ret_fwd)
{
	struct net_hostfwd fwd = { .host.s_addr = INADDR_ANY, .guest = guest };
	const char *at = text + 4;

	fwd.udp = strncmp(text, "udp:", 4) == 0;
	if ((!fwd.udp && strncmp(text, "tcp:", 4) != 0) ||
	    !endpoint_parse(at, '-', &fwd.host, &fwd.host_port, &at) ||
	    !endpoint_parse(at + 1, '\0', &fwd.guest, &fwd.guest_port, &at))
		return alcor_error(dev, -EINVAL,
				   "hostfwd: '%s' is not of the form "
				   "(tcp|udp):[ADDRESS]:PORT-[ADDRESS]:PORT, as in tcp::2222-:22",
				   text);
	*ret_fwd = fwd;
	return 0;
}
